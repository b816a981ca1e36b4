"""How large tiles and batches are, by what a pixel costs in the network: their memory, and the sides for a memory.

Where the tiles lie is another room's business.
"""

import math

from aeinfer.errors import InputError
from aeinfer.tiling import round_up

__all__ = ["default_batch", "default_tile", "memory_for_pixels", "pixels_for_memory", "tile_for_memory"]

LIBRARIES_MB = 180  # onnxruntime, numba and what it compiled, once in a process: 150 measured, 30 for fragments
MODEL_COPIES = 4  # times its file: the file, its parsed form and the weights laid out for the processor
DEFAULT_MEMORY_MB = 400  # of activations, where the user sets no bound
BATCH_PIXELS = 256 * 256  # small tiles share a batch up to this many pixels; beyond it a batch gains nothing
BATCH_BYTES = 1 << 21  # unless the network is so small that the values of more pixels stay in a core's cache


def default_tile(*, halo: int, stride: int, bytes_per_pixel: int) -> int:
    """Return the kept side of a tile where nobody measured or said another.

    What a tile costs beyond what it keeps is its halo: (1 + 2 * halo / tile)**2. What speaks against larger ones is
    memory, and caches: a pixel costs about a tenth more with each doubling of the tile's area beyond a few hundred
    pixels a side. The sum of both is flat around 16 halos, where the halo costs 27 %; a network without a halo gains
    nothing beyond 512 pixels. The activations of one tile stay under `DEFAULT_MEMORY_MB`. The rule looks at the model
    alone, so that two machines cut an image alike.

    Examples
    --------
    >>> default_tile(halo=64, stride=16, bytes_per_pixel=140), default_tile(halo=112, stride=16, bytes_per_pixel=140)
    (1024, 1456)
    """
    context = round_up(halo, stride)
    most = math.isqrt(int(DEFAULT_MEMORY_MB * 1e6) // bytes_per_pixel) - 2 * context
    return max(stride, min(max(16 * context, 512), most) // stride * stride)


def default_batch(bytes_per_pixel: int, *, on_gpu: bool = False) -> int:
    """Return how many pixels small tiles share a batch up to, where nobody measured or said another number.

    A GPU is to be filled, and no cache speaks against it: there a batch takes as much memory as the largest tile may.

    Examples
    --------
    >>> default_batch(140), default_batch(8)
    (65536, 262144)
    >>> default_batch(140, on_gpu=True)
    2857142
    """
    if on_gpu:
        return int(DEFAULT_MEMORY_MB * 1e6) // bytes_per_pixel
    return max(BATCH_PIXELS, BATCH_BYTES // bytes_per_pixel)


def memory_for_pixels(pixels: int, *, bytes_per_pixel: int, model_mb: float = 0.0) -> float:
    """Return how many megabytes it takes to have so many pixels in the network, with the libraries and the model.

    Examples
    --------
    >>> memory_for_pixels(300000, bytes_per_pixel=400)
    300.0
    """
    return _fixed(model_mb) + pixels * bytes_per_pixel / 1e6


def pixels_for_memory(max_memory_mb: float, *, bytes_per_pixel: int, model_mb: float = 0.0) -> int:
    """Return how many pixels may be in the network at once.

    The libraries and the model (its file is `model_mb`) are counted too, as far as they leave the network a third: a
    bound that they alone exceed would otherwise allow nothing.

    Examples
    --------
    >>> pixels_for_memory(300, bytes_per_pixel=400), pixels_for_memory(90, bytes_per_pixel=400)
    (300000, 75000)
    """
    fixed = min(_fixed(model_mb), 2 / 3 * max_memory_mb)
    return int((max_memory_mb - fixed) * 1e6 + 0.5) // bytes_per_pixel


def tile_for_memory(
    max_memory_mb: float,
    *,
    halo: int,
    stride: int,
    bytes_per_pixel: int,
    bytes_per_row: int = 0,
    model_mb: float = 0.0,
) -> int:
    """Return the largest kept side whose activations fit, and `bytes_per_row` for each of its rows, halo included.

    Raises
    ------
    InputError
        Not even a tile of one stride fits.

    Examples
    --------
    >>> tile_for_memory(300, halo=32, stride=16, bytes_per_pixel=400)
    480
    """
    context = 2 * round_up(halo, stride)
    pixels = pixels_for_memory(max_memory_mb, bytes_per_pixel=bytes_per_pixel, model_mb=model_mb)
    row = bytes_per_row / bytes_per_pixel / 2
    side = int(math.sqrt(row**2 + pixels) - row) - context  # of side**2 + 2 * row * side = pixels
    if side < stride:
        network_mb = ((stride + context) ** 2 * bytes_per_pixel + (stride + context) * bytes_per_row) / 1e6
        least = math.ceil(min(3 * network_mb, network_mb + _fixed(model_mb))) + 1
        raise InputError(f"max_memory_mb={max_memory_mb} is too small for this model: give at least {least}")
    return side // stride * stride


def _fixed(model_mb: float) -> float:
    """Megabytes of the libraries and the model, however many pixels there are."""
    return LIBRARIES_MB + MODEL_COPIES * model_mb
