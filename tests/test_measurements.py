"""docs/measurements.md: its lines run, and are those that were measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer
from benchmarks import bench_counts
from tests.documented import documented


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    return bench_counts.scene()


def run(*names: str, **given: Any) -> dict[str, Any]:
    exec("\n".join(documented("measurements.md", name) for name in names), given)
    return given


def test_the_page_s_lines_are_what_was_measured_and_the_square_root_gains_most(
    scene: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, noisy = scene
    lines = run("linear", noisy=noisy)
    assert (lines["black"], lines["white"]) == (bench_counts.BLACK, bench_counts.WHITE)
    linear = lines["clean"]
    root = run("root", **lines)["clean"]
    measured = bench_counts.ways(lines["ae"])
    np.testing.assert_array_equal(linear, measured["stretched"](noisy))
    np.testing.assert_allclose(root, measured["its square root"](noisy), atol=1e-3)
    before, stretched, rooted = (np.sqrt(np.mean((image - truth) ** 2)) for image in (noisy, linear, root))
    assert rooted < before / 3
    assert rooted < stretched


def test_what_is_missing_is_missing_afterwards(scene: tuple[np.ndarray, np.ndarray]) -> None:
    unit = run("linear", noisy=scene[1])["unit"]
    unit[40:50, 60:70] = np.nan
    lines = run("mask", np=np, unit=unit, ae=AEInfer.load("photo-fast"))
    assert lines["clean"].dtype == np.float32
    np.testing.assert_array_equal(np.isnan(lines["clean"]), np.isnan(unit))


def test_a_stack_is_scaled_and_written(
    scene: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile = pytest.importorskip("tifffile")
    truth, noisy = scene
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("noisy.tif", np.stack([noisy, noisy[::-1]]))
    run("linear", "root", "stack", noisy=noisy)
    clean = tifffile.imread("clean.tif")
    assert (clean.shape, clean.dtype) == ((2, 256, 256), np.uint16)
    assert np.abs(clean[0] - truth).mean() < np.abs(noisy - truth).mean() / 3
