"""Denoise a camera or a video file: prints the frames per second, and writes the last frame as last-frame.png.

python examples/camera.py            the first camera
python examples/camera.py clip.mp4   a file
"""

import contextlib
import sys
import time
from collections.abc import Iterator

import cv2
import numpy as np

from aeinfer import AEInfer


def frames(source: int | str) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise SystemExit(f"cannot open {source!r}: expected a camera number or a video file")
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            yield frame
    finally:
        capture.release()


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else "0"
    live = source.isdecimal()
    begin, count, last = time.perf_counter(), 0, None
    with AEInfer.load("photo", color="bgr") as ae:  # OpenCV's frames are BGR
        # a camera does not wait: drop what is late; a file does
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a camera's job ends
            for clean in ae.stream(frames(int(source) if live else source), policy="latest" if live else "all"):
                count, last = count + 1, clean
                print(f"\r{count} frames, {count / (time.perf_counter() - begin):.1f} a second", end="", flush=True)
        print(f", {ae.stats.dropped} dropped")
    if last is not None:
        cv2.imwrite("last-frame.png", last)


if __name__ == "__main__":
    main()
