"""A folder of pictures through the loop of `aeinfer denoise`: its wall time beside the network's and the codecs' own.

python -m benchmarks.bench_folder [--data DIR] [--models NAME...] [--rounds N]

Without --data the pictures are 24 PNGs of 500x500 pixels made from `examples/photos`. In each round the network runs
alone over decoded pictures, decoding and encoding run alone on one thread, the files are done one by one, and they are
done as the command does them; model and kernels are loaded before. The goal is for the last of these against the larger
of the network's time and the codecs' shared by all cores. Where the network alone keeps all cores busy, no loop takes
less than both together: the second row is against that.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer
from aeinfer.cli.interrupt import Stop
from aeinfer.cli.job import Run, Worker, do_job
from aeinfer.cli.overlap import do_jobs
from aeinfer.folder import plan
from aeinfer.image import read_image, read_pages, write_image, write_pages
from aeinfer.inputs import list_images
from aeinfer.models import packaged_models
from aeinfer.report import Report
from aeinfer.threads import thread_count
from benchmarks import options, results
from benchmarks.goals import at_most
from benchmarks.timing import SPIN_SECONDS, interleaved_seconds

EXAMPLES = Path(__file__).parents[1] / "examples" / "photos" / "noisy"
SIDE, ROUNDS, BOUND = 500, 9, 1.15
OPTIONS = argparse.Namespace(max_pixels=None, metadata="keep", quality=None, fail_fast=True, verbose=False)


def goals() -> Iterator[results.Row]:
    """The default model on the pictures made from the examples."""
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder))
        yield from rows(measure(Path(folder), "photo", ROUNDS), "24 PNGs of 500x500, photo")


def make_pictures(folder: Path) -> None:
    """Write 24 PNGs: each noisy example, mirrored at its ends to 500x500 pixels, in the eight ways it can lie."""
    ways = product(sorted(EXAMPLES.glob("*.png")), range(4), (1, -1))
    for number, (path, turns, step) in enumerate(ways):
        pixels = read_image(path).pixels
        high, wide = pixels.shape[:2]
        square = np.pad(pixels, ((0, SIDE - high), (0, SIDE - wide), (0, 0)), "symmetric")
        write_image(folder / f"{number:02}.png", np.ascontiguousarray(np.rot90(square[:, ::step], turns)))


def measure(source: Path, model: str, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Return the seconds of each call in each round for the pictures of a folder."""
    with (
        tempfile.TemporaryDirectory() as out,
        AEInfer.load(model, spinning=False) as network,
        AEInfer.load(model, threads=1, spinning=False) as narrow,
    ):
        jobs = plan([str(source)], out, on_exist="overwrite").jobs
        worker = Worker(
            lambda pixels, _: network.denoise(pixels), narrow=lambda: lambda pixels, _: narrow.denoise(pixels)
        )
        noisy = [list(read_pages(job.source)) for job in jobs]
        clean = [[replace(page, pixels=network.denoise(page.pixels)) for page in pages] for pages in noisy]

        def infer() -> None:
            for page in chain.from_iterable(noisy):
                network.denoise(page.pixels)

        def code() -> None:
            for job, pages in zip(jobs, clean, strict=True):
                list(read_pages(job.source))
                write_pages(job.target, pages)

        def one_by_one(run: Run) -> None:
            for job in jobs:
                run.note(do_job(run, job, worker))
                run.stop.release()

        def overlapped(run: Run) -> None:
            do_jobs(run, jobs, worker, thread_count(), run.note)

        def command(loop: Callable[[Run], None]) -> None:
            with Stop() as stop, Report(None) as report:
                run = Run(OPTIONS, stop, report)
                loop(run)
            if run.tally.written != len(jobs):
                raise RuntimeError(f"{run.tally.written} of {len(jobs)} files were written")

        calls = {
            "network": infer,
            "codecs": code,
            "one by one": lambda: command(one_by_one),
            "overlapped": lambda: command(overlapped),
        }
        return interleaved_seconds(calls, rounds, SPIN_SECONDS)


def rows(seconds: Mapping[str, NDArray[np.float64]], what: str) -> Iterator[results.Row]:
    """Yield the goal, and how near the loop is to cores that never wait, each with its work."""
    network, codecs, wall = seconds["network"], seconds["codecs"] / thread_count(), seconds["overlapped"]
    medians = {f"{name} s": round(float(np.median(times)), 3) for name, times in seconds.items()}
    larger = np.median(wall / np.maximum(network, codecs))
    yield at_most(f"{what}: time over the larger of network and codecs / cores", larger, BOUND) | medians
    yield at_most(f"{what}: time over network + codecs / cores", np.median(wall / (network + codecs)), BOUND)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_folder", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of pictures instead of those made from the examples")
    parser.add_argument(
        "--models", nargs="+", choices=list(packaged_models()), default=["photo"], help="packaged (default: photo)"
    )
    options.add_rounds(parser, ROUNDS)
    args = parser.parse_args()
    if args.data and not (args.data.is_dir() and list_images(args.data)):
        parser.exit(2, f"bench_folder: no pictures in {args.data}: expected a folder of them\n")
    with tempfile.TemporaryDirectory() as folder:
        if args.data is None:
            make_pictures(Path(folder))
        for model in args.models:
            for row in rows(measure(args.data or Path(folder), model, args.rounds), model):
                results.show(row)


if __name__ == "__main__":
    main()
