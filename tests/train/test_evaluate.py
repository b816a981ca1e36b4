"""Figures of digits' networks: what is measured is what it is called, and every picture is drawn."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from aeinfer.metrics import psnr, ssim
from train import evaluate, pictures
from train.checkpoint import save_checkpoint
from train.linear import PrincipalComponents
from train.models import MODELS, build_model
from train.recipes import RECIPES
from train.sweep import VARIANTS


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Digits of a kind: blobs at random places."""
    rng = np.random.default_rng(0)
    blobs = np.zeros((300, 28, 28), np.float32)
    for blob, (y, x), radius in zip(blobs, rng.integers(8, 20, (300, 2)), rng.integers(2, 7, 300), strict=True):
        cv2.circle(blob, (int(x), int(y)), int(radius), 1.0, -1)
    return blobs


def test_figures_are_means_over_the_images(images: np.ndarray) -> None:
    clean, output = images[:7], np.clip(images[:7] + 0.1, 0, 1).astype(np.float32)
    for mean, figure in ((evaluate.mean_psnr, psnr), (evaluate.mean_ssim, ssim)):
        single = [figure(a, b, data_range=1.0) for a, b in zip(output, clean, strict=True)]
        assert mean(output, clean) == pytest.approx(np.mean(single))
    half = np.full_like(clean, 0.5)
    assert evaluate.mean_bce(half, clean) == pytest.approx(np.log(2))


def test_the_noise_is_the_seeds_and_the_same_each_time(images: np.ndarray) -> None:
    noise = evaluate.noisy_digits(images, 127.5) - images
    assert noise.std() == pytest.approx(0.5, rel=0.01)
    assert np.array_equal(evaluate.noisy_digits(images[:3], 127.5) - images[:3], noise[:3])
    assert evaluate.noisy_digits(images, 0) is images


def test_principal_components_are_the_best_linear_code(images: np.ndarray) -> None:
    images = images[:, 8:20, 8:20]  # fewer pixels: of 784 they take seconds
    pixels = images[0].size
    components = PrincipalComponents(images)
    errors = [np.square(components.denoise(images, n) - images).mean() for n in (1, 4, 16, pixels)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-10
    flat = images.reshape(len(images), -1) - images.mean(0).ravel()
    *_, rows = np.linalg.svd(flat, full_matrices=False)
    expected = flat @ rows[:16].T @ rows[:16] + images.mean(0).ravel()
    assert np.abs(components.denoise(images, 16) - np.clip(expected, 0, 1).reshape(images.shape)).max() < 1e-4
    noisy = evaluate.noisy_digits(images, 127.5)
    covariance = np.cov(flat, rowvar=False)
    wiener = (noisy.reshape(len(noisy), -1) - images.mean(0).ravel()) @ np.linalg.solve(
        covariance + 0.25 * np.eye(pixels), covariance
    ) + images.mean(0).ravel()
    assert np.abs(components.denoise(noisy, pixels, 127.5) - np.clip(wiener, 0, 1).reshape(images.shape)).max() < 1e-4


def test_the_command_measures_and_draws(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["dense-8", "dense-16", "conv-dilated"]
    checkpoints = [str(tmp_path / name / "best.pt") for name in names]
    for name, path in zip(names, checkpoints, strict=True):  # untrained ones will do
        save_checkpoint(Path(path), VARIANTS[name], {}, build_model(asdict(VARIANTS[name])))
    out = tmp_path / "evaluated"
    assert evaluate.main([*checkpoints, "--data", str(digits), "--no-verify", "--out", str(out)]) == 0
    rows = json.loads((out / "evaluate.json").read_text())
    assert {row["method"] for row in rows} == {*names, "PCA"}
    assert all(row["psnr"] > 3 and 0 < row["bce"] < 5 and -1 < row["ssim"] <= 1 for row in rows)
    drawn = {path.name for path in out.glob("*.png")}
    codes = {f"dense-{n}-{what}.png" for n in (8, 16) for what in ("latent", "line")}
    assert drawn == {"grid.png", "codes.png"} | codes
    assert all(cv2.imread(str(path)).std() > 5 for path in out.glob("*.png"))
    assert evaluate.curves(rows).keys() == {"dense, clean", "PCA, clean", "PCA, noise of 127.5"}
    assert [size for size, _ in evaluate.curves(rows)["dense, clean"]] == [8, 16]
    assert "dense-16" in capsys.readouterr().out


def test_between_begins_and_ends_where_it_is_told() -> None:
    first, last = np.random.default_rng(0).random((2, 16, 2, 2), np.float32)
    line = pictures.between(first, last)
    assert line.shape == (9, 16, 2, 2)
    assert np.allclose(line[[0, 4, -1]], [first, (first + last) / 2, last])


def test_codes_of_one_number_lie_on_a_line(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).random((20, 1), np.float32)
    pictures.latent(codes, np.arange(20, dtype=np.uint8) % 10, tmp_path / "latent.png")
    assert cv2.imread(str(tmp_path / "latent.png")).std() > 5


def test_a_name_is_no_formula(images: np.ndarray, tmp_path: Path) -> None:
    name = r"a$\b$"
    pictures.grid({name: images[:2]}, tmp_path / "grid.png")
    pictures.curve({name: [(8, 20.0), (16, 21.0)]}, tmp_path / "curve.png")
    assert {path.name for path in tmp_path.iterdir()} == {"grid.png", "curve.png"}


def test_what_is_no_network_of_digits_is_refused(
    photos: Path, digits: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no checkpoint")
    photo = tmp_path / "photo.pt"
    save_checkpoint(photo, RECIPES["photo-fast", "default"], {}, MODELS["photo-fast"]())
    given = {broken: "damaged", tmp_path / "none.pt": "no file", photo: "expected a network of digits"}
    for path, said in given.items():
        assert said in complaint(evaluate.main, path, "--data", digits, "--no-verify", "--out", tmp_path)
    assert "expected train-images-idx3-ubyte" in complaint(evaluate.main, broken, "--data", photos)


def test_networks_are_called_as_their_folders_which_differ(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    paths = [tmp_path / sweep / "dense-64" / "best.pt" for sweep in ("first", "second")]
    for path in paths:
        save_checkpoint(path, RECIPES["dense", "default"], {}, MODELS["dense"]())
    monkeypatch.chdir(paths[0].parent)
    assert evaluate.Trained(Path("best.pt")).name == "dense-64"
    out = tmp_path / "evaluated"
    assert "more than one dense-64; rename" in complaint(
        evaluate.main, *paths, "--data", digits, "--no-verify", "--out", out
    )
    assert not out.exists()


@pytest.mark.parametrize(("problem", "code"), [(OSError(28, "No space left on device"), 2), (KeyboardInterrupt(), 130)])
def test_a_full_disk_and_an_interrupt_are_told_in_a_line(
    problem: BaseException,
    code: int,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    complaint: Callable[..., str],
) -> None:
    def refuse(*_: object) -> None:
        raise problem

    save_checkpoint(tmp_path / "best.pt", RECIPES["dense", "default"], {}, MODELS["dense"]())
    monkeypatch.setattr(evaluate, "draw_codes", refuse)
    arguments = [tmp_path / "best.pt", "--data", digits, "--no-verify", "--out", tmp_path / "out"]
    assert complaint(evaluate.main, *arguments, code=code).startswith("train.evaluate: ")
