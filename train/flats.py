"""Parts of pictures that are of one colour, without any noise: bars, frames, corners of turned pictures, boxes."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["flat_part"]

BOXED = 0.25  # that share are a box, or all around one; the others lie along one side or two
TURNED = 0.2  # that share of the sides are not upright
DEEPEST = 0.45  # of a crop's side
BLACK, WHITE = 0.5, 0.2  # the others are of any colour


def flat_part(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return where in pixels of `shape`, (H, W), there is no picture, and the colour there: (3,) in [0, 1].

    A network judges by what is near how much noise there is. One that never saw a bar beside a noisy picture takes it
    for a sign that there is none, and leaves a rim of noise along it.
    """
    height, width = shape
    side = max(shape)
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    if rng.random() < BOXED:
        (top, left), (bottom, right) = np.sort(rng.uniform(-0.5, 0.5, (2, 2)), axis=0)
        where = (top < y) & (y < bottom) & (left < x) & (x < right)
        where = where ^ (rng.random() < 0.5)
    else:
        where = np.zeros((side, side), bool)
        for _ in range(rng.integers(1, 2, endpoint=True)):
            angle = np.pi / 2 * rng.integers(4)
            angle += rng.uniform(-np.pi / 4, np.pi / 4) * (rng.random() < TURNED)
            where |= x * np.cos(angle) + y * np.sin(angle) > 0.5 - rng.uniform(0, DEEPEST)
    drawn = rng.random()
    levels = 0 if drawn < BLACK else 255 if drawn < BLACK + WHITE else rng.integers(256, size=3)
    return where[:height, :width], np.full(3, levels, np.float32) / np.float32(255)
