"""How much is worked on at once, by one model under one bound on memory: tiles, batches, bands; integers, no pixels."""

import math
import sys

from aeinfer.forking import Lock
from aeinfer.memory import memory_left
from aeinfer.model_info import ModelInfo
from aeinfer.sizing import default_batch, default_tile, pixels_for_memory, tile_for_memory
from aeinfer.tiling import TilePlan, plan_tiles, plan_windows

__all__ = ["Limits"]

BLENDED_PIXELS = 1 << 22  # of an image whose windows are blended at once
SHARE = 3  # of the memory that is left the network takes a third at most: the rest is for pictures and compiled loops
# sides of a tile, in halos, where memory is that short: in smaller ones more than three quarters of the work is halo
LEAST_HALOS = 4


class Limits:
    """What may be in the network at once; it shrinks where memory turns out to be short, and never grows again.

    It never shrinks to tiles that are nearly all halo, a hundred times slower: where memory is that short for a moment
    or for good, each tile is cut when its turn comes.

    Where no bound on memory was asked for, the network takes a third at most of what is left at the beginning.

    Parameters
    ----------
    info : ModelInfo
    model_mb : float
        Size of the model file.
    on_gpu : bool
    tile, batch, batch_pixels, max_memory_mb : optional
        What was asked for or found best: the kept side of a tile; tiles in one run of the network, or the pixels that
        small ones share it up to; the bound on memory. None leaves it to the model.

    Attributes
    ----------
    tile : int
        Kept side of a tile; of a network with a fixed window without meaning.
    most_pixels : int
        That a batch may have.
    batch_pixels : int
        That small tiles share a batch up to.
    """

    def __init__(
        self,
        info: ModelInfo,
        model_mb: float,
        *,
        on_gpu: bool = False,
        tile: int | None = None,
        batch: int | None = None,
        batch_pixels: int | None = None,
        max_memory_mb: float | None = None,
    ) -> None:
        self._info, self._model_mb, self._batch, self._max_memory_mb = info, model_mb, batch, max_memory_mb
        self._lock = Lock()
        self._was_short = False
        self.batch_pixels = batch_pixels or default_batch(info.bytes_per_pixel, on_gpu=on_gpu)
        self.tile, self.most_pixels = self._bounds(tile)
        if max_memory_mb is None:  # a small board or container kills who takes more than there is
            self._keep_to(memory_left() // SHARE // info.bytes_per_pixel)

    def plan(self, height: int, width: int, copied_bytes: int = 0) -> TilePlan:
        """Plan one image, of which a row of tiles is copied twice where a value of the copy has so many bytes."""
        info, tile = self._info, self.tile
        if info.tile is not None:
            return plan_windows(height, width, window=info.tile)
        if copied_bytes:
            tile, _ = self._bounds(tile, 2 * width * info.channels * copied_bytes)
        return plan_tiles(height, width, tile=tile, halo=info.halo, stride=info.stride)

    def capacity(self, plan: TilePlan) -> int:
        """Return how many of a plan's tiles a batch may have."""
        area = plan.height * plan.width
        return max(1, min(self._batch or self.batch_pixels // area, self.most_pixels // area))

    def band_rows(self, plan: TilePlan, width: int) -> int:
        """Return how many rows of tiles are worked on at once: of blended windows as many as their sum may take."""
        if not plan.blended:
            return 1
        pixels, max_memory_mb = BLENDED_PIXELS, self._max_memory_mb
        if max_memory_mb is not None:
            cost = 8 * self._info.channels
            pixels = min(pixels, pixels_for_memory(max_memory_mb, bytes_per_pixel=cost, model_mb=self._model_mb))
        return max(1, pixels // (width * max(1, plan.height // 2)))

    def expect_less_than(self, pixels: int) -> bool:
        """Have memory for fewer pixels from now on, and return whether this is the first time.

        Later images are cut into smaller tiles from the start.
        """
        with self._lock:
            first, self._was_short = not self._was_short, True
            self._keep_to(pixels // 2)
        return first

    def _keep_to(self, pixels: int) -> None:
        """Have no more pixels in the network at once, as far as tiles of them are not all halo."""
        info = self._info
        self.most_pixels = min(self.most_pixels, max(pixels, (LEAST_HALOS * info.halo) ** 2))
        if info.tile is None:
            side = (math.isqrt(self.most_pixels) - 2 * info.halo) // info.stride * info.stride
            self.tile = max(info.stride, min(self.tile, side))

    def _bounds(self, tile: int | None, bytes_per_row: int = 0) -> tuple[int, int]:
        """Return the kept side of a tile, and how many pixels a batch may have."""
        info, max_memory_mb = self._info, self._max_memory_mb
        halo, stride = (info.halo, info.stride) if info.tile is None else (0, info.tile)
        tile = tile or default_tile(halo=halo, stride=stride, bytes_per_pixel=info.bytes_per_pixel)
        if max_memory_mb is None:
            return tile, sys.maxsize
        cost = info.bytes_per_pixel * (1 if info.tile is None else 2)  # the blended sum of windows takes the other half
        largest = tile_for_memory(
            max_memory_mb,
            halo=halo,
            stride=stride,
            bytes_per_pixel=cost,
            bytes_per_row=bytes_per_row,
            model_mb=self._model_mb,
        )
        return min(tile, largest), pixels_for_memory(max_memory_mb, bytes_per_pixel=cost, model_mb=self._model_mb)
