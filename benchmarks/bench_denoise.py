"""What denoise costs beyond the network: `python -m benchmarks.bench_denoise`; see README.md.

The bare network runs the very batches that `denoise` gave its session, kept aside beforehand. Beside them: the same
without the network, and the same model by numpy and onnxruntime alone, as a user would write it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer, kernels
from aeinfer.model_bytes import fingerprint_of
from aeinfer.session import Session
from benchmarks import options, results
from benchmarks.engines import DEFAULTS, ENGINES
from benchmarks.goals import at_most
from benchmarks.packaged import model_files
from benchmarks.timing import SPIN_SECONDS, THREADS, interleaved_seconds

SMALL, LARGE, DIGITS, FEW_DIGITS = "768x512", "4000x3000", "10,000 digits", "2,000 digits"
SHAPES = {SMALL: (512, 768), LARGE: (3000, 4000), DIGITS: (10_000, 28, 28), FEW_DIGITS: (2_000, 28, 28)}
PRECISIONS = ("fp32", "int8")
GOAL = 1.05
SECONDS, ROUNDS = 3.0, (3, 15)  # a case is measured for so long, in so many rounds at least and at most
PLAIN_BATCH = 1000  # digits: with more of them numpy and onnxruntime take gigabytes
Image = NDArray[Any]


def picture(name: str, channels: int) -> Image:
    """Noise: what a pixel holds changes no speed here."""
    shape = SHAPES[name] if name.endswith("digits") else (*SHAPES[name], channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def are_digits(images: Image) -> bool:
    """Whether there are many small ones, not one image."""
    return images.shape[1:] == SHAPES[DIGITS][1:]


def denoise(ae: AEInfer, images: Image) -> Image:
    return ae.denoise_batch(images) if are_digits(images) else ae.denoise(images)


def bare_runs(ae: AEInfer, images: Image) -> Callable[[], None]:
    """Return what runs the network alone on what it is given for these images, one batch after the other."""
    batches: list[Image] = []
    original = Session.run

    def keep(session: Session, batch: Image) -> Image:
        batches.append(batch.copy())
        return original(session, batch)

    with mock.patch.object(Session, "run", keep):
        denoise(ae, images)

    def run() -> None:
        for batch in batches:
            ae._session.run(batch)

    return run


def moving(ae: AEInfer, images: Image) -> Callable[[], object]:
    """Return what denoises with a network that gives back what it gets: the pixels are moved there and back."""

    def run() -> Image:
        with mock.patch.object(Session, "run", lambda _session, batch: batch):
            return denoise(ae, images)

    return run


def plain(path: Path, threads: int) -> Callable[[Image], Image]:
    """What a user would write: numpy and onnxruntime, the whole image at once."""
    run = ENGINES[DEFAULTS](path, threads, np.empty(0, np.float32))

    def photo(image: Image) -> Image:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % 16), (0, -width % 16), (0, 0)), "edge")
        batch = np.ascontiguousarray((padded.astype(np.float32) / 255).transpose(2, 0, 1)[None])
        clean = np.rint(np.clip(run(batch)[0] * 255, 0, 255)).astype(np.uint8)
        return np.ascontiguousarray(clean.transpose(1, 2, 0)[:height, :width])

    def digits(images: Image) -> Image:
        batch = (images.astype(np.float32) / 255)[:, None]
        parts = [run(batch[n : n + PLAIN_BATCH])[:, 0] for n in range(0, len(batch), PLAIN_BATCH)]
        return np.rint(np.clip(np.concatenate(parts) * 255, 0, 255)).astype(np.uint8)

    return lambda images: digits(images) if are_digits(images) else photo(images)


def measure(model: str, precision: str, name: str, threads: int, *, with_plain: bool) -> results.Row:
    """One row: milliseconds, as a multiple of the bare network's time, and the plain way's as a multiple of ours."""
    path = model_files()[f"{model} {precision}"]
    with AEInfer.load(path, precision=precision, threads=threads) as ae:
        images = picture(name, ae.info.channels)
        calls: dict[str, Callable[[], object]] = {"bare": bare_runs(ae, images), "denoise": lambda: denoise(ae, images)}
        calls["moving"] = moving(ae, images)
        if with_plain:
            run = plain(path, threads)
            calls["plain"] = lambda: run(images)
        pause = SPIN_SECONDS if with_plain else 0.0  # our session's threads are asleep when a run has ended
        begin = time.perf_counter()
        calls["bare"]()
        round_seconds = len(calls) * (time.perf_counter() - begin + pause)
        rounds = int(np.clip(SECONDS / round_seconds, *ROUNDS))
        seconds = interleaved_seconds(calls, rounds, pause=pause)
    row = {"method": f"{model} {precision}", "fingerprint": fingerprint_of(path.read_bytes()), "input": name}
    row |= {"threads": threads, "rounds": rounds, "ms": round(float(np.median(seconds["denoise"])) * 1000, 1)}
    row["moving_ms"] = round(float(np.median(seconds["moving"])) * 1000, 1)
    row["over_bare"] = round(float(np.median(seconds["denoise"] / seconds["bare"])), 3)
    if with_plain:
        row["over_plain"] = round(float(np.median(seconds["plain"] / seconds["denoise"])), 3)
    return row


def cases() -> Iterator[tuple[str, str]]:
    """Models and what each is given."""
    for model in dict.fromkeys(method.rpartition(" ")[0] for method in model_files()):
        yield from ((model, name) for name in ((DIGITS,) if model.startswith("mnist") else (SMALL, LARGE)))


def goals() -> Iterator[results.Row]:
    """The worse of one and two threads; `main` has the time for the slow models' largest inputs."""
    kernels.load_loops()
    for model, name in cases():
        if (model, name) == ("photo-best", LARGE):
            continue
        given = FEW_DIGITS if model == "mnist-conv" else name
        for precision in PRECISIONS:
            worst = max(measure(model, precision, given, threads, with_plain=False)["over_bare"] for threads in THREADS)
            yield at_most(f"denoise over the bare network, {model} {precision}, {given}", worst, GOAL)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_denoise", description=__doc__)
    options.add_methods(parser)
    args = parser.parse_args()
    chosen = options.chosen(parser, model_files(), args.methods)
    kernels.load_loops()
    for model, name in cases():
        for precision in (each for each in PRECISIONS if f"{model} {each}" in chosen):
            rows = [measure(model, precision, name, threads, with_plain=True) for threads in THREADS]
            results.merge("denoise", rows, ("method", "input", "threads"), model_files(), of_this_machine=True)


if __name__ == "__main__":
    main()
