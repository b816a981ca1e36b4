"""What scaling a sensor's counts is worth: `python -m benchmarks.bench_counts [--methods TEXT...]`.

A scene made here, whose counts fill little of uint16's range. Rows go into results/counts.json.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks import options, results
from benchmarks.bench_quality import NOISY, Model, named
from benchmarks.packaged import color_models

SIDE, SPOTS, ELECTRONS = 256, 40, 200
OFFSET, GAIN, READ_NOISE = 100, 5, 2  # counts, counts an electron, electrons
DARK = 110  # counts; below lies the background
BLACK, WHITE = 60, 1200  # what becomes 0 and 1

Counts = NDArray[np.floating]
Change = Callable[[NDArray[np.uint16]], Counts]


def scene() -> tuple[Counts, NDArray[np.uint16]]:
    """Return (H, W) blurred spots in counts, and the same as a sensor of 12 bits gives them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    light = np.zeros((SIDE, SIDE))
    for _ in range(SPOTS):
        top, left, width = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(2, 15)
        light += rng.uniform(0.2, 1) * np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * width**2))
    electrons = ELECTRONS * light / light.max()
    noisy = OFFSET + GAIN * (rng.poisson(electrons) + rng.normal(0, READ_NOISE, electrons.shape))
    return OFFSET + GAIN * electrons, np.clip(np.rint(noisy), 0, 4095).astype(np.uint16)


def ways(denoise: Callable[[NDArray[np.generic]], Counts]) -> dict[str, Change]:
    """Return what may be done with counts: name -> counts to denoised counts."""

    def stretched(noisy: NDArray[np.uint16]) -> NDArray[np.float32]:
        return np.clip((noisy.astype(np.float32) - BLACK) / (WHITE - BLACK), 0, 1)

    def counts(unit: Counts) -> Counts:
        return unit * (WHITE - BLACK) + BLACK

    return {
        "as it is": denoise,
        "times 16": lambda noisy: denoise(noisy * np.uint16(16)) / 16,
        "stretched": lambda noisy: counts(denoise(stretched(noisy))),
        "its square root": lambda noisy: counts(denoise(np.sqrt(stretched(noisy))) ** 2) + GAIN / 4,
    }


def measurements(changes: dict[str, Change]) -> Iterator[results.Row]:
    """Yield the error of each way in counts: root mean square, and the mean in the dark."""
    truth, noisy = scene()
    for way, change in changes.items():
        error = change(noisy) - truth
        bias = error[truth < DARK].mean()
        yield {"way": way, "error": round(float(np.sqrt((error**2).mean())), 1), "bias": round(float(bias), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_counts", description=__doc__)
    options.add_methods(parser)
    args = parser.parse_args()
    files = color_models()
    for method in options.chosen(parser, [NOISY, *files], args.methods):
        model = Model(files[method]) if method in files else None
        changes: dict[str, Change] = ways(model.denoiser) if model else {"as it is": lambda noisy: noisy}
        rows = [({"method": method} if model is None else named(method, model)) | row for row in measurements(changes)]
        results.merge("counts", rows, ("method", "way"), {NOISY, *files})


if __name__ == "__main__":
    main()
