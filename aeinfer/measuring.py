"""How fast a model is on this machine with which settings, measured on the way that images really go; saves nothing.

One thing varies at a time: threads, then tiles, then batches of small images, each for every precision there is. The
candidates take turns, round by round, so that a busy machine slows all of them alike; what counts is the median.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.denoiser import AEInfer
from aeinfer.model_info import ModelInfo
from aeinfer.sizing import default_batch, default_tile
from aeinfer.threads import thread_count
from aeinfer.tuning import CLEARLY, Tuned

__all__ = ["Image", "Trial", "best_settings", "trials"]

Image = NDArray[Any]

MOST_MEMORY = 1e9  # bytes of activations in one tile: beyond it a few per cent are not worth it
SMALL_SIDE = 32  # of the small images that share a batch
PAUSE = 0.01  # seconds before each run: until then the threads of the last one may spin


@dataclass(frozen=True)
class Trial:
    """One set of settings that was tried.

    Attributes
    ----------
    varied : str
        "threads", "tile" or "batch": what this trial was to tell.
    precision, threads, tile, batch_pixels
        As in `Tuned`.
    mpix_per_s : float
        Median throughput: of a tile's kept pixels, of the picture's where one is given, of small images for "batch".
    """

    varied: str
    precision: str
    threads: int
    tile: int | None
    batch_pixels: int
    mpix_per_s: float = 0.0


@dataclass(frozen=True)
class _Bench:
    """What all trials of a run share."""

    files: dict[str, Path]
    infos: dict[str, ModelInfo]
    batch_pixels: dict[str, int]  # of a usual batch
    device: str
    picture: Image | None
    seconds: float  # for each of the three parts, as far as the least number of rounds, 2, allows
    most_rounds: int


def trials(
    files: dict[str, Path], *, device: str = "auto", picture: Image | None = None, quick: bool = False
) -> Iterator[Trial]:
    """Measure a model's files, and yield each trial once it is known.

    Parameters
    ----------
    files : dict
        precision -> model file, as `models.precision_files` gives them.
    device : str
        As in `AEInfer.load`.
    picture : array, optional
        What threads and tiles are measured on; by default one tile, as there are many in a large picture.
    quick : bool
        Fewer candidates and rounds.
    """
    infos, usual = {}, {}
    for precision, file in files.items():
        with AEInfer.load(file, device=device, precision=precision, threads=1) as ae:
            infos[precision] = ae.info
            usual[precision] = default_batch(ae.info.bytes_per_pixel, on_gpu=ae.on_gpu)
    seconds, most_rounds = (0.0, 2) if quick else (8.0, 5)
    bench = _Bench(files, infos, usual, device, picture, seconds, most_rounds)
    best = [Trial("", precision, thread_count(), _tile(info), usual[precision]) for precision, info in infos.items()]
    for vary in (_threads, _tiles, _batches):
        done = _measured(bench, [each for trial in best for each in vary(trial, infos[trial.precision], quick)])
        yield from done
        best = [_winner([trial for trial in done if trial.precision == each.precision]) or each for each in best]


def best_settings(done: Sequence[Trial], fingerprints: dict[str, str]) -> list[Tuned]:
    """Return the best settings of each precision: for what `trials` gave, and precision -> fingerprint.

    The throughput of a precision is that of its best tile; of a fixed window's model, that of its best batch.
    """
    return [_best([trial for trial in done if trial.precision == key], mark) for key, mark in fingerprints.items()]


def _best(done: Sequence[Trial], fingerprint: str) -> Tuned:
    batch = _winner([trial for trial in done if trial.varied == "batch"])
    tile = _winner([trial for trial in done if trial.varied == "tile"]) or batch
    assert batch is not None
    assert tile is not None
    return Tuned(fingerprint, batch.precision, batch.threads, batch.tile, batch.batch_pixels, tile.mpix_per_s)


def _winner(done: Sequence[Trial]) -> Trial | None:
    """Return the fastest; of those that are as fast but for noise, the one that takes least of everything."""
    fastest = max((trial.mpix_per_s for trial in done), default=0.0)
    equal = [trial for trial in done if trial.mpix_per_s * CLEARLY >= fastest]
    return min(equal, key=lambda trial: (trial.threads, trial.tile or 0, trial.batch_pixels), default=None)


def _threads(trial: Trial, _info: ModelInfo, quick: bool) -> list[Trial]:
    most = thread_count()
    counts = {most, *(1 << n for n in range(most.bit_length()))}
    tile = trial.tile // 2 if trial.tile and quick else trial.tile  # as many threads are best there, in a quarter of it
    return [replace(trial, varied="threads", threads=count, tile=tile) for count in sorted(counts)]


def _tiles(trial: Trial, info: ModelInfo, quick: bool) -> list[Trial]:
    usual = _tile(info)
    if usual is None:
        return []
    most = (MOST_MEMORY / info.bytes_per_pixel) ** 0.5 - 2 * info.halo
    sides = {usual, usual // 2} if quick else {usual, *(side for side in (256, 512, 1024, 2048) if side <= most)}
    return [replace(trial, varied="tile", tile=side) for side in sorted(sides)]


def _batches(trial: Trial, _info: ModelInfo, quick: bool) -> list[Trial]:
    factors = (1 / 4, 1) if quick else (1 / 16, 1 / 4, 1, 4)
    return [replace(trial, varied="batch", batch_pixels=int(trial.batch_pixels * factor)) for factor in factors]


def _tile(info: ModelInfo) -> int | None:
    if info.tile is not None:
        return None
    return default_tile(halo=info.halo, stride=info.stride, bytes_per_pixel=info.bytes_per_pixel)


def _measured(bench: _Bench, tried: Sequence[Trial]) -> list[Trial]:
    """Run the trials in turns until the time for them is over, and return them with their throughput."""
    works = [_work(bench, trial) for trial in tried]
    seconds: list[list[float]] = [[] for _ in works]
    begin = time.perf_counter()
    for run, _pixels in works:  # warm, and not counted
        run()
    rounds = bench.seconds // max(time.perf_counter() - begin, 1e-3)
    for _ in range(int(min(max(rounds, 2), bench.most_rounds))):
        for (run, _pixels), times in zip(works, seconds, strict=True):
            time.sleep(PAUSE)
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
    return [
        replace(trial, mpix_per_s=round(pixels / 1e6 / float(np.median(times)), 3))
        for trial, (_run, pixels), times in zip(tried, works, seconds, strict=True)
    ]


def _work(bench: _Bench, trial: Trial) -> tuple[Callable[[], object], int]:
    """Return what a trial runs, and the pixels that it denoises."""
    info = bench.infos[trial.precision]
    small = trial.varied == "batch" or info.tile is not None
    side = info.tile or SMALL_SIDE
    ae = AEInfer.load(
        bench.files[trial.precision],
        device=bench.device,
        precision=trial.precision,
        threads=trial.threads,
        tile=trial.tile,
        batch=max(1, trial.batch_pixels // side**2) if small else None,
    )
    channels = () if info.channels == 1 else (info.channels,)
    random = np.random.default_rng(0)
    if bench.picture is not None and trial.varied != "batch":
        picture, out = bench.picture, np.empty_like(bench.picture)
        return lambda: ae.denoise(picture, out=out), picture.shape[0] * picture.shape[1]
    if small:
        count = max(1, 4 * bench.batch_pixels[trial.precision] // side**2)
        images = random.integers(0, 256, (count, side, side, *channels), np.uint8)
        outs = np.empty_like(images)
        return lambda: ae.denoise_batch(images, out=outs), count * side**2
    assert trial.tile is not None
    side = trial.tile + 2 * info.halo  # one tile with its halo: what it keeps is the work done
    image = random.integers(0, 256, (side, side, *channels), np.uint8)
    out = np.empty_like(image)
    return lambda: ae.denoise(image, out=out), trial.tile**2
