"""Frames through every door: `python -m benchmarks.bench_stream`; see README.md.

What `AEInfer.stream` takes beyond the bare network; 300 numbered frames of 1280x720 through each pipe, all of them out
and in order; and the latency under a source that is twice as fast as the network.
"""

import argparse
import functools
import itertools
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer, kernels
from aeinfer.cli.options import whole
from aeinfer.gstreamer import PLUGIN_PATH
from aeinfer.session import fingerprint_of
from benchmarks import results
from benchmarks.bench_denoise import bare_runs
from benchmarks.packaged import model_files
from benchmarks.timing import SPIN_SECONDS, interleaved_seconds

SIZES = {"640x480": (480, 640, 3), "1280x720": (720, 1280, 3), "1920x1080": (1080, 1920, 3)}
HEIGHT, WIDTH, _ = SIZES["1280x720"]
MODELS = ("photo-fast fp32", "photo-fast int8", "photo fp32", "photo int8")
PIPED, PIPED_GREY = "photo-fast fp32", "photo-fast-grey fp32"  # what a pipe takes, and for the luma alone
ENCODER = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "18"]
AEINFER = [sys.executable, "-m", "aeinfer"]
FRAMES = 300
SHORT = 20  # frames of one round of the overhead
ROUNDS = 5
BLOCK = 96  # side of the squares that hold a frame's number
Image = NDArray[Any]


def picture(shape: tuple[int, ...]) -> Image:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def numbered(count: int) -> Iterator[Image]:
    """Frames of noise with their number in two grey squares, which no denoiser and no codec of good quality changes."""
    frame = picture(SIZES["1280x720"])
    for number in range(count):
        for place, digit in enumerate(divmod(number, 20)):
            frame[:BLOCK, place * BLOCK : (place + 1) * BLOCK] = 10 + 12 * digit
        yield frame.copy()


