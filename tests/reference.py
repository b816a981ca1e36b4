"""Slow and obvious numpy twins of what aeinfer does fast; the tests compare against them, nothing else uses them."""

import numpy as np


def psnr(image: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """PSNR in dB by its definition, one pixel after the other."""
    errors = [(float(a) - float(b)) ** 2 for a, b in zip(image.flat, reference.flat, strict=True)]
    mean = sum(errors) / len(errors)
    return float("inf") if mean == 0 else float(10 * np.log10(data_range**2 / mean))


def ssim(image: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """SSIM by its definition: each 11x11 window of each channel under two-dimensional gaussian weights."""
    y, x = np.mgrid[-5:6, -5:6]
    weights = np.exp(-(y**2 + x**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    planes = [np.atleast_3d(array).astype(np.float64) for array in (image, reference)]
    height, width, channels = planes[0].shape
    values = []
    for channel, top, left in np.ndindex(channels, height - 10, width - 10):
        a, b = (plane[top : top + 11, left : left + 11, channel] for plane in planes)
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        spread_a, spread_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
        shared = (weights * (a - mean_a) * (b - mean_b)).sum()
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        values.append(luminance * (2 * shared + c2) / (spread_a + spread_b + c2))
    return float(np.mean(values))
