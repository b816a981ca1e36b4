"""What is too much at once is cut: a job into bands of rows, a batch into smaller ones; nothing is computed here."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from aeinfer.batching import Part, TileJob
from aeinfer.model_info import ModelInfo
from aeinfer.tiling import TilePlan, plan_tiles, split_rows

__all__ = ["halved", "in_bands"]


def in_bands(job: TileJob, rows: int, *, in_place: bool) -> Iterator[TileJob]:
    """Split a job into jobs of `rows` rows of tiles, which together do the same.

    `in_place` says that the output is the image itself. A tile's halo is read after its neighbour was written there, so
    each band reads a copy of its rows: those that an earlier band writes come from that band's copy, which must be
    taken before anything beyond them is written. So the bands are to be run in order.
    """
    copied, top, end = job.image[:0], 0, 0  # the band before: its copy, where that begins, what it writes
    for band in split_rows(job.plan, rows):
        image = job.image[band.top : band.bottom]
        if in_place:
            image = np.concatenate([copied[band.top - top : end - top], job.image[end : band.bottom]])
            copied, top, end = image, band.top, band.end
        yield TileJob(image, job.out[band.top : band.bottom], band.plan)


def halved(parts: list[Part], info: ModelInfo) -> list[list[Part]]:
    """Return batches that together do the same with half the tiles in each, or half a tile's side; [] if none can."""
    tiles = [(part.job, tile) for part in parts for tile in range(part.first, part.last)]
    if len(tiles) > 1:
        middle = len(tiles) // 2
        return [[_alone(*each, row) for row, each in enumerate(half)] for half in (tiles[:middle], tiles[middle:])]
    if info.tile is not None:
        return []  # a window has its size
    (job, tile), plan = tiles[0], tiles[0][0].plan
    smaller = _smaller(plan, tile, job.image.shape[1], halo=info.halo, stride=info.stride)
    if smaller is None:
        return []
    top, left = plan.positions[tile]
    view = np.s_[top : min(top + plan.height, plan.bottoms[tile]), left : left + plan.width]
    image, out = job.image[view], job.out[view]
    if np.may_share_memory(image, out):  # one tile needs no copy to be denoised in place, several do
        image = image.copy()
    inner = TileJob(image, out, smaller)
    return [[_alone(inner, each, 0)] for each in range(len(smaller.positions))]


def _alone(job: TileJob, tile: int, row: int) -> Part:
    return Part(job, tile, tile + 1, slice(row, row + 1))


def _smaller(plan: TilePlan, tile: int, width: int, *, halo: int, stride: int) -> TilePlan | None:
    """Plan what one tile keeps in smaller ones, counted from the tile's corner; None where none is smaller.

    What the tile keeps has the halo around it inside the tile, or the image's own edge: so have the smaller tiles'.
    """
    (top, left), (y0, y1, x0, x1) = plan.positions[tile], plan.keep[tile]
    inside = min(plan.height, plan.bottoms[tile] - top), min(plan.width, width - left)
    side = int(max(y1 - y0, x1 - x0))
    while True:
        side = max(side // 2, stride)
        inner = plan_tiles(*inside, tile=side, halo=halo, stride=stride)
        if inner.height * inner.width < plan.height * plan.width:
            break
        if side == stride:
            return None
    corner = np.array([top, top, left, left])
    keep = inner.keep.clip([y0, y0, x0, x0] - corner, [y1, y1, x1, x1] - corner)
    some = (keep[:, 0] < keep[:, 1]) & (keep[:, 2] < keep[:, 3])
    return replace(inner, positions=inner.positions[some], keep=keep[some], bottoms=inner.bottoms[some])
