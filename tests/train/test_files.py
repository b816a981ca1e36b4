"""What files make of pictures and of their noise."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import train.photos as batches
from train import files
from train.files import as_file
from train.photos import Photos


def spread(levels: NDArray[np.uint8]) -> tuple[float, float]:
    """Standard deviation of the luma, and of how the colours differ from it."""
    luma = cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return float(luma.std()), float((levels - luma[..., None]).std())


@pytest.mark.parametrize("video", [0.0, 1.0])
def test_noise_that_differs_between_the_colours_is_lost_and_the_rest_stays(
    video: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "VIDEO", video)
    monkeypatch.setattr(files, "FULL_COLOUR", 0.0)
    monkeypatch.setattr(files, "WHOLE_COLUMNS", 0.0)
    rng = np.random.default_rng(0)
    noisy = np.clip(rng.normal(128, 20, (128, 128, 3)), 0, 255).astype(np.uint8)
    alike, differing = spread(noisy)
    results = [spread(as_file(noisy, np.random.default_rng(i))) for i in range(8)]
    assert all(0.8 * alike < left < 1.2 * alike for left, _ in results)
    assert all(left < 0.6 * differing for _, left in results)


def test_which_pixels_share_a_video_s_colour_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes 2x2 pixels at once would else count on one of four ways, and parts of frames have any."""
    monkeypatch.setattr(files, "VIDEO", 1.0)
    monkeypatch.setattr(files, "WHOLE_COLUMNS", 0.0)
    noisy = np.random.default_rng(0).integers(64, 192, (32, 32, 3), dtype=np.uint8)
    ways = set()
    for seed in range(32):
        red = cv2.cvtColor(as_file(noisy, np.random.default_rng(seed)), cv2.COLOR_RGB2YCrCb)[..., 1].astype(int)
        steps = [np.abs(np.diff(red, axis=axis)).mean(1 - axis) for axis in (0, 1)]
        ways.add(tuple(bool(step[::2].mean() < step[1::2].mean()) for step in steps))
    assert len(ways) == 4


def test_some_video_has_its_colour_in_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "VIDEO", 1.0)
    noisy = np.random.default_rng(0).integers(64, 192, (32, 32, 3), dtype=np.uint8)
    shared = []
    for whole in (0.0, 1.0):
        monkeypatch.setattr(files, "WHOLE_COLUMNS", whole)
        red = cv2.cvtColor(as_file(noisy, np.random.default_rng(0)), cv2.COLOR_RGB2YCrCb)[..., 1].astype(int)
        shared.append(min(np.abs(red[start:-1:2] - red[start + 1 :: 2]).mean() for start in (0, 1)))
    assert shared[0] < 2 < 8 < shared[1]


def test_a_picture_without_noise_is_nearly_the_same() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    for seed in range(8):
        assert np.abs(as_file(ramp, np.random.default_rng(seed)).astype(int) - ramp).mean() < 2


def test_some_crops_have_gone_through_files(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of white noise that is rounded: nothing else changes."""
    monkeypatch.setattr(batches, "EIGHT_BIT", 1.0)
    monkeypatch.setattr(batches, "PADDED", 0.0)
    made = []
    for share in (0.0, 0.5):
        monkeypatch.setattr(batches, "HELD_AS_FILES", share)
        made.append(Photos(photos, 32, 32, 55, seed=3).batch(0))
    (plain, clean), (some, same) = made
    np.testing.assert_array_equal(clean, same)
    assert 0.2 < (plain != some).any((1, 2, 3)).mean() < 0.8
