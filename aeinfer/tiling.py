"""Tile geometry: which windows of an image the network reads, and which part of each is kept; integers only, no pixels.

A convolutional network reads tiles that overlap by its halo and keeps the inside of each. A fixed-window network reads
windows that overlap by half and are blended with weights.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import InputError

__all__ = [
    "DEFAULT_TILE",
    "TilePlan",
    "blend_weights",
    "pixels_for_memory",
    "plan_tiles",
    "plan_windows",
    "tile_for_memory",
]

Integers = NDArray[np.int64]

DEFAULT_TILE = 1024  # kept side in pixels: a halo of 64 adds a quarter, and the activations stay under 200 MB
BASE_MEMORY_MB = 40  # what a session holds before the first pixel


@dataclass(frozen=True)
class TilePlan:
    """The tiles of one image, all of one size.

    Attributes
    ----------
    height, width : int
        Size of every tile in pixels.
    positions : (B, 2) int64
        Top and left of each tile in the image.
    keep : (B, 4) int64
        y0, y1, x0, x1: the part of the image that each tile writes. Together they cover it once, unless `blended`.
    bottoms : (B,) int64
        The row behind the last one of each tile's image: what lies below is another image's.
    blended : bool
        The tiles overlap in what they write and are to be blended.
    """

    height: int
    width: int
    positions: Integers
    keep: Integers
    bottoms: Integers
    blended: bool = False

    def repeated(self, count: int) -> "TilePlan":
        """Return the plan of so many images of that size, one below the other.

        Examples
        --------
        >>> plan_windows(28, 28, window=28).repeated(3).positions.tolist()
        [[0, 0], [28, 0], [56, 0]]
        """
        tops = np.repeat(np.arange(count) * self.bottoms[0], len(self.positions))
        positions = np.tile(self.positions, (count, 1)) + tops[:, None] * [1, 0]
        keep = np.tile(self.keep, (count, 1)) + tops[:, None] * [1, 1, 0, 0]
        return TilePlan(self.height, self.width, positions, keep, np.tile(self.bottoms, count) + tops, self.blended)


def plan_tiles(height: int, width: int, *, tile: int, halo: int, stride: int) -> TilePlan:
    """Plan tiles whose kept parts see at least `halo` pixels of context, or the image's own edge.

    Tiles at the border sit on it, where the network pads as it would for the whole image, so that tiled equals whole;
    every start is a multiple of `stride`. An image smaller than one tile is one tile, rounded up to the stride.

    Examples
    --------
    >>> plan = plan_tiles(100, 300, tile=128, halo=16, stride=16)
    >>> plan.height, plan.width, plan.positions.tolist()
    (112, 160, [[0, 0], [0, 128], [0, 144]])
    """
    if tile < 1:
        raise InputError(f"the tile's kept side is at least 1 pixel, got {tile}")
    halo = _round_up(halo, stride)
    rows = _spans(height, _round_up(tile, stride), halo, stride)
    columns = _spans(width, _round_up(tile, stride), halo, stride)
    positions = [(top, left) for top, _y0, _y1 in rows.starts for left, _x0, _x1 in columns.starts]
    keep = [(y0, y1, x0, x1) for _top, y0, y1 in rows.starts for _left, x0, x1 in columns.starts]
    bottoms = np.full(len(positions), height, np.int64)
    return TilePlan(rows.size, columns.size, np.array(positions, np.int64), np.array(keep, np.int64), bottoms)


def plan_windows(height: int, width: int, *, window: int) -> TilePlan:
    """Plan windows of a fixed size that overlap by half, the last one on the image's edge.

    Examples
    --------
    >>> plan_windows(28, 50, window=28).positions.tolist()
    [[0, 0], [0, 14], [0, 22]]
    """
    rows, columns = _window_starts(height, window), _window_starts(width, window)
    positions = np.array([(top, left) for top in rows for left in columns], np.int64)
    ends = np.minimum(positions + window, [height, width])
    keep = np.stack([positions[:, 0], ends[:, 0], positions[:, 1], ends[:, 1]], 1)
    bottoms = np.full(len(positions), height, np.int64)
    return TilePlan(window, window, positions, keep, bottoms, blended=len(positions) > 1)


def blend_weights(window: int) -> NDArray[np.float32]:
    """(window,) weights: a raised cosine that never reaches zero, so that a border pixel has a weight too.

    Examples
    --------
    >>> weights = blend_weights(28)
    >>> bool(weights.min() > 0), bool((weights == weights[::-1]).all())
    (True, True)
    """
    half = np.sin(np.pi * (np.arange((window + 1) // 2) + 0.5) / window) ** 2
    return np.concatenate([half, half[: window // 2][::-1]]).astype(np.float32)


def pixels_for_memory(max_memory_mb: float, *, bytes_per_pixel: int) -> int:
    """Return how many pixels may be in the network at once.

    Examples
    --------
    >>> pixels_for_memory(300, bytes_per_pixel=400)
    650000
    """
    return max(0, int((max_memory_mb - BASE_MEMORY_MB) * 1e6)) // bytes_per_pixel


def tile_for_memory(max_memory_mb: float, *, halo: int, stride: int, bytes_per_pixel: int) -> int:
    """Return the largest kept side whose activations fit.

    Raises
    ------
    InputError
        Not even a tile of one stride fits.

    Examples
    --------
    >>> tile_for_memory(300, halo=32, stride=16, bytes_per_pixel=400)
    736
    """
    context = 2 * _round_up(halo, stride)
    side = math.isqrt(pixels_for_memory(max_memory_mb, bytes_per_pixel=bytes_per_pixel)) - context
    if side < stride:
        least = math.ceil((stride + context) ** 2 * bytes_per_pixel / 1e6 + BASE_MEMORY_MB) + 1
        raise InputError(f"max_memory_mb={max_memory_mb} is too small for this model: give at least {least}")
    return side // stride * stride


@dataclass(frozen=True)
class _Spans:
    size: int
    starts: list[tuple[int, int, int]]  # where a tile begins, and the first and last + 1 that it keeps


def _spans(length: int, tile: int, halo: int, stride: int) -> _Spans:
    padded = _round_up(length, stride)
    size = tile + 2 * halo
    if padded <= size:
        return _Spans(padded, [(0, 0, length)])
    starts, kept = [], 0
    while kept < length:
        start = min(max(0, kept - halo), padded - size)
        end = length if start + size >= padded else start + size - halo
        starts.append((start, kept, end))
        kept = end
    return _Spans(size, starts)


def _window_starts(length: int, window: int) -> list[int]:
    if length <= window:
        return [0]
    return [*range(0, length - window, max(1, window // 2)), length - window]


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
