"""Between pixels and tensors: gather tiles, place tiles, blend windows; by numpy or by `loops`, with the same bits.

Layout, dtype, scale and padding change in one pass each way, and nowhere else in aeinfer.
Images are (H, W, C) uint8, uint16 or float32; tiles are (B, C, T, T) float32 in [0, 1], or (B, C, T_h, T_w).
The compiled loops are ten times as fast, and numba takes a third of a second to start: numpy does the first pixels of a
process, and whatever lies in memory as no image of a camera or a file does.
"""

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

from aeinfer.errors import BackendMissingError, InputError
from aeinfer.forking import importing

if TYPE_CHECKING:
    from aeinfer.loops import Memory

__all__ = [
    "blend_tiles",
    "from_float",
    "full_scale",
    "gather_tiles",
    "load_loops",
    "place_tiles",
    "stay_with_numpy",
    "to_float",
]

Image = NDArray[Any]
Tensor = NDArray[np.float32]
Integers = NDArray[np.int64]

NUMPY_PIXELS = 1 << 24  # what numpy gathers and places while numba starts

_gathered = 0  # pixels so far, in this process
_loops_missing = False


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


def load_loops() -> ModuleType | None:
    """Return the compiled loops, imported now if they were not yet; None without numba or the memory for it.

    The lack is logged once. Called by itself once `NUMPY_PIXELS` were gathered; by those who would rather wait now, as
    a stream does.
    """
    global _loops_missing
    if _loops_missing:
        return None
    try:
        with importing:
            import aeinfer.loops as loops
    except (BackendMissingError, MemoryError) as error:
        _loops_missing = True
        why = str(error) or "there is no memory for numba"
        logging.getLogger("aeinfer").warning("%s; until then numpy moves the pixels, ten times as slowly", why)
        return None
    return loops


def stay_with_numpy() -> None:
    """Load no compiled loops from here on, if none are there: numba's libraries may hang where memory is short."""
    global _loops_missing
    _loops_missing = "aeinfer.loops" not in sys.modules


def gather_tiles(image: Image, positions: Integers, out: Tensor, bottoms: Integers | None = None) -> None:
    """out[b, c, y, x] = to_float(image)[top + y, left + x, c], the last row, column and channel repeated beyond.

    `positions` is (B, 2): top and left of each tile. `bottoms` is (B,), where images lie one below the other: the row
    behind the last of each tile's own.
    """
    global _gathered
    _gathered += out[:, 0].size
    scale = full_scale(image.dtype)
    if bottoms is None:
        bottoms = np.full(len(positions), len(image), np.int64)
    loops = _loops_by_now()
    if loops and (memory := _memory(image)):
        loops.gather(memory, image.shape[1], positions, bottoms, scale, out)
        return
    channels = min(image.shape[2], out.shape[1])
    for tile, (top, left), bottom in zip(out, positions, bottoms, strict=True):
        part = image[top : min(top + tile.shape[1], bottom), left : left + tile.shape[2], :channels].transpose(2, 0, 1)
        height, width = part.shape[1:]
        np.divide(part, np.float32(scale), out=tile[:channels, :height, :width], dtype=np.float32)
        tile[channels:, :height, :width] = tile[channels - 1, :height, :width]
        tile[:, height:, :width] = tile[:, height - 1 : height, :width]
        tile[:, :, width:] = tile[:, :, width - 1 : width]


def place_tiles(tiles: Tensor, positions: Integers, keep: Integers, source: Image, strength: float, out: Image) -> None:
    """out[y, x] = source + strength * (tile - source), clipped and rounded where `out` holds integers.

    `keep` is (B, 4): the rows and columns y0, y1, x0, x1 of the image that each tile writes. A tile with more channels
    than the image is averaged over them.
    """
    loops, scale = _loops_by_now(), full_scale(out.dtype)
    before, after = (_memory(source), _memory(out, writable=True)) if loops else (None, None)
    if loops and before and after:
        loops.place(tiles, positions, keep, before, strength, scale, after)
        return
    factor, share = np.float32(scale), np.float32(strength)
    for tile, (top, left), (y0, y1, x0, x1) in zip(tiles, positions, keep, strict=True):
        values = tile[:, y0 - top : y1 - top, x0 - left : x1 - left]
        if out.shape[2] < len(values):
            values = ((values[0] + values[1] + values[2]) / np.float32(3))[None]
        values = (values * factor).transpose(1, 2, 0)
        if share != 1:
            noisy = source[y0:y1, x0:x1].astype(np.float32)
            values = noisy + share * (values - noisy)
        out[y0:y1, x0:x1] = values if scale == 1 else np.rint(np.clip(values, 0, factor))


def blend_tiles(
    tiles: Tensor, positions: Integers, weights: Tensor, rows: Tensor, columns: Tensor, total: Tensor
) -> None:
    """total[c, top + y, left + x] += tile * weights[y] * weights[x] / (rows[top + y] * columns[left + x]).

    `rows` and `columns` hold the sums of the weights of all windows, so the blended total needs no second pass.
    """
    if loops := _loops_by_now():
        loops.blend(tiles, positions, weights, rows, columns, total)
        return
    side = len(weights)
    for tile, (top, left) in zip(tiles, positions, strict=True):
        row, column = weights / rows[top : top + side], weights / columns[left : left + side]
        total[:, top : top + side, left : left + side] += tile * row[:, None] * column


def _loops_by_now() -> ModuleType | None:
    """The compiled loops if they are there, or pay from here on."""
    return load_loops() if _gathered > NUMPY_PIXELS or "aeinfer.loops" in sys.modules else None


def _memory(image: Image, *, writable: bool = False) -> "Memory | None":
    """An image as the loops take it, without a copy; None where its rows or pixels run backwards or lie askew.

    What is only read is never writable: the loops would be compiled once more for it.
    """
    from aeinfer.loops import Memory

    (height, width, channels), size = image.shape, image.itemsize
    row, pixel, value = image.strides
    backwards = channels > 1 and value < 0
    if min(row, pixel) < 0 or row % size or pixel % size or (channels > 1 and abs(value) != size):
        return None
    lowest = image[..., ::-1] if backwards else image
    order = np.arange(channels, dtype=np.int64)
    values = ((height - 1) * row + (width - 1) * pixel) // size + channels
    flat = as_strided(lowest, (values,), (size,), writeable=writable)
    return Memory(flat, row // size, pixel // size, order[::-1].copy() if backwards else order)
