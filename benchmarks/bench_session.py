"""The bare network in our session and in other engines: `python -m benchmarks.bench_session`; see README.md.

One 768x512 image, at one and two threads; every engine's result is compared with ours before it is timed. An engine
that is not installed, or does not take the network, is a row that says so.
"""

import argparse
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeinfer.model_bytes import fingerprint_of
from benchmarks import options, results
from benchmarks.bench_models import laid_out, scene
from benchmarks.engines import DEFAULTS, ENGINES, MODULES, OURS, Run, Tensor, UnavailableError
from benchmarks.goals import at_least
from benchmarks.packaged import color_models, model_files
from benchmarks.timing import SPIN_SECONDS, THREADS, interleaved_seconds

ROUNDS = 9
GOAL = 0.97
TOLERANCE = 1e-3  # the largest difference, fp32
MEAN_TOLERANCE = 1 / 255  # int8: a rounding may fall either way in each layer, and no two engines agree in all


def prepare(engine: str, path: Path, threads: int, batch: Tensor, ours: Tensor) -> Run:
    """Return the engine's call, checked against our result.

    Raises
    ------
    UnavailableError
        It is not installed, fails on this network, or gives another result.
    """
    import cv2

    try:
        run = ENGINES[engine](path, threads, batch)
        difference = np.abs(run(batch) - ours)
    except ImportError as error:
        raise UnavailableError(f"not installed: {error}") from error
    except (cv2.error, RuntimeError, ValueError, OSError) as error:  # what these engines raise
        raise UnavailableError(str(error).strip().partition("\n")[0]) from error
    int8 = path.name.endswith(".int8.onnx")
    off = float(difference.mean() if int8 else difference.max())
    if not off <= (MEAN_TOLERANCE if int8 else TOLERANCE):  # not NaN either
        raise UnavailableError(f"another result: off by {off:.4f}")
    return run


def relative_speed(seconds: Mapping[str, NDArray[np.float64]], name: str, base: str) -> float:
    """Return the median over the rounds of how many times as fast as `base` a call is."""
    return float(np.median(seconds[base] / seconds[name]))


def measure(method: str, path: Path, engines: list[str], rounds: int) -> list[results.Row]:
    """One row an engine: milliseconds, and its speed relative to ours, at each of THREADS; or why there is none."""
    batch = laid_out(scene())
    ours = ENGINES[OURS](path, 1, batch)(batch)
    facts = {"method": method, "fingerprint": fingerprint_of(path.read_bytes())}
    rows: dict[str, results.Row] = {engine: {"engine": engine, **facts} for engine in engines}
    for threads in THREADS:
        calls: dict[str, Run] = {}
        for engine in engines:
            try:
                calls[engine] = prepare(engine, path, threads, batch, ours)
            except UnavailableError as error:
                rows[engine]["unavailable"] = str(error)
        timed = {engine: partial(run, batch) for engine, run in calls.items()}
        seconds = interleaved_seconds(timed, rounds, pause=SPIN_SECONDS)
        for engine in calls:
            rows[engine]["version"] = import_module(MODULES[engine]).__version__.partition("-")[0]
            rows[engine][f"ms_{threads}"] = round(float(np.median(seconds[engine])) * 1000, 1)
            rows[engine][f"ratio_{threads}"] = round(relative_speed(seconds, engine, OURS), 3)
    return list(rows.values())


def goals() -> Iterator[results.Row]:
    """Our session against onnxruntime's own defaults: the worse of one and two threads of each model."""
    for method, path in color_models().items():
        row = measure(method, path, [OURS, DEFAULTS], ROUNDS)[1]
        slowest = 1 / max(row[f"ratio_{threads}"] for threads in THREADS)
        yield at_least(f"speed of our session over onnxruntime's defaults, {method}", slowest, GOAL)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_session", description=__doc__)
    options.add_rounds(parser, ROUNDS)
    options.add_methods(parser)
    args = parser.parse_args()
    files = color_models()
    for method in options.chosen(parser, files, args.methods):
        rows = measure(method, files[method], list(ENGINES), args.rounds)
        results.merge("session", rows, ("method", "engine"), model_files(), of_this_machine=True)


if __name__ == "__main__":
    main()
