"""Speed, size and memory of the packaged models of photographs and their peers: `python -m benchmarks.bench_models`.

The base is a network of FFDNet's shape, timed in the same rounds (README.md). Figures go into results/models.json;
those of methods not run this time stay, if they are of this machine. How well they denoise is bench_quality's business.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer.model_bytes import fingerprint_of
from aeinfer.session import Session
from benchmarks import options, results
from benchmarks.ffdnet import ffdnet_shaped
from benchmarks.graph import graph_cost
from benchmarks.noisy import Image, noisy_image
from benchmarks.packaged import model_files, photo_models
from benchmarks.peers import PEERS
from benchmarks.status import STATUS, used_bytes
from benchmarks.timing import THREADS, interleaved_seconds

HEIGHT, WIDTH = 512, 768
BASE = "FFDNet-shaped"
SIGMA = 25  # that the peers are told
Call = Callable[[], object]


def scene() -> Image:
    """A smooth picture under noise: what a filter with shortcuts for flat regions would meet."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = [np.sin(x / a) * np.cos(y / b) / 4 + 0.5 for a, b in ((31, 57), (83, 19), (47, 101))]
    return noisy_image(np.stack(waves, 2).astype(np.float32), SIGMA, 0)


def laid_out(image: Image) -> Image:
    """(H, W, C) -> (1, C, H, W)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


def rates(calls: dict[str, Call], rounds: int) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """Return of each call MPix/s in the median round, and its speed relative to the base round by round."""
    seconds = interleaved_seconds(calls, rounds)
    return {
        name: (HEIGHT * WIDTH / 1e6 / float(np.median(times)), seconds[BASE] / times) for name, times in seconds.items()
    }


def session_call(content: bytes, name: str, threads: int, batch: Image) -> Call:
    """Return what runs a model on as many of the channels of (1, C, H, W) as it takes."""
    session = Session(content, name, device="cpu", threads=threads)
    taken = np.ascontiguousarray(batch[:, : session.input_shape[1]])
    return lambda: session.run(taken)


def peak_megabytes(content: bytes, name: str) -> float:
    """How much memory loading the model and one run at one thread take at most, in a process that did nothing else."""
    session_call(ffdnet_shaped(), BASE, 1, np.zeros((1, 3, 16, 16), np.float32))()  # what any first session takes
    before = used_bytes("VmRSS")
    session_call(content, name, 1, np.zeros((1, 3, HEIGHT, WIDTH), np.float32))()
    return (used_bytes("VmHWM") - before) / 1e6


def in_new_process(function: Callable[..., float], *arguments: object) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def cost_row(method: str, content: bytes) -> results.Row:
    """What a model costs whatever the clock says."""
    macs, parameters = graph_cost(content, HEIGHT, WIDTH)
    row = {
        "method": method,
        "fingerprint": fingerprint_of(content),
        "kmac_per_pixel": round(macs / HEIGHT / WIDTH / 1000, 1),
        "parameters": parameters,
        "file_kb": round(len(content) / 1000),
    }
    if STATUS.exists():  # Linux
        row["peak_mb"] = round(in_new_process(peak_megabytes, content, method))
    return row


def measure_models(contents: dict[str, bytes], rounds: int) -> list[results.Row]:
    """Rows of the models and the base: their cost, MPix/s and ratio to the base at each of THREADS."""
    rows = {method: cost_row(method, content) for method, content in contents.items()}
    batch = laid_out(scene())
    for threads in THREADS:
        calls = {method: session_call(content, method, threads, batch) for method, content in contents.items()}
        measured = rates(calls, rounds)
        for method, (rate, ratio) in measured.items():
            figures = {"mpix_per_s": rate, "ratio": np.median(ratio)}
            fp32 = method.removesuffix("int8") + "fp32"
            if fp32 in measured and fp32 != method:
                figures["ratio_to_fp32"] = np.median(ratio / measured[fp32][1])
            rows[method] |= {f"{key}_{threads}": round(float(value), 3) for key, value in figures.items()}
    return list(rows.values())


def measure_peer(name: str, rounds: int) -> results.Row:
    """Row of a peer: MPix/s and ratio to the base, both at one thread."""
    image = scene()
    cv2.setNumThreads(1)
    base = session_call(ffdnet_shaped(), BASE, 1, laid_out(image))
    rate, ratio = rates({BASE: base, name: lambda: PEERS[name](image, SIGMA)}, rounds)[name]
    return {"method": name, "mpix_per_s_1": round(rate, 3), "ratio_1": round(float(np.median(ratio)), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_models", description=__doc__)
    options.add_rounds(parser, 7)
    options.add_methods(parser)
    args = parser.parse_args()
    files = photo_models()

    def keep(rows: list[results.Row]) -> None:
        results.merge("models", rows, ("method",), {BASE, *PEERS, *model_files()}, of_this_machine=True)

    chosen = options.chosen(parser, [BASE, *files, *PEERS], args.methods)
    contents = {method: files[method].read_bytes() for method in chosen if method in files}
    keep(measure_models({BASE: ffdnet_shaped(), **contents}, args.rounds))
    for name in (method for method in chosen if method in PEERS):
        keep([measure_peer(name, max(1, args.rounds // PEERS[name].every))])  # a slow one gets fewer rounds


if __name__ == "__main__":
    main()
