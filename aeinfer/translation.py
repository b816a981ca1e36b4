"""How far a picture moved between two frames, as a whole, and how much brighter it became; nothing is moved here.

Phase correlation (Kuglin and Hines 1975) finds the shift that most of the picture agrees with, to a pixel; the gradient
method of Lucas and Kanade (1981), with what disagrees left out, finds the fraction.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["DARK", "find_gain", "find_translation"]

Plane = NDArray[np.float32]
Shift = tuple[float, float]

SMALLEST = 30  # side in pixels below which nothing is found
DARK = 0.5  # in steps of the values: what is darker is no light, but rounding or what is left of an average
STEPS, ENOUGH = 4, 0.01  # of least squares: at most, and the last one in pixels
DISAGREE = 2.5  # standard deviations
BETTER = 0.95  # a shift must leave less than so much of the difference that no shift leaves


def find_translation(before: Plane, after: Plane) -> Shift:
    """Return (dy, dx) such that after[y, x] is near before[y + dy, x + dx]; (0, 0) where no shift is better than none.

    Parameters
    ----------
    before, after : (H, W) float32
        Of one size. A change of brightness between them is no shift.

    Returns
    -------
    (dy, dx) : pixels, with fractions

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64].astype(np.float32)
    >>> dy, dx = find_translation(np.sin(x / 3) * np.cos(y / 5), np.sin((x + 2.5) / 3) * np.cos(y / 5))
    >>> round(dy, 1), round(dx, 1)
    (0.0, 2.5)
    """
    if min(after.shape) < SMALLEST:
        return 0.0, 0.0
    before, after = _smooth(before), _smooth(after)
    dy, dx = _whole_shift(before, after)
    for _ in range(STEPS):
        still, moved = _overlap(before, after, dy, dx)
        if min(moved.shape) < SMALLEST:
            return 0.0, 0.0
        down, across = _step(still, moved)
        dy, dx = dy + down, dx + across
        if max(abs(down), abs(across)) < ENOUGH:
            break
    # interpolation takes noise away, whichever way it shifts: so the way back must be worse as well
    others = min(_difference(before, after, 0, 0), _difference(before, after, -dy, -dx))
    return (dy, dx) if _difference(before, after, dy, dx) < BETTER * others else (0.0, 0.0)


def find_gain(before: Plane, after: Plane, shift: Shift) -> float:
    """Return by what most of `after` is brighter than `before`, which lies at that shift: 1 where nothing can be said.

    Parameters
    ----------
    before, after : (H, W) float32
        Not negative.
    shift : (dy, dx)
        From `find_translation`.

    Examples
    --------
    >>> find_gain(np.full((4, 4), 80, np.float32), np.full((4, 4), 100, np.float32), (0.0, 0.0))
    1.25
    """
    still, moved = _overlap(before, after, *shift)
    lit = (still > DARK) & (moved > DARK)
    return float(np.median(moved[lit] / still[lit])) if lit.any() else 1.0


def _smooth(plane: Plane) -> Plane:
    """Weights 1, 2, 1 down and across: gradients need it."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    smooth: Plane = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return smooth


def _whole_shift(before: Plane, after: Plane) -> Shift:
    height, width = after.shape
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    first, second = (np.fft.rfft2((plane - plane.mean()) * window) for plane in (before, after))
    cross = first * second.conj()
    strength = np.abs(cross)
    peak = int(np.argmax(np.fft.irfft2(cross / np.maximum(strength, 1e-20), after.shape)))
    dy, dx = divmod(peak, width)
    return float((dy + height // 2) % height - height // 2), float((dx + width // 2) % width - width // 2)


def _overlap(before: Plane, after: Plane, dy: float, dx: float) -> tuple[Plane, Plane]:
    """`before` as it looks after the shift, and `after`, both where both are there."""
    height, width = after.shape
    y, x = math.floor(dy), math.floor(dx)
    below, right = np.float32(dy - y), np.float32(dx - x)
    y0, y1, x0, x1 = max(0, -y), min(height, height - 1 - y), max(0, -x), min(width, width - 1 - x)
    part = before[y0 + y : y1 + y + 1, x0 + x : x1 + x + 1]
    part = part[:-1] + below * (part[1:] - part[:-1])
    part = part[:, :-1] + right * (part[:, 1:] - part[:, :-1])
    return part, after[y0:y1, x0:x1]


def _difference(before: Plane, after: Plane, dy: float, dx: float) -> float:
    """What is left between both after that shift, but for brightness."""
    still, moved = _overlap(before, after, dy, dx)
    return float(np.std(moved - still)) if moved.size else math.inf


def _step(still: Plane, moved: Plane) -> Shift:
    """The shift that is left, at most a pixel: least squares over the gradients of the middle between both."""
    middle, difference = (still + moved) / 2, (moved - still)[1:-1, 1:-1]
    difference = difference - np.median(difference[::2, ::2])
    down, across = (middle[2:, 1:-1] - middle[:-2, 1:-1]) / 2, (middle[1:-1, 2:] - middle[1:-1, :-2]) / 2
    spread = 1.4826 * np.median(np.abs(difference[::2, ::2]))
    agrees = np.abs(difference) <= DISAGREE * spread
    gradients = np.stack([down[agrees], across[agrees]]).astype(np.float64)
    square = gradients @ gradients.T
    square += np.eye(2) * (1e-6 * np.trace(square) + 1e-9)  # of an even picture it has no inverse
    step = np.linalg.solve(square, gradients @ difference[agrees])
    dy, dx = np.clip(step, -1, 1)
    return float(dy), float(dx)
