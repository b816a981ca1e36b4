"""Whether time and memory grow in proportion, up to 100 MPix and 10,000 images: `python -m benchmarks.bench_scaling`.

Rows go into results/scaling.json, the curves into docs/scaling.png. Memory is what a fresh process adds at its peak,
libraries included, to the images that the caller holds (Linux).
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer, kernels
from aeinfer.session import Session
from benchmarks import options, results
from benchmarks.goals import at_most
from benchmarks.packaged import fingerprint
from benchmarks.timing import THREADS, interleaved_seconds

ROUNDS = 5
LEAST = {"megapixels": 1, "images": 100}  # less is repeated until it is as much: one call would be too short to time
SPREAD = 1.25  # dearest over cheapest that still is a straight line
LIMIT_MB = 300
ROOT = Path(__file__).parents[1]
Image = NDArray[np.uint8]

PEAK = """
import json, sys
import numpy as np
from benchmarks.status import used_bytes

shape, single, name, precision, limit, place = json.loads(sys.argv[1])
image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
out = image if place == "in place" else np.ones_like(image)
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = used_bytes("VmRSS")
from aeinfer import AEInfer
ae = AEInfer.load(name, precision=precision, max_memory_mb=limit)
(ae.denoise if single else ae.denoise_batch)(image, out=out)
print((used_bytes("VmHWM") - before) / 1e6)
"""


@dataclass(frozen=True)
class Curve:
    """One model and inputs that grow.

    Attributes
    ----------
    method : str
        Name and precision.
    unit : str
        What is counted: "megapixels" of one square image in colour, or "images" of one shape in one array.
    counts : tuple of float
        From small to large.
    shape : tuple of int
        (H, W) or (H, W, C) of one of many images.
    """

    method: str
    unit: str
    counts: tuple[float, ...]
    shape: tuple[int, ...] = ()

    @property
    def input(self) -> str:
        return f"images of {self.shape[1]}x{self.shape[0]}" if self.shape else "one image"

    def shape_of(self, count: float) -> tuple[int, ...]:
        side = round((count * 1e6) ** 0.5)
        return (int(count), *self.shape) if self.shape else (side, side, 3)

    def pixels(self, count: float) -> int:
        return math.prod(self.shape_of(count)[: 3 if self.shape else 2])

    def images(self, count: float) -> Image:
        """Noise: what a pixel holds changes no speed here."""
        return np.random.default_rng(0).integers(0, 256, self.shape_of(count), np.uint8)

    def denoise(self, ae: AEInfer, images: Image) -> Image:
        return ae.denoise_batch(images) if self.shape else ae.denoise(images)

    def facts(self) -> results.Row:
        """What every row of the curve says."""
        return {"method": self.method, "fingerprint": fingerprint(self.method), "input": self.input, "unit": self.unit}


DIGITS = (1, 10, 100, 1000, 10000)
ONE_IMAGE = Curve("photo-fast int8", "megapixels", (0.1, 0.3, 1, 3, 10, 30, 100))
MANY_DIGITS = Curve("mnist-dense fp32", "images", DIGITS, (28, 28))
CURVES = (
    ONE_IMAGE,
    Curve("photo int8", "megapixels", (0.1, 0.3, 1, 3, 10)),
    MANY_DIGITS,
    Curve("mnist-conv fp32", "images", DIGITS, (28, 28)),
    Curve("photo-fast int8", "images", (1, 10, 100), (256, 256, 3)),
)


def seconds_of(curve: Curve, threads: int) -> list[results.Row]:
    """One row a count: seconds, what one unit takes over the curve's median, pixels read by the network over given."""
    name, precision = curve.method.split()
    with AEInfer.load(name, precision=precision, threads=threads) as ae:
        calls = {count: partial(curve.denoise, ae, curve.images(count)) for count in curve.counts}
        read = {count: pixels_read(call) / curve.pixels(count) for count, call in calls.items()}
        times = {count: max(1, round(LEAST[curve.unit] / count)) for count in curve.counts}
        measured = interleaved_seconds({str(count): repeated(calls[count], times[count]) for count in calls}, ROUNDS)
    seconds = {count: float(np.median(measured[str(count)])) / times[count] for count in curve.counts}
    median = float(np.median([seconds[count] / count for count in curve.counts]))
    facts = curve.facts()
    return [
        {
            **facts,
            "count": count,
            "threads": threads,
            "read": round(read[count], 3),
            "seconds": round(seconds[count], 7),
            "over_median": round(seconds[count] / count / median, 3),
        }
        for count in curve.counts
    ]


