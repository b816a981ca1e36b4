"""Denoise a video between two ffmpeg processes: python examples/ffmpeg_pipe.py noisy.mp4 clean.mp4.

The frames alone: `aeinfer video` keeps sound, subtitles and timestamps as well.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from aeinfer import AEInfer


def shape_and_rate(path: str) -> tuple[int, int, str]:
    entries = "stream=height,width,r_frame_rate:stream_side_data=rotation"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", path]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    (stream,) = json.loads(told.stdout)["streams"]
    height, width = stream["height"], stream["width"]
    if any(data.get("rotation", 0) % 180 for data in stream.get("side_data_list", ())):  # ffmpeg turns the frames
        height, width = width, height
    return height, width, stream["r_frame_rate"]


def frames(path: str, height: int, width: int) -> Iterator[np.ndarray]:
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as decoder:
        assert decoder.stdout is not None
        while data := decoder.stdout.read(height * width * 3):
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, target = sys.argv[1:]
    height, width, rate = shape_and_rate(source)
    shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate]
    command = ["ffmpeg", "-v", "error", "-y", *shape, "-i", "-", target]
    with AEInfer.load("photo-fast") as ae, subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for clean in ae.stream(frames(source, height, width)):
            encoder.stdin.write(clean.data)
    print(f"{ae.stats.frames_out} frames, {ae.stats.fps:.1f} a second")


if __name__ == "__main__":
    main()
