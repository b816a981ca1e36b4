"""The hot loops of the temporal filter, compiled by numba; `temporal` is their door, nothing is estimated here.

Frames and their average are (H, W * C): the channels of a pixel side by side. What lies beyond the edge is the edge.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.jit import jit

__all__ = ["SHRINK", "average", "energy", "shift", "shrink"]

Frame = NDArray[Any]
Plane = NDArray[np.float32]
SHRINK = 4  # side of the squares that `shrink` adds up


@jit
def energy(frame: Frame, average: Plane, scratch: Plane, out: Plane) -> None:
    """out[y, x] = what white noise of frame - average would have as its variance, judged by 7x7 pixels around (y, x).

    Sums over 3x3 pixels, squared, then averaged over the channels and 5x5 pixels: motion changes neighbours alike.
    `scratch` and `out` are (H, W).
    """
    height, width = out.shape
    channels = frame.shape[1] // width
    line = np.empty(frame.shape[1] + 2 * channels, np.float32)
    sums = np.empty((3, frame.shape[1]), np.float32)
    _add_beside(frame[0], average[0], channels, line, sums[0])
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        if below > y:
            _add_beside(frame[below], average[below], channels, line, sums[below % 3])
        _add_squares(sums[above % 3], sums[y % 3], sums[below % 3], channels, scratch[y])
    factor = np.float32(1 / (9 * 25 * channels))
    padded = np.empty(width + 4, np.float32)
    for y in range(height):
        first, second = scratch[max(y - 2, 0)], scratch[max(y - 1, 0)]
        fourth, fifth = scratch[min(y + 1, height - 1)], scratch[min(y + 2, height - 1)]
        _average_box(first, second, scratch[y], fourth, fifth, factor, padded, out[y])


@jit
def _add_beside(frame: Frame, average: Plane, channels: int, line: Plane, out: Plane) -> None:
    """One row of differences, each added to those left and right of it."""
    size = out.size
    for i in range(size):
        line[channels + i] = np.float32(frame[i]) - average[i]
    line[:channels] = line[channels : 2 * channels]
    line[size + channels :] = line[size : size + channels]
    for i in range(size):
        out[i] = line[i] + line[i + channels] + line[i + 2 * channels]


@jit
def _add_squares(first: Plane, second: Plane, third: Plane, channels: int, out: Plane) -> None:
    """The squares of three rows' sum, added over the channels."""
    if channels == 3:
        for x in range(out.size):
            a = first[3 * x] + second[3 * x] + third[3 * x]
            b = first[3 * x + 1] + second[3 * x + 1] + third[3 * x + 1]
            c = first[3 * x + 2] + second[3 * x + 2] + third[3 * x + 2]
            out[x] = a * a + b * b + c * c
    else:
        for x in range(out.size):
            a = first[x] + second[x] + third[x]
            out[x] = a * a


@jit
def _average_box(
    first: Plane, second: Plane, third: Plane, fourth: Plane, fifth: Plane, factor: np.float32, line: Plane, out: Plane
) -> None:
    """Five rows, added over five columns, times factor."""
    size = out.size
    for x in range(size):
        line[x + 2] = first[x] + second[x] + third[x] + fourth[x] + fifth[x]
    line[:2] = line[2]
    line[size + 2 :] = line[size + 1]
    for x in range(size):
        out[x] = (line[x] + line[x + 1] + line[x + 2] + line[x + 3] + line[x + 4]) * factor


@jit
def average(
    frame: Frame, energies: Plane, level: float, margin: float, least: float, mean: Plane, weight: Plane, out: Frame
) -> None:
    """mean += share * (frame - mean), weight = 1 / (share^2 + (1 - share)^2 / past), and `out` is the mean, rounded.

    share = max(1 / (past + 1), least) and past = weight / (1 + weight * missed^2), where missed = max(energy / level -
    margin * (1 + 1 / weight), 0) is what has changed since, as a variance relative to the noise; squared, because a
    little of it is chance and much of it is motion.
    """
    height, width = energies.shape
    share = np.empty(width, np.float32)
    inverse, factor, bound = np.float32(1 / level), np.float32(margin), np.float32(least)
    top = np.float32(255 if frame.itemsize == 1 else 65535)
    for y in range(height):
        _trust(energies[y], inverse, factor, bound, weight[y], share)
        if frame.shape[1] == 3 * width:
            _mix_three(frame[y], share, top, mean[y], out[y])
        else:
            _mix_one(frame[y], share, top, mean[y], out[y])