def number_of(frame: Image) -> int:
    inner = slice(BLOCK // 4, 3 * BLOCK // 4)
    squares = (frame[inner, place * BLOCK : (place + 1) * BLOCK][:, inner] for place in (0, 1))
    high, low = (round((float(square.mean()) - 10) / 12) for square in squares)
    return 20 * high + low


def raw(pixel_format: str = "bgr24") -> list[str]:
    return ["-f", "rawvideo", "-pix_fmt", pixel_format, "-s", f"{WIDTH}x{HEIGHT}"]


def method_of(pipe: str) -> str:
    return PIPED_GREY if "--luma" in pipe else PIPED


def pipes(count: int) -> dict[str, list[list[str]]]:
    """The programs of each pipe, the first of which gets raw BGR frames and the last of which gives them."""
    ours = [*AEINFER, "stream", "-", "-q", "-o", "-"]
    size = ["--size", f"{WIDTH}x{HEIGHT}", "--pix-fmt"]
    ffmpeg = ["ffmpeg", "-v", "error"]
    url = f"tcp://127.0.0.1:{free_port()}"
    to_url = [*ffmpeg, *raw(), "-i", "-", *ENCODER, "-f", "mpegts", f"{url}?listen=1"]
    from_url = ["sh", "-c", 'sleep 2; exec "$@"', "sh"]  # there must be somebody who listens
    from_url += [*AEINFER, "stream", url, "-q", "--policy", "all", "--frames", str(count), "-o", "-"]
    to_y4m = [*ffmpeg, *raw(), "-i", "-", "-f", "yuv4mpegpipe", "-pix_fmt", "yuv420p", "-"]
    to_nv12 = [*ffmpeg, *raw(), "-i", "-", *raw("nv12"), "-"]
    bgr = f"width={WIDTH} height={HEIGHT} framerate=30/1"
    gst = ["gst-launch-1.0", "-q", "fdsrc", "fd=0", "!", "rawvideoparse", "format=bgr", *bgr.split()]
    fd = ["!", "fdsink", "fd=1"]
    queue = ["!", "queue", "max-size-buffers=2"]
    return {
        "aeinfer stream, raw bgr24": [[*ours, *size, "bgr24"]],
        "ffmpeg | aeinfer stream, y4m | ffmpeg": [to_y4m, ours, [*ffmpeg, "-i", "-", *raw(), "-"]],
        "ffmpeg | aeinfer stream --luma, nv12 | ffmpeg": [
            to_nv12,
            [*ours, *size, "nv12", "--luma"],
            [*ffmpeg, *raw("nv12"), "-i", "-", *raw(), "-"],
        ],
        "gst-launch-1.0 | aeinfer stream, raw bgr24 | gst-launch-1.0": [
            [*gst, *fd],
            [*ours, *size, "bgr24"],
            [*gst, *fd],
        ],
        "gst-launch-1.0 with aeinferdenoise, BGR": [[*gst, *queue, "!", "aeinferdenoise", *queue, *fd]],
        "ffmpeg | tcp, mpegts | aeinfer stream | ffmpeg": [to_url, from_url, [*ffmpeg, "-i", "-", *raw(), "-"]],
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment() -> dict[str, str]:
    """The environment in which GStreamer's Python, the system's own, finds the element and this one's packages."""
    packages = [str(Path(module).parents[levels]) for module, levels in ((np.__file__, 1), (PLUGIN_PATH, 1))]
    path = [folder for folder in os.get_exec_path() if not Path(folder).is_relative_to(sys.prefix)]
    ours = {"GST_PLUGIN_PATH": PLUGIN_PATH, "PYTHONPATH": os.pathsep.join(packages), "PATH": os.pathsep.join(path)}
    return {**os.environ, **ours}


def through(commands: list[list[str]], count: int) -> tuple[list[int], float]:
    """Send numbered frames through programs; return the numbers that came out, and seconds a frame after the first.

    The seconds are NaN where the last program gives no frames.
    """
    processes: list[subprocess.Popen[bytes]] = []

    def feed() -> None:
        with processes[0].stdin as pipe:
            for frame in numbered(count):
                pipe.write(frame.data)

    for command in commands:
        source = processes[-1].stdout if processes else subprocess.PIPE
        processes.append(subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, env=environment()))
        if source is subprocess.PIPE:
            threading.Thread(target=feed).start()
        else:
            source.close()  # the next program has it: if that ends, the one before must see it
    numbers, times = [], []
    while data := processes[-1].stdout.read(HEIGHT * WIDTH * 3):
        times.append(time.perf_counter())
        numbers.append(number_of(np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)))
    if sum(process.wait() != 0 for process in processes):
        raise SystemExit(f"a program failed: {commands}")
    return numbers, (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else math.nan


def through_video(count: int) -> tuple[list[int], float]:
    """Likewise through `aeinfer video`, from one file to another; its start is among the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        noisy, clean = Path(folder, "noisy.mkv"), Path(folder, "clean.mkv")
        encode = ["ffmpeg", "-v", "error", *raw(), "-i", "-", *ENCODER, str(noisy)]
        decode = ["ffmpeg", "-v", "error", "-i", str(clean), *raw(), "-"]
        through([encode], count)
        begin = time.perf_counter()
        subprocess.run([*AEINFER, "video", "-q", "--preset", "ultrafast", str(noisy), str(clean)], check=True)
        seconds = (time.perf_counter() - begin) / count
        return through([decode], 0)[0], seconds


def measure_pipe(
    name: str, run: Callable[[], tuple[list[int], float]], bare: Callable[[], None], count: int
) -> results.Row:
    """One row: whether all frames came out in order, frames a second, and the time over that of the bare network."""
    alone = interleaved_seconds({"bare": bare}, ROUNDS, pause=SPIN_SECONDS)["bare"]
    numbers, seconds = run()
    alone = np.concatenate([alone, interleaved_seconds({"bare": bare}, ROUNDS, pause=SPIN_SECONDS)["bare"]])
    row = {"method": method_of(name), "input": name, "size": "1280x720", "frames": len(numbers)}
    row |= {"in_order": numbers == list(range(count)), "fps": round(1 / seconds, 1)}
    return row | {"over_bare": round(seconds / float(np.median(alone)), 3)}


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
    frame = picture(SIZES["1280x720"])
    with AEInfer.load(model_files()[method]) as ae:
        bare = bare_runs(ae, frame)
        network = float(np.median(interleaved_seconds({"bare": bare}, ROUNDS, pause=SPIN_SECONDS)["bare"]))

        def camera() -> Iterator[Image]:
            begin = time.perf_counter()
            for n in range(count):
                time.sleep(max(0.0, begin + n * network / 2 - time.perf_counter()))
                yield frame

        for _ in ae.stream(camera(), "latest"):
            pass
        stats = ae.stats
    row = {"method": method, "input": "latest, a source twice as fast", "size": "1280x720", "frames": stats.frames_in}
    row |= {"dropped": stats.dropped, "adds_up": stats.dropped + stats.frames_out == stats.frames_in}
    row |= {"fps": round(stats.fps, 1), "network_ms": round(network * 1e3, 1)}
    return row | {"p95_over_network": round(stats.latency_ms(95) / network / 1e3, 2)}


def rows(count: int) -> Iterator[results.Row]:
    for method in MODELS:
        yield from (measure_stream(method, size) for size in SIZES)
    yield from (measure_latest(method, count) for method in MODELS)
    ways = {name: functools.partial(through, commands, count) for name, commands in pipes(count).items()}
    ways["aeinfer video, mkv to mkv, both H.264"] = functools.partial(through_video, count)
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
        fingerprint = fingerprint_of(model_files()[row["method"]].read_bytes())
        measured.append(row | {"fingerprint": fingerprint})
        results.show(row)
    if args.frames == FRAMES:
        results.write("stream", measured)


if __name__ == "__main__":
    main()
