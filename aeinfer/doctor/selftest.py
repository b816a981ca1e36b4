"""What the doctor calls in processes of its own: devices, networks and kernels on a picture made from a seed.

It measures, and judges nothing; `scripts/record_models.py` writes down what it measures here and now.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels, metrics
from aeinfer.denoiser import AEInfer
from aeinfer.model_bytes import read_model
from aeinfer.models import packaged_models
from aeinfer.session import Session, listed_providers
from aeinfer.sizing import default_tile, memory_for_pixels
from aeinfer.tiling import blend_weights

__all__ = ["denoise_sample", "move_pixels", "sample", "start"]

Image = NDArray[np.uint8]

SIDE = 96
SIGMA = 25  # in 8-bit levels
BLOCKS = 2  # means are of so many blocks along a side


def start(device: str, path: str) -> list[str]:
    """Load a model on a device, run it once, and return the providers that are listed."""
    session = Session(read_model(Path(path)), path, device)
    info = session.info()
    side = info.tile or 4 * info.stride
    session.run(np.zeros((1, info.channels, side, side), np.float32))
    return listed_providers()


def denoise_sample(file: str, device: str) -> dict[str, Any]:
    """Denoise the sample with a packaged model's file, and return what tells right results from wrong ones.

    Returns
    -------
    dict
        "gain": PSNR over the noisy picture's in dB; "means": of each block of the result and channel, in 8-bit levels;
        "provider": what ran; "megabytes": what a large picture takes in the tiles that are used without a bound.
    """
    name, _, precision = file.removesuffix(".onnx").partition(".")
    clean, noisy = sample()
    with AEInfer.load(name, precision=precision or "fp32", device=device) as ae:
        result = ae(noisy)
        info, provider = ae.info, ae.provider
    before, after = (metrics.psnr(image, clean, data_range=255) for image in (noisy, result))
    block = SIDE // BLOCKS
    means = result.reshape(BLOCKS, block, BLOCKS, block, 3).mean((1, 3))
    tile = default_tile(halo=info.halo, stride=info.stride, bytes_per_pixel=info.bytes_per_pixel) + 2 * info.halo
    model_mb = packaged_models()[name].with_name(file).stat().st_size / 1e6
    needed = memory_for_pixels(tile**2, bytes_per_pixel=info.bytes_per_pixel, model_mb=model_mb)
    return {
        "gain": round(after - before, 3),
        "means": np.round(means.ravel(), 2).tolist(),
        "provider": provider,
        "megabytes": round(needed),
    }


def move_pixels() -> dict[str, Any]:
    """Move pixels by numpy and by the loops; return whether bits agree, and where machine code is kept, if it is."""
    by_numpy = _moved()
    loops = kernels.load_loops()
    if loops is None:
        return {"equal": None, "compiled": False, "kept_in": None}
    from aeinfer.jit import cache_path, is_compiled

    equal = all(np.array_equal(*pair) for pair in zip(by_numpy, _moved(), strict=True))
    return {"equal": equal, "compiled": is_compiled(loops.gather), "kept_in": cache_path(loops.gather)}


def _moved() -> tuple[NDArray[Any], ...]:
    """The sample in tiles that reach over its edges, put together again at half strength, and as a blended sum."""
    _, noisy = sample()
    side = SIDE // 2 + 8
    positions = np.array([(y, x) for y in (0, SIDE // 2) for x in (0, SIDE // 2)], np.int64)
    keep = np.concatenate([positions, positions + SIDE // 2], 1)[:, [0, 2, 1, 3]]
    tiles = np.empty((len(positions), 3, side, side), np.float32)
    kernels.gather_tiles(noisy, positions, tiles)
    placed = np.empty_like(noisy)
    kernels.place_tiles(tiles, positions, keep, noisy[:, ::-1].copy(), 0.5, placed)
    total, sums = np.zeros((3, SIDE + 8, SIDE + 8), np.float32), np.ones(SIDE + 8, np.float32)
    kernels.blend_tiles(tiles, positions, blend_weights(side), sums, sums, total)
    return tiles, placed, total


def sample() -> tuple[Image, Image]:
    """Return a picture of slopes, stripes and a disc, clean and with white noise: the same on every machine."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    slopes: NDArray[np.float32] = np.stack([2 * x + 20, 2 * y + 20, 220 - x - y], 2)
    slopes[SIDE // 2 :, : SIDE // 2][(x[SIDE // 2 :, : SIDE // 2] // 6) % 2 == 0] *= 0.5
    slopes[(x - 64) ** 2 + (y - 32) ** 2 < 400] = (200, 60, 90)
    # its stream is frozen, that of default_rng is not
    noise = np.random.RandomState(0).normal(0, SIGMA, slopes.shape).astype(np.float32)
    clean = kernels.from_float(slopes / np.float32(255), "uint8")
    return clean, kernels.from_float((slopes + noise) / np.float32(255), "uint8")
