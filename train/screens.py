"""Photographs in few levels, as printers, faxes, old screens and games show them; uint8 (H, W, 3) RGB in and out.

A shade is a pattern there, of pixels as far apart as black and white: finer and stronger than any texture of a
photograph, and what a network that never saw it takes for noise and averages away.
"""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["on_screen"]

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

GREY = 0.5  # that share has no colour
MOST_LEVELS = 5  # of each colour, from two
WAYS = {"diffused": 0.35, "ordered": 0.25, "halftone": 0.25, "none": 0.15}  # how shades are made, and how often
ONE_PIXEL, LARGEST_PIXEL = 0.6, 4  # that share is shown pixel by pixel, the others up to so many times as large


def on_screen(photo: Image, rng: np.random.Generator) -> Image:
    """(H, W, 3) in two to five levels of each colour, or of grey."""
    shape = photo.shape[:2]
    zoom = 1 if rng.random() < ONE_PIXEL else int(rng.integers(2, LARGEST_PIXEL, endpoint=True))
    small = cv2.resize(photo, [-(-length // zoom) for length in shape[::-1]], interpolation=cv2.INTER_AREA)
    planes = [cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)] if rng.random() < GREY else list(cv2.split(small))
    levels = int(rng.integers(2, MOST_LEVELS, endpoint=True))
    way = rng.choice(list(WAYS), p=list(WAYS.values()))
    stretched = [cv2.normalize(plane, None, 0, levels - 1, cv2.NORM_MINMAX, cv2.CV_32F) for plane in planes]
    if way == "diffused":
        shown = [diffused(plane) for plane in stretched]
    else:
        shown = [np.floor(plane + _thresholds(way, plane.shape, rng)) for plane in stretched]
    shown = [plane.clip(0, levels - 1) * (255 / (levels - 1)) for plane in shown]
    picture = np.rint(np.stack(shown * (3 // len(shown)), axis=2)).astype(np.uint8)
    large = picture.repeat(zoom, 0).repeat(zoom, 1)[: shape[0], : shape[1]]
    return np.ascontiguousarray(large)


def _thresholds(way: str, shape: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """What is added before rounding down, (H, W) in [0, 1)."""
    if way == "none":
        return np.full(shape, 0.5, np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    if way == "ordered":
        matrix = bayer(int(rng.integers(1, 3, endpoint=True)))
        return np.tile(matrix, [-(-length // len(matrix)) for length in shape])[: shape[0], : shape[1]]
    angle, period = rng.uniform(0, np.pi / 2), rng.uniform(2.5, 8)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    waves = np.cos(u * (2 * np.pi / period)) + np.cos(v * (2 * np.pi / period))
    return (0.5 + waves * 0.2499).astype(np.float32)


def bayer(order: int) -> Plane:
    """The matrix of 2^order rows and columns of Bayer 1973: its values, evenly spaced in (0, 1), spread out most."""
    matrix = np.zeros((1, 1), np.float32)
    for _ in range(order):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return (matrix + np.float32(0.5)) / np.float32(matrix.size)


@njit(cache=True)
def diffused(plane: Plane) -> Plane:
    """(H, W) rounded, what is lost by it handed on to pixels not yet rounded: Floyd and Steinberg 1976."""
    height, width = plane.shape
    left = plane.copy()
    for y in range(height):
        for x in range(width):
            value = left[y, x]
            left[y, x] = np.rint(value)
            error = np.float32((value - left[y, x]) / 16)
            if x + 1 < width:
                left[y, x + 1] += 7 * error
            if y + 1 < height:
                if x > 0:
                    left[y + 1, x - 1] += 3 * error
                left[y + 1, x] += 5 * error
                if x + 1 < width:
                    left[y + 1, x + 1] += error
    return left
