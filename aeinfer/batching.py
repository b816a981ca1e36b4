"""Jobs and batches: tiles of one image or of several share a run of the network; kernels move the pixels."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels
from aeinfer.errors import ModelError
from aeinfer.tiling import TilePlan, blend_weights

__all__ = ["Part", "Scratch", "TileJob", "batch_pixels", "batch_shape", "fill_batches", "gather", "place"]

Image = NDArray[Any]
Tensor = NDArray[np.float32]

KEPT_VALUES = 1 << 23  # 32 MB: a larger batch is given back, and takes so long that its pages do not matter


@dataclass
class TileJob:
    """One image, or one channel of it for a grey model: (H, W, C) views of input and output, and how it is tiled."""

    image: Image
    out: Image
    plan: TilePlan
    blend: "_Blend | None" = None  # where windows overlap


@dataclass(frozen=True)
class _Blend:
    """The blended sum (C, H, W) of a job's windows so far, and what all their weights sum up to along each axis."""

    total: Tensor
    weights: Tensor
    rows: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Part:
    """The tiles first to last - 1 of a job, and the rows of the batch that they are."""

    job: TileJob
    first: int
    last: int
    rows: slice


def fill_batches(jobs: Iterable[TileJob], capacity: Callable[[TilePlan], int]) -> Iterator[list[Part]]:
    """Yield batches of tiles of one size, in the order of the jobs, each full unless the next tile has another size."""
    parts: list[Part] = []
    used = room = 0
    for job in jobs:
        if parts and _size(parts[0].job) != _size(job):
            yield parts
            parts, used = [], 0
        first, count = 0, len(job.plan.positions)
        while first < count:
            if not parts:
                room = capacity(job.plan)  # asked once a batch: another thread that is short of memory makes it less
            last = min(count, first + room - used)
            parts.append(Part(job, first, last, slice(used, used + last - first)))
            used, first = parts[-1].rows.stop, last
            if used == room:
                yield parts
                parts, used = [], 0
    if parts:
        yield parts


class Scratch:
    """Memory for a batch that is used again: to be given fresh pages for each costs more than to fill them.

    Threads may share one: who finds it taken allocates.
    """

    def __init__(self) -> None:
        self._free: deque[Tensor] = deque(maxlen=2)

    @contextmanager
    def borrow(self, shape: tuple[int, ...]) -> Iterator[Tensor]:
        """Lend an array of that shape, not cleared."""
        size = math.prod(shape)
        try:
            flat = self._free.pop()
        except IndexError:
            flat = np.empty(0, np.float32)
        if flat.size < size:
            flat = np.empty(size, np.float32)
        yield flat[:size].reshape(shape)
        if flat.size <= KEPT_VALUES:
            self._free.append(flat)


def batch_pixels(parts: list[Part]) -> int:
    """Return how many pixels the parts' batch has."""
    plan = parts[0].job.plan
    return int(parts[-1].rows.stop) * plan.height * plan.width


def batch_shape(parts: list[Part], channels: int) -> tuple[int, ...]:
    """(B, C, T_h, T_w) of the parts' batch."""
    return (parts[-1].rows.stop, channels, *_size(parts[0].job))


def gather(parts: list[Part], batch: Tensor) -> Tensor:
    """Fill the batch (B, C, T_h, T_w) with the parts' tiles, and return it."""
    for part in parts:
        image, plan, tiles = part.job.image, part.job.plan, slice(part.first, part.last)
        kernels.gather_tiles(image, plan.positions[tiles], batch[part.rows], plan.bottoms[tiles])
    return batch


def place(parts: list[Part], result: Tensor, channels: int, strength: float) -> None:
    """Write the network's result where the parts' tiles belong.

    Raises
    ------
    ModelError
        The network gave another shape than it was given.
    """
    expected = batch_shape(parts, channels)
    if result.shape != expected:
        raise ModelError(f"expected the model's output to be like its input, {expected}, got the shape {result.shape}")
    for part in parts:
        job, plan, tiles = part.job, part.job.plan, slice(part.first, part.last)
        if plan.blended:
            _blend(part, result[part.rows], strength)
        else:
            positions, keep = plan.positions[tiles], plan.keep[tiles]
            kernels.place_tiles(result[part.rows], positions, keep, job.image, strength, job.out)


def _blend(part: Part, tiles: Tensor, strength: float) -> None:
    """Add windows to the job's total, and write the total once it is complete."""
    job, plan = part.job, part.job.plan
    height, width = job.image.shape[:2]
    blend = job.blend = job.blend or _begin_blend(plan, tiles.shape[1], height, width)
    positions = plan.positions[part.first : part.last]
    kernels.blend_tiles(tiles, positions, blend.weights, blend.rows, blend.columns, blend.total)
    if part.last == len(plan.positions):
        y0, y1 = plan.keep[:, 0].min(), plan.keep[:, 1].max()  # of a band: its neighbours write the rest
        whole, keep = np.zeros((1, 2), np.int64), np.array([[y0, y1, 0, width]])
        kernels.place_tiles(blend.total[None], whole, keep, job.image, strength, job.out)


def _begin_blend(plan: TilePlan, channels: int, height: int, width: int) -> _Blend:
    """Return an empty sum, as large as the image or one window, whichever is larger."""
    weights = blend_weights(plan.height)
    rows = np.zeros(max(height, plan.height), np.float32)
    columns = np.zeros(max(width, plan.width), np.float32)
    for axis, sums in enumerate((rows, columns)):
        for start in np.unique(plan.positions[:, axis]):
            sums[start : start + plan.height] += weights
    return _Blend(np.zeros((channels, rows.size, columns.size), np.float32), weights, rows, columns)


def _size(job: TileJob) -> tuple[int, int]:
    return job.plan.height, job.plan.width
