"""How close an image is to its reference: PSNR and SSIM in plain numpy; data_range is always given, never guessed.

Images are (H, W) or (H, W, C). Whether alpha counts is the caller's business: what is passed is measured.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import InputError

__all__ = ["SSIM_WINDOW", "psnr", "ssim"]

_SIGMA: Final = 1.5  # of the window of Wang et al. 2004, in pixels
_RADIUS: Final = 5  # 3.5 sigma: 11 taps
SSIM_WINDOW: Final = 2 * _RADIUS + 1  # smaller images have none
_STRIP: Final = 128  # rows measured at once, so that memory does not grow with the photograph

Image = NDArray[Any]
Map = NDArray[np.float64]


def psnr(image: Image, reference: Image, *, data_range: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(data_range^2 / mean squared error), in dB.

    Parameters
    ----------
    image, reference
        (H, W) or (H, W, C), any one shape and dtype for both; the mean runs over all pixels and channels in float64.
    data_range
        Distance from black to white: 255 for uint8, 65535 for uint16, 1.0 for float images in [0, 1].

    Returns
    -------
    dB; ``inf`` when the two are equal.

    Raises
    ------
    InputError
        Shapes or dtypes differ, there are no pixels, or data_range is not a positive number.

    Examples
    --------
    >>> black = np.zeros((2, 2), np.uint8)
    >>> psnr(black + np.uint8(255), black, data_range=255)
    0.0
    """
    _check(image, reference, data_range)
    total = 0.0
    for rows in _strips(len(image), overlap=0):
        difference = np.subtract(image[rows], reference[rows], dtype=np.float64)
        total += float(np.vdot(difference, difference))
    mean = total / image.size
    return math.inf if mean == 0 else 20 * math.log10(data_range) - 10 * math.log10(mean)


def ssim(image: Image, reference: Image, *, data_range: float) -> float:
    """Mean structural similarity with the gaussian window of Wang et al. 2004; 1.0 means equal.

    The window has a standard deviation of 1.5 pixels and 11 taps, covariances are those of the population, and
    only windows that lie wholly inside the image count. It equals scikit-image's ``structural_similarity`` with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``, computed in float64.

    Parameters
    ----------
    image, reference
        (H, W) or (H, W, C) with H and W of at least 11 pixels; the result is the mean over the channels.
    data_range
        Distance from black to white: 255 for uint8, 65535 for uint16, 1.0 for float images in [0, 1].

    Raises
    ------
    InputError
        Shapes or dtypes differ, a side is shorter than 11 pixels, or data_range is not a positive number.

    Examples
    --------
    >>> white = np.full((16, 16, 3), 255, np.uint8)
    >>> ssim(white, white, data_range=255)
    1.0
    """
    _check(image, reference, data_range)
    height, width = image.shape[:2]
    if min(height, width) < SSIM_WINDOW:
        raise InputError(
            f"ssim needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, found {height}x{width} "
            "(height x width); psnr has no such limit"
        )
    total = 0.0
    for rows in _strips(height, overlap=SSIM_WINDOW - 1):
        x, y = image[rows].astype(np.float64), reference[rows].astype(np.float64)
        total += float(_similarity(x, y, data_range).sum())
    windows: int = (height - SSIM_WINDOW + 1) * (width - SSIM_WINDOW + 1) * (image.size // (height * width))
    return total / windows


def _similarity(x: Map, y: Map, data_range: float) -> Map:
    """SSIM of each window that lies wholly inside x and y."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = _weighted_mean(x), _weighted_mean(y)
    variance_x = _weighted_mean(x * x) - mean_x * mean_x
    variance_y = _weighted_mean(y * y) - mean_y * mean_y
    covariance = _weighted_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    result: Map = luminance * structure
    return result


def _weighted_mean(values: Map) -> Map:
    """Gaussian mean of each whole window: the two first axes shrink by 10, others stay."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    height, width = values.shape[0] - SSIM_WINDOW + 1, values.shape[1] - SSIM_WINDOW + 1
    down: Map = sum(weight * values[tap : tap + height] for tap, weight in enumerate(weights))
    across: Map = sum(weight * down[:, tap : tap + width] for tap, weight in enumerate(weights))
    return across


def _strips(height: int, overlap: int) -> Iterator[slice]:
    """Slices of rows that together hold each run of `overlap` + 1 rows exactly once."""
    for top in range(0, height - overlap, _STRIP):
        yield slice(top, min(top + _STRIP + overlap, height))


def _check(image: Image, reference: Image, data_range: float) -> None:
    if image.shape != reference.shape or image.dtype != reference.dtype:
        raise InputError(
            f"expected two images of one shape and dtype, found {image.shape} {image.dtype} "
            f"and {reference.shape} {reference.dtype}; convert or crop one of them first"
        )
    if image.ndim not in (2, 3) or image.size == 0:
        raise InputError(f"expected images of shape (H, W) or (H, W, C) with pixels in them, found {image.shape}")
    if image.dtype.kind not in "uif":
        raise InputError(f"expected images of integers or floats, found {image.dtype}")
    if not (math.isfinite(data_range) and data_range > 0):
        raise InputError(f"data_range must be a positive number (255 for uint8, 1.0 for [0, 1]), not {data_range!r}")
