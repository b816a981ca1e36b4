"""Frames through every door: `python -m benchmarks.bench_stream`; see README.md.

What `AEInfer.stream` takes beyond the bare network; 300 numbered frames of 1280x720 through each pipe, all of them out
and in order; and the latency under a source that is twice as fast as the network.
"""

import argparse
import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from aeinfer import AEInfer, kernels
from aeinfer.cli.options import whole
from benchmarks import results
from benchmarks.bench_denoise import bare_runs
from benchmarks.packaged import fingerprint, model_files
from benchmarks.pipes import HEIGHT, WIDTH, Image, environment, picture, pipes, through, through_video
from benchmarks.timing import SPIN_SECONDS, interleaved_seconds

PIPE_SIZE = f"{WIDTH}x{HEIGHT}"
SIZES = {"640x480": (480, 640, 3), PIPE_SIZE: (HEIGHT, WIDTH, 3), "1920x1080": (1080, 1920, 3)}
MODELS = ("photo-fast fp32", "photo-fast int8", "photo fp32", "photo int8")
PIPED, PIPED_GREY = "photo-fast fp32", "photo-fast-grey fp32"  # what a pipe takes, and for the luma alone
FRAMES = 300
SHORT = 20  # frames of one round of the overhead
ROUNDS = 5


def method_of(pipe: str) -> str:
    return PIPED_GREY if "--luma" in pipe else PIPED


def seconds_alone(bare: Callable[[], None]) -> np.ndarray:
    """Seconds of the bare network in each round."""
    return interleaved_seconds({"bare": bare}, ROUNDS, pause=SPIN_SECONDS)["bare"]


def measure_pipe(
    name: str, run: Callable[[], tuple[list[int], float]], bare: Callable[[], None], count: int
) -> results.Row:
    """One row: whether all frames came out in order, frames a second, and the time over that of the bare network."""
    before = seconds_alone(bare)
    numbers, seconds = run()
    network = float(np.median([*before, *seconds_alone(bare)]))
    row = {"method": method_of(name), "input": name, "size": PIPE_SIZE, "frames": len(numbers)}
    row |= {"in_order": numbers == list(range(count)), "fps": round(1 / seconds, 1)}
    return row | {"over_bare": round(seconds / network, 3)}


def measure_stream(method: str, size: str) -> results.Row:
    """One row: what a frame takes in `AEInfer.stream`, over the bare network in the same session."""
    frame = picture(SIZES[size])
    with AEInfer.load(model_files()[method]) as ae:
        bare = bare_runs(ae, frame)
        calls: dict[str, Callable[[], object]] = {
            "bare": lambda: [bare() for _ in range(SHORT)],
            "stream": lambda: sum(1 for _ in ae.stream(itertools.repeat(frame, SHORT))),
        }
        seconds = interleaved_seconds(calls, ROUNDS, pause=SPIN_SECONDS)
    row = {"method": method, "input": "AEInfer.stream", "size": size, "frames": SHORT}
    row["fps"] = round(SHORT / float(np.median(seconds["stream"])), 1)
    return row | {"over_bare": round(float(np.median(seconds["stream"] / seconds["bare"])), 3)}


def measure_latest(method: str, count: int) -> results.Row:
    """One row: latencies with `latest` under a camera that gives two frames in the time of one."""
    frame = picture(SIZES[PIPE_SIZE])
    with AEInfer.load(model_files()[method]) as ae:
        network = float(np.median(seconds_alone(bare_runs(ae, frame))))

        def camera() -> Iterator[Image]:
            begin = time.perf_counter()
            for n in range(count):
                time.sleep(max(0.0, begin + n * network / 2 - time.perf_counter()))
                yield frame

        for _ in ae.stream(camera(), "latest"):
            pass
        stats = ae.stats
    row = {"method": method, "input": "latest, a source twice as fast", "size": PIPE_SIZE, "frames": stats.frames_in}
    row |= {"dropped": stats.dropped, "adds_up": stats.dropped + stats.frames_out == stats.frames_in}
    row |= {"fps": round(stats.fps, 1), "network_ms": round(network * 1e3, 1)}
    return row | {"p95_over_network": round(stats.latency_ms(95) / network / 1e3, 2)}


def rows(count: int) -> Iterator[results.Row]:
    for method in MODELS:
        yield from (measure_stream(method, size) for size in SIZES)
    yield from (measure_latest(method, count) for method in MODELS)
    ways = {name: partial(through, commands, count) for name, commands in pipes(count).items()}
    ways["aeinfer video, mkv to mkv, both H.264"] = partial(through_video, count)
    for name, run in ways.items():
        with AEInfer.load(model_files()[method_of(name)]) as ae:
            bare = bare_runs(ae, picture((HEIGHT, WIDTH, ae.info.channels)))
            yield measure_pipe(name, run, bare, count)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_stream", description=__doc__)
    parser.add_argument("--frames", type=whole(1), default=FRAMES, help="less is a quick look, and saves nothing")
    args = parser.parse_args()
    if missing := [name for name in ("ffmpeg", "gst-launch-1.0") if shutil.which(name) is None]:
        parser.exit(2, f"bench_stream: {' and '.join(missing)} must be installed: frames go through them\n")
    if subprocess.run(["gst-inspect-1.0", "aeinferdenoise"], env=environment(), capture_output=True).returncode:
        parser.exit(
            2,
            "bench_stream: GStreamer does not find aeinferdenoise: see docs/gstreamer.md; where it should, remove "
            "~/.cache/gstreamer-1.0, which remembers what could not be loaded\n",
        )
    kernels.load_loops()
    measured = []
    for row in rows(args.frames):
        measured.append(row | {"fingerprint": fingerprint(row["method"])})
        results.show(row)
    if args.frames == FRAMES:
        results.write("stream", measured)


if __name__ == "__main__":
    main()
