"""Whether time and memory grow in proportion, up to 100 MPix and 10,000 images: `python -m benchmarks.bench_scaling`.

Rows go into results/scaling.json, the curves into docs/scaling.png. Memory is what a fresh process adds at its peak,
libraries included, to the images that the caller holds (Linux).
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from aeinfer import AEInfer
from benchmarks import results
from benchmarks.goals import at_most
from benchmarks.timing import interleaved_seconds

MEGAPIXELS = (0.1, 0.3, 1, 3, 10, 30, 100)
IMAGES = (1, 10, 100, 1000, 10000)
THREADS = (1, 2)
ROUNDS = 5
SPREAD = 1.25  # dearest pixel over cheapest from 1 MPix, or digit from 100 on: what lies below has costs of its own
LARGE = 100  # MPix
LIMIT_MB = 300
ROOT = Path(__file__).parents[1]

PEAK = """
import re, sys
import numpy as np

def megabytes(field):
    return int(re.search(field + r":\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024 / 1e6

side, limit, model, in_place = int(sys.argv[1]), float(sys.argv[2]) or None, sys.argv[3], sys.argv[4] == "in place"
image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
out = image if in_place else np.ones_like(image)
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = megabytes("VmRSS")
from aeinfer import AEInfer
AEInfer.load(model, precision="int8", max_memory_mb=limit)(image, out=out)
print(megabytes("VmHWM") - before)
"""


def peak_megabytes(megapixels: float, limit: float, model: str = "photo-fast", place: str = "apart") -> float:
    """What denoising one square image adds to a process that holds it and its result."""
    arguments = [str(int((megapixels * 1e6) ** 0.5)), str(limit), model, place]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def seconds_per_megapixel(threads: int, megapixels: Sequence[float]) -> list[results.Row]:
    """Rows of single images, from small to large."""
    with AEInfer.load("photo-fast", precision="int8", threads=threads) as ae:
        sides = [int((count * 1e6) ** 0.5) for count in megapixels]
        images = [np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8) for side in sides]
        calls = {count: partial(ae, image) for count, image in zip(megapixels, images, strict=True)}
        return _rows("megapixels", calls, threads)


def seconds_per_digit(threads: int, counts: Sequence[int]) -> list[results.Row]:
    """Rows of batches of digits, from few to many."""
    with AEInfer.load("mnist-dense", threads=threads) as ae:
        digits = np.random.default_rng(0).integers(0, 256, (max(counts), 28, 28), np.uint8)
        return _rows("images", {count: partial(ae.denoise_batch, digits[:count]) for count in counts}, threads)


def _rows(unit: str, calls: Mapping[float, Callable[[], object]], threads: int) -> list[results.Row]:
    named = {str(count): call for count, call in calls.items()}
    medians = {key: float(np.median(times)) for key, times in interleaved_seconds(named, ROUNDS).items()}
    return [
        {"threads": threads, unit: count, "seconds": round(medians[str(count)], 5), "per": medians[str(count)] / count}
        for count in calls
    ]


def spread(rows: Iterable[results.Row]) -> float:
    """The dearest unit over the cheapest: 1 is a straight line."""
    costs = [row["per"] for row in rows]
    return max(costs) / min(costs)


def goals() -> Iterator[results.Row]:
    """Yield the quick goals: memory of a large image, and whether twelve times as much takes twelve times as long."""
    if Path("/proc/self/clear_refs").exists():
        for place in ("apart", "in place"):
            peak = peak_megabytes(LARGE, LIMIT_MB, place=place)
            yield at_most(f"photo-fast int8, {LARGE} MPix {place}, max_memory_mb={LIMIT_MB}", peak, LIMIT_MB, "MB")
    for threads in THREADS:
        pixels = spread(seconds_per_megapixel(threads, (1, 3, 12)))
        yield at_most(f"seconds per MPix, dearest over cheapest of 1, 3 and 12, {threads} threads", pixels, SPREAD)
        digits = spread(seconds_per_digit(threads, (100, 1000, 10000)))
        yield at_most(f"seconds per digit, the same of 100 to 10,000, {threads} threads", digits, SPREAD)


def main() -> None:
    rows = [row for threads in THREADS for row in seconds_per_megapixel(threads, MEGAPIXELS)]
    rows += [row for threads in THREADS for row in seconds_per_digit(threads, IMAGES)]
    for count in MEGAPIXELS:
        for limit in (0, LIMIT_MB):
            rows.append({"megapixels": count, "limit_mb": limit, "peak_mb": round(peak_megabytes(count, limit))})
    results.save("scaling", rows)
    plot(rows, ROOT / "docs" / "scaling.png")


def plot(rows: list[results.Row], path: Path) -> None:
    """Three curves of proportion: seconds over megapixels, seconds over digits, memory over megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for axis, x, y, by in zip(
        axes,
        ("megapixels", "images", "megapixels"),
        ("seconds", "seconds", "peak_mb"),
        ("threads", "threads", "limit_mb"),
        strict=True,
    ):
        for value in sorted({row[by] for row in rows if x in row and y in row}):
            points = [(row[x], row[y]) for row in rows if x in row and y in row and row[by] == value]
            axis.plot(*zip(*points, strict=True), "o-", label=f"{by} {value}" if value else "no limit")
        axis.set(xlabel=x, ylabel=y, xscale="log", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
