"""Tile geometry: which windows of an image the network reads, and which part of each is kept; integers only, no pixels.

A convolutional network reads tiles that overlap by its halo and keeps the inside of each. A fixed-window network reads
windows that overlap by half and are blended with weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import InputError

__all__ = [
    "Band",
    "TilePlan",
    "blend_weights",
    "plan_tiles",
    "plan_windows",
    "round_up",
    "split_rows",
]

Integers = NDArray[np.int64]


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
    every start is a multiple of `stride`. An image smaller than one tile is one tile, rounded up to the stride; tiles
    of a larger one are as small as their number allows, so that the last of them repeats little.

    Examples
    --------
    >>> plan = plan_tiles(100, 300, tile=128, halo=16, stride=16)
    >>> plan.height, plan.width, plan.positions.tolist()
    (112, 128, [[0, 0], [0, 96], [0, 176]])
    """
    if tile < 1:
        raise InputError(f"the tile's kept side is at least 1 pixel, got {tile}")
    halo = round_up(halo, stride)
    tall, rows = _spans(height, round_up(tile, stride), halo, stride)
    wide, columns = _spans(width, round_up(tile, stride), halo, stride)
    positions = [(top, left) for top, _y0, _y1 in rows for left, _x0, _x1 in columns]
    keep = [(y0, y1, x0, x1) for _top, y0, y1 in rows for _left, x0, x1 in columns]
    bottoms = np.full(len(positions), height, np.int64)
    return TilePlan(tall, wide, np.array(positions, np.int64), np.array(keep, np.int64), bottoms)


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


@dataclass(frozen=True)
class Band:
    """Rows of an image that are worked on by themselves.

    Attributes
    ----------
    top, bottom : int
        The rows that are read, bottom excluded.
    end : int
        The rows that this band writes end before it, and the next one's begin with it.
    plan : TilePlan
        The tiles of these rows, counted from `top`.
    """

    top: int
    bottom: int
    end: int
    plan: TilePlan


def split_rows(plan: TilePlan, rows: int) -> Iterator[Band]:
    """Split a plan into bands of `rows` rows of tiles, which together write what the plan writes.

    A band of blended windows repeats those of its neighbours that reach into it, so that its own rows are complete.

    Examples
    --------
    >>> plan = plan_tiles(100, 300, tile=32, halo=16, stride=16)
    >>> [(band.top, band.bottom, band.end) for band in split_rows(plan, 1)]
    [(0, 64, 48), (32, 96, 80), (48, 112, 100)]
    """
    starts = np.unique(plan.positions[:, 0])
    height = int(plan.keep[:, 1].max())
    for first in range(0, len(starts), rows):
        following = first + rows
        own = starts[first:following]
        if plan.blended:
            begin, end = int(own[0]), int(starts[following]) if following < len(starts) else height
            own = starts[(starts > begin - plan.height) & (starts < end)]
        top, bottom = int(own[0]), int(own[-1]) + plan.height
        tiles = slice(*np.searchsorted(plan.positions[:, 0], [own[0], own[-1] + 1]))
        keep = plan.keep[tiles]
        if plan.blended:
            keep = np.column_stack([keep[:, :2].clip(begin, end), keep[:, 2:]])
        positions, bottoms = plan.positions[tiles] - np.array([top, 0]), plan.bottoms[tiles] - top
        here = keep - np.array([top, top, 0, 0])
        band = TilePlan(plan.height, plan.width, positions, here, bottoms, plan.blended)
        yield Band(top, bottom, int(keep[:, 1].max()), band)


def _spans(length: int, tile: int, halo: int, stride: int) -> tuple[int, list[tuple[int, int, int]]]:
    """Return the tiles' size along one axis, and of each where it begins, and the first and last + 1 that it keeps."""
    padded = round_up(length, stride)
    if padded <= tile + 2 * halo:
        return padded, [(0, 0, length)]
    count = -(-(padded - 2 * halo) // tile)
    size = round_up(-(-(padded + 2 * halo * (count - 1)) // count), stride)  # no larger than so many tiles need
    spans, kept = [], 0
    while kept < length:
        start = min(max(0, kept - halo), padded - size)
        end = length if start + size >= padded else start + size - halo
        spans.append((start, kept, end))
        kept = end
    return size, spans


def _window_starts(length: int, window: int) -> list[int]:
    if length <= window:
        return [0]
    return [*range(0, length - window, max(1, window // 2)), length - window]


def round_up(value: int, multiple: int) -> int:
    """Return the least multiple that is not less than the value.

    Examples
    --------
    >>> round_up(100, 16)
    112
    """
    return -(-value // multiple) * multiple
