"""What crops of photographs are made to look like before any noise: uint8 (H, W, 3) RGB in and out.

Each is a kind of picture that the photographs for training have too few of.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.camera import LUMA

SPECKLED, FAINTEST_SPECK = 0.2, 60  # that share of the patterns of colour is specks, of so many levels or more


def through_mesh(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) made darker and brighter by one grating or the product of two, from sines to nearly square waves.

    Periods are of 2 to 8 pixels, directions any, contrasts of 0.05 to 0.9.
    """
    mesh = _mesh(photo.shape[:2], rng)
    return np.clip(photo * (1 + rng.uniform(0.05, 0.9) * mesh[..., None]), 0, 255).astype(np.uint8)


def in_two_colours(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) with such a mesh in colour alone, luma left: knit, tweed, stripes and checks of equal brightness.

    Deviations are of 10 to 120 levels in the colour that has most of it. Of some the mesh is specks of 1 to 3 pixels.
    """
    shape, strength = photo.shape[:2], rng.uniform(10, 120)
    if rng.random() < SPECKLED:
        side = int(rng.integers(1, 3, endpoint=True))
        small = rng.random([-(-length // side) for length in shape]) < rng.uniform(0.01, 0.1)
        mesh = small.repeat(side, 0).repeat(side, 1)[: shape[0], : shape[1]].astype(np.float32)
        strength = max(strength, FAINTEST_SPECK)  # weaker ones are a camera's noise
    else:
        mesh = _mesh(shape, rng)
    direction = rng.standard_normal(3, np.float32)
    direction -= LUMA @ direction
    coloured = photo + mesh[..., None] * (direction * (strength / np.abs(direction).max()))
    return np.clip(np.rint(coloured), 0, 255).astype(np.uint8)


def with_vivid_colours(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) with up to three times the contrast in each colour, around black, grey or white: many are at an end.

    What clips there under noise is another share of it in each colour.
    """
    middles = rng.choice((0.0, 127.5, 255.0), 3)
    stretched = middles + (photo - middles) * rng.uniform(1, 3, 3)
    return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def _mesh(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) in [-1, 1]: one grating or the product of two, of any direction, from sines to nearly square waves."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    mesh = np.ones_like(x)
    for _ in range(rng.integers(1, 3)):
        angle, period, phase = rng.uniform(0, np.pi), rng.uniform(2, 8), rng.uniform(0, 2 * np.pi)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period) + phase)
        mesh *= np.clip(wave * rng.uniform(1, 4), -1, 1)
    return mesh


def with_grain(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) made darker and brighter by noise that is the same in all colours, stronger here and weaker there.

    Neighbours are alike up to a blur of 0.8 pixels, deviations up to half the brightness, tails light to heavy.
    """
    grain = rng.standard_normal(photo.shape[:2], dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.1, 0.8))
    grain = np.sign(grain) * np.abs(grain) ** rng.uniform(0.5, 2)
    places = rng.uniform(-0.3, 1, (4, 4)).astype(np.float32)
    strength = np.clip(cv2.resize(places, grain.shape[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)
    grain *= strength * (rng.uniform(0.05, 0.5) / grain.std())
    return np.clip(photo * (1 + grain[..., None]), 0, 255).astype(np.uint8)


def sharpened(photo: NDArray[np.uint8], amount: float, width: float) -> NDArray[np.uint8]:
    """By an unsharp mask: what a Gaussian of that width in pixels takes away is added so many times."""
    levels = photo.astype(np.float32)
    blurred = cv2.GaussianBlur(levels, (0, 0), width)
    return np.clip(np.rint(levels + np.float32(amount) * (levels - blurred)), 0, 255).astype(np.uint8)


def with_soft_colour(photo: NDArray[np.uint8], width: float) -> NDArray[np.uint8]:
    """With colour differences blurred by a Gaussian of that width in pixels."""
    planes = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2YCrCb)
    planes[..., 1:] = cv2.GaussianBlur(planes[..., 1:], (0, 0), width)
    return cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB)


def middle(image: NDArray[Any], side: int) -> NDArray[Any]:
    """Return the middle of (H, W, 3), `side` pixels each way where there are so many, and multiples of 16."""
    height, width = (min(side, length) // 16 * 16 for length in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
