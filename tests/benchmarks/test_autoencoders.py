"""The table of autoencoders: every file of digits is in it, and its figures are what the files do."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aeinfer import AEInfer
from benchmarks import bench_autoencoders, bench_codes, draw_autoencoders
from benchmarks.noisy import rounded
from benchmarks.packaged import ZOO, digit_models
from train.evaluate import mean_psnr, noisy_digits
from train.sweep import VARIANTS


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.repeat(rng.random((20, 7, 7), np.float32), 4, 1), 4, 2)
    clean = np.clip(blocks + 0.05 * rng.random(blocks.shape, np.float32), 0, 1)
    noisy = noisy_digits(clean, 127.5)
    return {"clean": clean, "float": noisy, "8-bit": rounded(noisy)}


def test_every_file_is_known_and_every_variant_has_one() -> None:
    names = {method.removesuffix(" fp32").removesuffix(" int8") for method in digit_models()}
    kept = {path.name.partition(".")[0] for path in ZOO.glob("*.onnx")}
    assert names == kept | {"mnist-conv", "mnist-dense"}
    assert kept <= VARIANTS.keys()
    assert {f"{name} {precision}" for name in names for precision in ("fp32", "int8")} == digit_models().keys()
    assert sum(path.stat().st_size for path in ZOO.glob("*.onnx")) < 15e6


def test_a_row_is_what_the_model_does(inputs: dict[str, np.ndarray]) -> None:
    path = digit_models()["mnist-dense fp32"]
    row = bench_autoencoders.measure_model("mnist-dense fp32", path, inputs)
    with AEInfer.load(path) as ae:
        for name, images in inputs.items():
            output = np.stack([ae(image) for image in images])
            assert row[name] == pytest.approx(mean_psnr(output, inputs["clean"]), abs=0.02)
    assert (row["code"], row["places"], row["kmac"], row["parameters"]) == (64, 0, 715, 716640)
    rate = bench_autoencoders.images_per_second({"mnist-dense fp32": path}, inputs["float"])
    assert rate["mnist-dense fp32"] > 0


def test_blur_takes_sharpness_and_a_checkerboard_is_seen(inputs: dict[str, np.ndarray]) -> None:
    clean = inputs["clean"]
    blurred = (clean + np.roll(clean, 1, 1) + np.roll(clean, 1, 2)) / 3
    assert bench_autoencoders.sharpness(blurred) < 0.7 * bench_autoencoders.sharpness(clean)
    assert bench_autoencoders.checkerboard(clean) < 1e-3
    board = np.indices((28, 28)).sum(0) % 2 * np.ones_like(clean)
    assert bench_autoencoders.checkerboard(board) == pytest.approx(0.5)  # the other half is its mean


def test_what_is_not_trained_is_better_than_nothing(inputs: dict[str, np.ndarray]) -> None:
    rows = {row["method"]: row for row in bench_autoencoders.measure_others(inputs["clean"], inputs)}
    noisy = rows.pop("noisy")
    assert len(rows) >= 3
    for row in rows.values():
        assert all(row[name] > noisy[name] for name in ("float", "8-bit") if name in row)
        assert "images_per_s" in row


@pytest.mark.parametrize("module", [bench_autoencoders, bench_codes, draw_autoencoders])
def test_a_folder_without_digits_is_refused(module: ModuleType, tmp_path: Path, complaint: Callable[..., str]) -> None:
    more = [tmp_path] if module is bench_codes else []
    assert "expected" in complaint(module.main, *more, "--data", tmp_path)


def test_a_folder_without_a_sweep_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    """Or the figures of all networks would be gone."""
    monkeypatch.setattr(bench_codes, "read_both", lambda _: (None, None, None))
    assert "found no pyramid-N" in complaint(bench_codes.main, tmp_path, "--data", tmp_path)
