"""The hot loops between pixels and tensors, compiled by numba; no geometry is decided here.

Their door is `kernels`, where functions of like names tell what the arguments are.

Pixels come as the memory of an image, flat: only so does the compiler see that neighbours there are the channels of one
pixel, and moves sixteen pixels at a time.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aeinfer.jit import jit

__all__ = ["Memory", "blend", "gather", "place"]

Tensor = NDArray[np.float32]
Integers = NDArray[np.int64]


class Memory(NamedTuple):
    """An image as it lies: value k of pixel (y, x) is flat[y * row_step + x * pixel_step + k], and channel order[k]."""

    flat: NDArray[Any]
    row_step: int
    pixel_step: int
    order: Integers


@jit
def gather(image: Memory, width: int, positions: Integers, bottoms: Integers, scale: float, out: Tensor) -> None:
    """out[b, c, y, x] = image[top + y, left + x, c] / scale; row bottoms[b] - 1, last column and channel repeat."""
    divisor = np.float32(scale)
    order, channels = image.order, min(image.order.size, out.shape[1])
    tall, wide = out.shape[2:]
    planes = out.reshape(out.shape[0], out.shape[1], tall * wide)
    for b in range(positions.shape[0]):
        top, left = positions[b, 0], positions[b, 1]
        rows, inside = min(tall, bottoms[b] - top), min(wide, width - left)
        # rows that follow one another in both are one long row
        joined = rows if inside == wide and image.row_step == wide * image.pixel_step else 1
        for y in range(0, rows, joined):
            start, count, at = (top + y) * image.row_step + left * image.pixel_step, inside * joined, y * wide
            line = image.flat[start : start + (count - 1) * image.pixel_step + order.size]
            end = at + count
            if channels == 3 and image.pixel_step == 3:
                first, second, third = planes[b, order[0]], planes[b, order[1]], planes[b, order[2]]
                _split(line, divisor, first[at:end], second[at:end], third[at:end])
            else:
                for k in range(order.size):
                    if order[k] < channels:
                        _pick(line[k:], image.pixel_step, divisor, planes[b, order[k]][at:end])
        _repeat_edges(out[b], channels, rows, inside)


@jit
def _repeat_edges(tile: Tensor, channels: int, rows: int, columns: int) -> None:
    """Fill what lies beyond the last channel, column and row with copies of them."""
    for c in range(tile.shape[0]):
        if c >= channels:
            tile[c, :rows, :columns] = tile[channels - 1, :rows, :columns]
        if columns < tile.shape[2]:
            for y in range(rows):
                tile[c, y, columns:] = tile[c, y, columns - 1]
        for y in range(rows, tile.shape[1]):
            tile[c, y] = tile[c, rows - 1]


@jit
def _split(row: NDArray[Any], divisor: np.float32, first: Tensor, second: Tensor, third: Tensor) -> None:
    """Three channels that lie side by side, each to a plane."""
    for x in range(row.size // 3):
        first[x] = np.float32(row[3 * x]) / divisor
        second[x] = np.float32(row[3 * x + 1]) / divisor
        third[x] = np.float32(row[3 * x + 2]) / divisor


@jit
def _pick(row: NDArray[Any], step: int, divisor: np.float32, plane: Tensor) -> None:
    """One channel, every `step`th value."""
    if step == 1:
        for x in range(plane.size):
            plane[x] = np.float32(row[x]) / divisor
    else:
        for x in range(plane.size):
            plane[x] = np.float32(row[x * step]) / divisor


@jit
def place(
    tiles: Tensor, positions: Integers, keep: Integers, source: Memory, strength: float, scale: float, out: Memory
) -> None:
    """out[y, x] = source + strength * (tile - source), clipped to [0, scale] and rounded unless scale is 1."""
    factor, share = np.float32(scale), np.float32(strength)
    order, channels = out.order, out.order.size
    wide = tiles.shape[3]
    planes = tiles.reshape(tiles.shape[0], tiles.shape[1], tiles.shape[2] * wide)
    averages = channels == 1 and tiles.shape[1] == 3
    average = np.empty(planes.shape[2] if averages else 0, np.float32)
    for b in range(positions.shape[0]):
        top, left = positions[b, 0], positions[b, 1]
        y0, y1, x0, x1 = keep[b, 0], keep[b, 1], keep[b, 2], keep[b, 3]
        # rows that follow one another in all three are one long row
        follows = out.row_step == wide * out.pixel_step and source.row_step == wide * source.pixel_step
        joined = y1 - y0 if x1 - x0 == wide and follows else 1
        count = (x1 - x0) * joined
        for y in range(y0, y1, joined):
            at = (y - top) * wide + x0 - left
            end = at + count
            start = y * out.row_step + x0 * out.pixel_step
            line = out.flat[start : start + (count - 1) * out.pixel_step + channels]
            if channels == 3 and out.pixel_step == 3 and share == np.float32(1):
                first, second, third = planes[b, order[0]], planes[b, order[1]], planes[b, order[2]]
                _join(first[at:end], second[at:end], third[at:end], factor, line)
                continue
            for k in range(channels):
                plane = planes[b, order[k]][at:end]
                if averages:
                    plane = average[:count]
                    _average(planes[b, 0][at:end], planes[b, 1][at:end], planes[b, 2][at:end], plane)
                if share == np.float32(1):
                    _put(plane, factor, line[k:], out.pixel_step)
                else:
                    lies = source.order[order[k]]  # forward or backward: either order is its own inverse
                    start = y * source.row_step + x0 * source.pixel_step + lies
                    before = source.flat[start : start + (count - 1) * source.pixel_step + 1]
                    _mix(plane, factor, before, source.pixel_step, share, line[k:], out.pixel_step)


@jit
def _store(value: np.float32, factor: np.float32) -> np.float32:
    """Clipped and rounded for integer pixels, whose full scale is not 1."""
    return value if factor == np.float32(1) else np.rint(min(max(value, np.float32(0)), factor))


@jit
def _join(first: Tensor, second: Tensor, third: Tensor, factor: np.float32, row: NDArray[Any]) -> None:
    """Three planes to channels that lie side by side."""
    for x in range(first.size):
        row[3 * x] = _store(first[x] * factor, factor)
        row[3 * x + 1] = _store(second[x] * factor, factor)
        row[3 * x + 2] = _store(third[x] * factor, factor)


@jit
def _put(plane: Tensor, factor: np.float32, row: NDArray[Any], step: int) -> None:
    """One plane to one channel, every `step`th value."""
    if step == 1:
        for x in range(plane.size):
            row[x] = _store(plane[x] * factor, factor)
    else:
        for x in range(plane.size):
            row[x * step] = _store(plane[x] * factor, factor)


@jit
def _mix(
    plane: Tensor,
    factor: np.float32,
    before: NDArray[Any],
    before_step: int,
    share: np.float32,
    row: NDArray[Any],
    step: int,
) -> None:
    """One plane blended with what was there before."""
    for x in range(plane.size):
        old = np.float32(before[x * before_step])
        row[x * step] = _store(old + share * (plane[x] * factor - old), factor)


@jit
def _average(first: Tensor, second: Tensor, third: Tensor, out: Tensor) -> None:
    """The mean of three planes."""
    for x in range(first.size):
        out[x] = (first[x] + second[x] + third[x]) / np.float32(3)


@jit
def blend(tiles: Tensor, positions: Integers, weights: Tensor, rows: Tensor, columns: Tensor, total: Tensor) -> None:
    """total[c, top + y, left + x] += tile * weights[y] * weights[x] / (rows[top + y] * columns[left + x])."""
    for b in range(positions.shape[0]):
        top, left = positions[b, 0], positions[b, 1]
        for c in range(tiles.shape[1]):
            for y in range(tiles.shape[2]):
                row = weights[y] / rows[top + y]
                for x in range(tiles.shape[3]):
                    total[c, top + y, left + x] += tiles[b, c, y, x] * row * (weights[x] / columns[left + x])
