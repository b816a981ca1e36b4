"""The hot loops between pixels and tensors: gather tiles, place tiles, blend windows; no geometry is decided here.

Layout, dtype, scale and padding change in one pass each way, and nowhere else in aeinfer.
Images are (H, W, C) uint8, uint16 or float32; tiles are (B, C, T, T) float32 in [0, 1], or (B, C, T_h, T_w).
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from aeinfer.errors import InputError
from aeinfer.jit import jit

__all__ = ["blend_tiles", "from_float", "full_scale", "gather_tiles", "place_tiles", "to_float"]

Image = NDArray[Any]
Tensor = NDArray[np.float32]
Positions = NDArray[np.int64]


def full_scale(dtype: DTypeLike) -> float:
    """Return the value that means 1.0 in images of that dtype: 255, 65535 or 1.

    Raises
    ------
    InputError
        The dtype is none of uint8, uint16 and float32.

    Examples
    --------
    >>> full_scale("uint8")
    255.0
    """
    try:
        return {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}[np.dtype(dtype).name]
    except KeyError:
        raise InputError(f"images are uint8, uint16 or float32, got {np.dtype(dtype)}; convert the array") from None


def to_float(image: Image) -> Tensor:
    """Return a uint8, uint16 or float32 image of any shape as float32 in [0, 1] nominal.

    Examples
    --------
    >>> to_float(np.array([0, 255], np.uint8))
    array([0., 1.], dtype=float32)
    """
    return image.astype(np.float32) / np.float32(full_scale(image.dtype))


def from_float(values: Tensor, dtype: DTypeLike) -> Image:
    """Return float32 values as an image of that dtype: clipped and rounded for integers, as they are for float32.

    Examples
    --------
    >>> from_float(np.array([-1, 0.5, 2], np.float32), "uint8")
    array([  0, 128, 255], dtype=uint8)
    """
    scale = np.float32(full_scale(dtype))
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    image: Image = np.rint(np.clip(values * scale, 0, scale)).astype(dtype)
    return image


@jit
def gather_tiles(image: Image, positions: Positions, scale: float, out: Tensor) -> None:
    """out[b, c, y, x] = image[top + y, left + x, c] / scale, the last row, column and channel repeated beyond the edge.

    `positions` is (B, 2): top and left of each tile.
    """
    height, width, channels = image.shape
    divisor = np.float32(scale)
    for b in range(positions.shape[0]):
        top, left = positions[b, 0], positions[b, 1]
        inside = min(out.shape[3], width - left)
        for y in range(out.shape[2]):
            row = min(top + y, height - 1)
            for c in range(out.shape[1]):
                channel = min(c, channels - 1)
                for x in range(inside):
                    out[b, c, y, x] = np.float32(image[row, left + x, channel]) / divisor
                edge = out[b, c, y, inside - 1]
                for x in range(inside, out.shape[3]):
                    out[b, c, y, x] = edge


@jit
def place_tiles(
    tiles: Tensor, positions: Positions, keep: Positions, source: Image, strength: float, scale: float, out: Image
) -> None:
    """out[y, x] = source + strength * (tile - source), clipped to [0, scale] and rounded unless scale is 1.

    `keep` is (B, 4): the rows and columns y0, y1, x0, x1 of the image that each tile writes. A tile with more channels
    than the image is averaged over them.
    """
    channels = out.shape[2]
    factor, share = np.float32(scale), np.float32(strength)
    for b in range(positions.shape[0]):
        top, left = positions[b, 0], positions[b, 1]
        y0, y1, x0, x1 = keep[b, 0], keep[b, 1], keep[b, 2], keep[b, 3]
        for y in range(y0, y1):
            for c in range(channels):
                for x in range(x0, x1):
                    if channels == 1 and tiles.shape[1] == 3:
                        total = tiles[b, 0, y - top, x - left] + tiles[b, 1, y - top, x - left]
                        value = (total + tiles[b, 2, y - top, x - left]) / np.float32(3)
                    else:
                        value = tiles[b, c, y - top, x - left]
                    value *= factor
                    if share != np.float32(1):
                        before = np.float32(source[y, x, c])
                        value = before + share * (value - before)
                    if scale == 1.0:
                        out[y, x, c] = value
                    else:
                        out[y, x, c] = np.rint(min(max(value, np.float32(0)), factor))


@jit
def blend_tiles(
    tiles: Tensor, positions: Positions, weights: Tensor, rows: Tensor, columns: Tensor, total: Tensor
) -> None:
    """total[c, top + y, left + x] += tile * weights[y] * weights[x] / (rows[top + y] * columns[left + x]).

    `rows` and `columns` hold the sums of the weights of all windows, so the blended total needs no second pass.
    """
    for b in range(positions.shape[0]):
        top, left = positions[b, 0], positions[b, 1]
        for c in range(tiles.shape[1]):
            for y in range(tiles.shape[2]):
                row = weights[y] / rows[top + y]
                for x in range(tiles.shape[3]):
                    total[c, top + y, left + x] += tiles[b, c, y, x] * row * (weights[x] / columns[left + x])