def repeated(call: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def pixels_read(call: Callable[[], object]) -> int:
    """Count the pixels of all batches that a call gives to the network."""
    read = []

    def note(_session: Session, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        read.append(batch[:, 0].size)
        return batch

    with mock.patch.object(Session, "run", note):
        call()
    return sum(read)


def peak_megabytes(curve: Curve, count: float, limit: float | None, place: str = "apart") -> float:
    """What denoising adds to a process that holds the images and their results."""
    arguments = json.dumps([curve.shape_of(count), not curve.shape, *curve.method.split(), limit, place])
    command = [sys.executable, "-c", PEAK, arguments]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def peaks_of(curve: Curve) -> list[results.Row]:
    """One row a count, without a bound and with one: the peak in MB."""
    facts = curve.facts()
    return [
        {**facts, "count": count, "limit_mb": limit, "peak_mb": round(peak_megabytes(curve, count, limit))}
        for limit in (None, LIMIT_MB)
        for count in curve.counts
    ]


def spread(rows: Iterable[results.Row]) -> float:
    """The dearest unit over the cheapest: 1 is a straight line."""
    costs = [row["seconds"] / row["count"] for row in rows]
    return max(costs) / min(costs)


def goals() -> Iterator[results.Row]:
    """Yield the quick goals: memory of a large image, and whether twelve times as much takes twelve times as long."""
    kernels.load_loops()
    if Path("/proc/self/clear_refs").exists():
        large = ONE_IMAGE.counts[-1]
        for place in ("apart", "in place"):
            peak = peak_megabytes(ONE_IMAGE, large, LIMIT_MB, place)
            yield at_most(f"photo-fast int8, {large} MPix {place}, max_memory_mb={LIMIT_MB}", peak, LIMIT_MB, "MB")
    for threads in THREADS:
        pixels = spread(seconds_of(replace(ONE_IMAGE, counts=(1, 3, 12)), threads))
        yield at_most(f"seconds per MPix, dearest over cheapest of 1, 3 and 12, {threads} threads", pixels, SPREAD)
        digits = spread(seconds_of(replace(MANY_DIGITS, counts=(100, 1000, 10000)), threads))
        yield at_most(f"seconds per digit, the same of 100 to 10,000, {threads} threads", digits, SPREAD)


def complaints(rows: Iterable[results.Row]) -> Iterator[str]:
    """Say where a curve is not straight, or memory beyond its bound."""
    for row in rows:
        where = f"{row['method']}, {row['input']}, {row['count']:,} {row['unit']}"
        if not 1 / SPREAD <= row.get("over_median", 1) <= SPREAD:
            yield f"{where}, {row['threads']} threads: {row['over_median']:.2f} times the median of its curve"
        if row.get("limit_mb") and row["peak_mb"] > row["limit_mb"]:
            yield f"{where}: {row['peak_mb']} MB of {row['limit_mb']}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_scaling", description=__doc__)
    options.add_methods(parser)
    args = parser.parse_args()
    methods = options.chosen(parser, (curve.method for curve in CURVES), args.methods)
    curves = [curve for curve in CURVES if curve.method in methods]
    kernels.load_loops()
    began = time.perf_counter()
    rows = [row for curve in curves for threads in THREADS for row in seconds_of(curve, threads)]
    rows += [row for curve in curves for row in peaks_of(curve)]
    by = ("method", "input", "count", "threads", "limit_mb")
    results.merge("scaling", rows, by, {curve.method for curve in CURVES}, of_this_machine=True)
    for complaint in complaints(rows):
        print(f"not straight: {complaint}")
    print(f"{time.perf_counter() - began:.0f} s")
    from benchmarks.plot import draw_scaling  # matplotlib is for the picture alone

    draw_scaling()


if __name__ == "__main__":
    main()