@jit
def _trust(
    energies: Plane, inverse: np.float32, margin: np.float32, least: np.float32, weight: Plane, share: Plane
) -> None:
    """A row's new weights, and the frame's share in its average."""
    one, nothing = np.float32(1), np.float32(1e-6)  # what a shift has brought in is worth, or a cut has left
    for x in range(share.size):
        past = max(weight[x], nothing)
        missed = max(energies[x] * inverse - margin * (one + one / past), np.float32(0))
        past = max(past / (one + past * missed * missed), nothing)
        new = max(one / (past + one), least)
        share[x] = new
        weight[x] = one / (new * new + (one - new) * (one - new) / past)


@jit
def _mix_three(frame: Frame, share: Plane, top: np.float32, mean: Plane, out: Frame) -> None:
    for x in range(share.size):
        for c in range(3):
            value = mean[3 * x + c] + share[x] * (np.float32(frame[3 * x + c]) - mean[3 * x + c])
            mean[3 * x + c] = value
            out[3 * x + c] = np.rint(min(max(value, np.float32(0)), top))  # a shift may overshoot


@jit
def _mix_one(frame: Frame, share: Plane, top: np.float32, mean: Plane, out: Frame) -> None:
    for x in range(share.size):
        value = mean[x] + share[x] * (np.float32(frame[x]) - mean[x])
        mean[x] = value
        out[x] = np.rint(min(max(value, np.float32(0)), top))


@jit
def shift(
    mean: Plane, weight: Plane, dy: int, dx: int, down: Plane, across: Plane, out: Plane, new_weight: Plane
) -> None:
    """out[y, x] = sum over j and k of down[j] * across[k] * mean[y + dy + j - T / 2 + 1, x + dx + k - T / 2 + 1].

    `down` and `across` are (T,), T even. new_weight[y, x] = weight[y + dy, x + dx], and 0 beyond the edge.
    """
    height, width = weight.shape
    channels, taps = mean.shape[1] // width, down.size
    before, size = taps // 2 - 1, mean.shape[1]
    x0, x1 = min(max(0, -dx), width), max(min(width, width - dx), 0)
    margin = taps * channels
    line = np.empty(size + 2 * margin, np.float32)
    for y in range(height):
        out[y] = 0
        new_weight[y] = 0
        row = line[margin : margin + size]
        row[:] = 0
        for j in range(taps):
            _add(mean[min(max(y + dy + j - before, 0), height - 1)], down[j], row)
        for k in range(0, margin, channels):
            line[k : k + channels] = row[:channels]
            line[margin + size + k : margin + size + k + channels] = row[size - channels :]
        for k in range(taps):
            start = margin + (x0 + dx + k - before) * channels
            _add(line[start : start + (x1 - x0) * channels], across[k], out[y, x0 * channels : x1 * channels])
        if 0 <= y + dy < height:
            new_weight[y, x0:x1] = weight[y + dy, x0 + dx : x1 + dx]


@jit
def _add(row: Plane, factor: np.float32, out: Plane) -> None:
    for i in range(row.size):
        out[i] += factor * row[i]


@jit
def shrink(frame: Frame, channels: int, out: Plane) -> None:
    """out[y, x] = the mean of the channels of 4x4 pixels; the rows and columns that are left over count nothing."""
    height, width = out.shape
    step, size = SHRINK * channels, SHRINK * channels * width
    line = np.empty(size, np.float32)
    for y in range(height):
        first, second, third, fourth = frame[4 * y], frame[4 * y + 1], frame[4 * y + 2], frame[4 * y + 3]
        for i in range(size):
            line[i] = np.float32(first[i]) + np.float32(second[i]) + np.float32(third[i]) + np.float32(fourth[i])
        for x in range(width):
            total = np.float32(0)
            for i in range(step):
                total += line[x * step + i]
            out[y, x] = total / np.float32(SHRINK * step)
