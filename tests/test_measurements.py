"""docs/measurements.md: its lines run, and its figures are what they give."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer
from tests.documented import ROOT, documented


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Blurred spots as counts, and the same as a sensor of 12 bits gives them in uint16."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    light = np.zeros((256, 256))
    for _ in range(40):
        top, left, width = random.uniform(0, 256), random.uniform(0, 256), random.uniform(2, 15)
        light += random.uniform(0.2, 1) * np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * width**2))
    electrons = 200 * light / light.max()
    noisy = 100 + 5 * (random.poisson(electrons) + random.normal(0, 2, electrons.shape))
    return 100 + 5 * electrons, np.clip(np.rint(noisy), 0, 4095).astype(np.uint16)


def run(*names: str, **given: Any) -> dict[str, Any]:
    exec("\n".join(documented("measurements.md", name) for name in names), given)
    return given


@pytest.mark.parametrize("model", ["photo", "photo-best", "photo-fast", "photo-camera"])
def test_the_page_tells_what_scaling_gains(model: str, scene: tuple[np.ndarray, np.ndarray]) -> None:
    truth, noisy = scene
    lines = run("linear", noisy=noisy)
    ae = lines["ae"] = AEInfer.load(model)
    linear = ae(lines["unit"]) * (lines["white"] - lines["black"]) + lines["black"]
    root = run("root", **lines)["clean"]
    row = re.search(rf"^\| {model} \|(.*)\|$", (ROOT / "docs" / "measurements.md").read_text("utf-8"), re.M)
    assert row
    told = [float(number) for number in re.findall(r"[-+]?[\d.]+", row[1])]
    got = []
    for clean in (ae(noisy), ae(noisy * 16) / 16, linear, root):
        error = clean - truth
        got += [np.sqrt((error**2).mean()), error[truth < 110].mean()]
    np.testing.assert_allclose(got, told, atol=0.6, rtol=0.02)


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
