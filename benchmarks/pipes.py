"""Numbered frames through programs: which pipes there are, and what comes out of them; networks are timed elsewhere."""

import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeinfer.gstreamer import PLUGIN_PATH

Image = NDArray[np.uint8]

HEIGHT, WIDTH = 720, 1280
BLOCK = 96  # side of the squares that hold a frame's number
ENCODER = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "18"]
AEINFER = [sys.executable, "-m", "aeinfer"]


def picture(shape: tuple[int, ...]) -> Image:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def numbered(count: int) -> Iterator[Image]:
    """Frames of noise with their number in two grey squares, which no denoiser and no codec of good quality changes."""
    frame = picture((HEIGHT, WIDTH, 3))
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
    packages = [str(Path(module).parents[1]) for module in (np.__file__, PLUGIN_PATH)]
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
