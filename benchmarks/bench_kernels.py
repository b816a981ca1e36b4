"""How near the kernels come to copying memory, on one thread: `python -m benchmarks.bench_kernels`; see README.md.

The kernels are called with what `AEInfer.denoise` gives them for a 4000x3000 RGB image, in one tile and in the default
tiling; the network is left out. Beside them: numpy in one expression, `cv2.dnn.blobFromImage`, numpy's normal numbers.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer, kernels, noise
from aeinfer.session import Session
from benchmarks import options, results
from benchmarks.goals import at_least
from benchmarks.timing import interleaved_seconds

HEIGHT, WIDTH = 3000, 4000
DTYPES = ("uint8", "uint16", "float32")
TILINGS = {"one tile": WIDTH, "default tiling": None}
COPY = "copy"
ROUNDS = 7
SHARE = 0.6
NOISE_VALUES, NOISE_TIMES = 1 << 22, 3.0
Image = NDArray[Any]
Calls = list[Any]  # mock.call objects: the arguments of each call


def recorded_calls(image: Image, tile: int | None) -> tuple[Calls, Calls]:
    """Return with what gather_tiles and place_tiles are called for an image; the network is the identity."""
    gathered, placed = (mock.Mock(wraps=kernel) for kernel in (kernels.gather_tiles, kernels.place_tiles))
    with (
        AEInfer.load("photo", threads=1, tile=tile) as ae,
        mock.patch.object(Session, "run", lambda _session, batch: batch),
        mock.patch.object(kernels, "gather_tiles", gathered),
        mock.patch.object(kernels, "place_tiles", placed),
    ):
        result = ae.denoise(image)
    np.testing.assert_array_equal(result, image)  # there and back
    return gathered.call_args_list, placed.call_args_list


def repeat(kernel: Callable[..., object], calls: Calls) -> Callable[[], None]:
    def run() -> None:
        for call in calls:
            kernel(*call.args, **call.kwargs)

    return run


def to_tensor(image: Image) -> Image:
    """What a user would write."""
    values = image if image.dtype == np.float32 else image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def to_image(tensor: Image, dtype: str) -> Image:
    """The way back as a user would write it."""
    if dtype != "float32":
        most = np.iinfo(dtype).max
        tensor = np.rint(np.clip(tensor * np.float32(most), 0, most)).astype(dtype)
    return np.ascontiguousarray(tensor.transpose(1, 2, 0))


def measure(dtype: str, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Return the seconds of each round, of the kernels as "gather, one tile" and so on and of what is beside them."""
    scale = 1 if dtype == "float32" else np.iinfo(dtype).max
    image = (np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32) * scale).astype(dtype)
    tensor = to_tensor(image)
    other = np.empty_like(tensor)
    calls: dict[str, Callable[[], object]] = {COPY: lambda: np.copyto(other, tensor)}
    for tiling, tile in TILINGS.items():
        gathered, placed = recorded_calls(image, tile)
        calls[f"gather, {tiling}"] = repeat(kernels.gather_tiles, gathered)
        calls[f"place, {tiling}"] = repeat(kernels.place_tiles, placed)
    calls["gather, numpy"] = lambda: to_tensor(image)
    calls["place, numpy"] = lambda: to_image(tensor, dtype)
    calls["gather, cv2"] = lambda: cv2.dnn.blobFromImage(image, 1 / scale)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return interleaved_seconds(calls, rounds)
    finally:
        cv2.setNumThreads(before)


def shares(seconds: dict[str, NDArray[np.float64]], dtype: str) -> dict[str, float]:
    """Return of each kernel its bytes read and written per second as a share of the copy's.

    Each value moved has 4 bytes on the tensor's side and the image's itemsize on the other; a copy's has 4 and 4. What
    a tiling reads and writes twice, in the halos, counts once.
    """
    moved = (4 + np.dtype(dtype).itemsize) / 8
    names = [f"{kernel}, {tiling}" for kernel in ("gather", "place") for tiling in TILINGS]
    return {name: moved * float(np.median(seconds[COPY] / seconds[name])) for name in names}


def factors(seconds: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return how many times as fast as numpy and cv2 the kernels are, in one tile as these are."""
    pairs = {name: f"{name.partition(',')[0]}, one tile" for name in seconds if name.endswith((", numpy", ", cv2"))}
    return {name: float(np.median(seconds[name] / seconds[ours])) for name, ours in pairs.items()}


def noise_factor(rounds: int) -> float:
    """Return how many normal values are added while numpy's generator makes one."""
    generator, clean = np.random.default_rng(0), np.zeros(NOISE_VALUES, np.float32)
    calls = {
        "ours": lambda: noise.add_gaussian(clean, 25.0, seed=1),
        "numpy": lambda: generator.standard_normal(NOISE_VALUES, np.float32),
    }
    seconds = interleaved_seconds(calls, rounds)
    return float(np.median(seconds["numpy"] / seconds["ours"]))


def goals(rounds: int = ROUNDS) -> Iterator[results.Row]:
    kernels.load_loops()
    beside = {"numpy": "numpy in one expression", "cv2": "cv2.dnn.blobFromImage"}
    for dtype in DTYPES:
        seconds = measure(dtype, rounds)
        for name, share in shares(seconds, dtype).items():
            yield at_least(f"{name}, {dtype}: bytes per second over a copy's", share, SHARE)
        for name, factor in factors(seconds).items():
            kernel, _, other = name.partition(", ")
            yield at_least(f"{kernel}, {dtype}: speed over {beside[other]}", factor, 1)
    yield at_least("Gaussian noise: speed over numpy's standard_normal", noise_factor(rounds), NOISE_TIMES)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_kernels", description=__doc__)
    options.add_rounds(parser, ROUNDS)
    for row in goals(parser.parse_args().rounds):
        results.show(row)


if __name__ == "__main__":
    main()
