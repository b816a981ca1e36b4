"""Tests of aeinfer.metrics: values equal to the definitions and to scikit-image, misuse refused."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from aeinfer import metrics
from aeinfer.errors import InputError
from aeinfer.metrics import psnr, ssim
from tests import reference

RANGES = {np.uint8: 255.0, np.uint16: 65535.0, np.float32: 1.0}


def make_pair(shape: tuple[int, ...], dtype: type, *, seed: int = 3) -> tuple[np.ndarray, np.ndarray, float]:
    """A smooth picture and a noisy copy of it."""
    random, data_range = np.random.default_rng(seed), RANGES[dtype]
    y, x = np.mgrid[: shape[0], : shape[1]]
    wave = 0.5 + 0.4 * np.sin(y / 5) * np.cos(x / 7)
    clean = np.broadcast_to(wave if len(shape) == 2 else wave[..., None], shape) * data_range
    noisy = np.clip(clean + random.normal(0, 0.1 * data_range, shape), 0, data_range)
    return noisy.astype(dtype), clean.astype(dtype), data_range


SHAPES = [(11, 11), (17, 23), (16, 13, 3), (12, 14, 1), (13, 12, 4)]


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_definition(shape: tuple[int, ...], dtype: type) -> None:
    noisy, clean, data_range = make_pair(shape, dtype)
    assert psnr(noisy, clean, data_range=data_range) == pytest.approx(
        reference.psnr(noisy, clean, data_range), abs=1e-9
    )
    assert ssim(noisy, clean, data_range=data_range) == pytest.approx(
        reference.ssim(noisy, clean, data_range), abs=1e-9
    )


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("shape", [*SHAPES, (2 * metrics._STRIP + 17, 31, 3), (metrics._STRIP + 10, 40)], ids=str)
def test_equals_scikit_image(shape: tuple[int, ...], dtype: type) -> None:
    theirs = pytest.importorskip("skimage.metrics")
    noisy, clean, data_range = make_pair(shape, dtype)
    similarity = theirs.structural_similarity(
        noisy.astype(np.float64),
        clean.astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=data_range,
        channel_axis=2 if len(shape) == 3 else None,
    )
    ratio = theirs.peak_signal_noise_ratio(clean, noisy, data_range=data_range)
    assert ssim(noisy, clean, data_range=data_range) == pytest.approx(similarity, abs=1e-6)
    assert psnr(noisy, clean, data_range=data_range) == pytest.approx(ratio, abs=1e-4)


@pytest.mark.parametrize("height", [1, metrics._STRIP - 1, metrics._STRIP, metrics._STRIP + 1, 3 * metrics._STRIP])
def test_strips_count_each_row_once(height: int) -> None:
    image, clean = np.zeros((height, 2), np.uint8), np.zeros((height, 2), np.uint8)
    for row in {0, height // 2, height - 1}:
        image[row] = 10
    differing = len({0, height // 2, height - 1})
    assert psnr(image, clean, data_range=255) == pytest.approx(10 * math.log10(255**2 * height / (100 * differing)))


def test_equal_images_score_at_most() -> None:
    image, _, data_range = make_pair((20, 20, 3), np.uint8)
    assert psnr(image, image.copy(), data_range=data_range) == math.inf
    assert ssim(image, image.copy(), data_range=data_range) == pytest.approx(1.0, abs=1e-12)


def test_unsigned_difference_does_not_wrap() -> None:
    dark, light = np.full((4, 4), 1, np.uint8), np.full((4, 4), 2, np.uint8)
    assert psnr(dark, light, data_range=255) == psnr(light, dark, data_range=255) == pytest.approx(48.1308, abs=1e-4)


def test_known_noise_gives_the_known_figure() -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, (400, 400)).astype(np.float32)
    assert psnr(noise, np.zeros_like(noise), data_range=1.0) == pytest.approx(6.02, abs=0.05)


def test_views_and_read_only_arrays_are_measured_and_left_alone() -> None:
    noisy, clean, data_range = make_pair((24, 30, 3), np.uint8)
    for array in (noisy, clean):
        array.flags.writeable = False
    mirrored = ssim(noisy[::-1, :, ::-1], clean[::-1, :, ::-1], data_range=data_range)
    assert mirrored == pytest.approx(ssim(noisy, clean, data_range=data_range), abs=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_misuse_is_refused(metric: Callable[..., float]) -> None:
    image = np.zeros((16, 16), np.uint8)
    with pytest.raises(InputError, match=r"\(16, 16\) uint8 and \(16, 15\) uint8"):
        metric(image, image[:, :15], data_range=255)
    with pytest.raises(InputError, match=r"uint8 and \(16, 16\) float32"):
        metric(image, image.astype(np.float32), data_range=255)
    with pytest.raises(InputError, match=r"\(H, W\) or \(H, W, C\)"):
        metric(image[None, None], image[None, None], data_range=255)
    with pytest.raises(InputError, match="with pixels in them"):
        metric(image[:0], image[:0], data_range=255)
    with pytest.raises(InputError, match="integers or floats, found complex"):
        metric(image.astype(complex), image.astype(complex), data_range=255)
    for wrong in (0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="data_range must be a positive number"):
            metric(image, image, data_range=wrong)


@pytest.mark.parametrize("shape", [(10, 40), (40, 10, 3), (1, 1)])
def test_ssim_of_a_small_image_says_what_it_needs(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    with pytest.raises(InputError, match="at least 11x11 pixels, found"):
        ssim(image, image, data_range=255)
    assert psnr(image, image, data_range=255) == math.inf
