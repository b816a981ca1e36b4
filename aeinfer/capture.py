"""Frames of cameras, video files and URLs through OpenCV, opened again where they fail; no frame is changed here."""

import logging
import os
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import ImageReadError
from aeinfer.opencv import load_opencv

__all__ = ["Capture", "is_missing_file"]

Frame = NDArray[np.uint8]

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0  # seconds between tries, doubled each time
USUAL_FPS = 25.0  # of a source that does not tell
STILL = 5  # frames that begin a file or a URL and are the same to the bit: no sensor gives such

URL = re.compile(r"[a-z][a-z0-9+.-]*://")

logger = logging.getLogger("aeinfer")


def is_missing_file(source: str) -> bool:
    """Tell whether a source is neither a camera's number, a URL, a pattern of OpenCV's nor anything on the disk.

    Examples
    --------
    >>> [is_missing_file(source) for source in ("no-such.mp4", "0", "rtsp://192.0.2.1/live", "frame-%03d.png")]
    [True, False, False, False]
    """
    return not (source.isdecimal() or URL.match(source) or set("%!") & set(source) or Path(source).exists())


class Capture:
    """An open source of BGR frames.

    Parameters
    ----------
    source : str
        A camera's number or device, the path of a video file, or a URL (rtsp, tcp, udp, http ...).
    reconnect : float
        Seconds for which a URL or a camera that fails is tried again; with 0 it has ended, as a file does.
    timeout : float
        Seconds after which a URL that sends nothing has failed.

    Attributes
    ----------
    live : bool
        Whether it does not wait: a camera, or a URL of no known length.
    fps : float
        Frames a second, as the source tells; 25 where it does not.
    aspect : (int, int)
        How wide pixels are to their height; zeros where the source does not tell.

    Raises
    ------
    ImageReadError
        It does not open.
    BackendMissingError
        OpenCV is not installed.
    """

    def __init__(self, source: str, *, reconnect: float = 60.0, timeout: float = 10.0) -> None:
        self._cv2 = load_opencv()
        # libavformat writes of each lost connection on stderr, which `logger` does as well
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self.source, self._reconnect, self._timeout = source, reconnect, timeout
        self._is_url = URL.match(source) is not None
        self._is_camera = source.isdecimal() or Path(source).is_char_device()
        self._capture = self._open()
        if self._capture is None:
            raise ImageReadError(f"{source} does not open: {self._expected()}")
        length = self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT)
        self.live = self._is_camera or (self._is_url and not length > 0)
        fps = self._capture.get(self._cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else USUAL_FPS
        across, down = (round(self._capture.get(getattr(self._cv2, f"CAP_PROP_SAR_{part}"))) for part in ("NUM", "DEN"))
        self.aspect = (across, down) if across > 0 and down > 0 else (0, 0)

    def frames(self) -> Iterator[Frame]:
        """Yield frames (H, W, 3), BGR, until a file ends.

        Raises
        ------
        ImageReadError
            A live source failed, and all tries to open it again did.
        """
        begin: list[int] = []
        try:
            while True:
                good, frame = self._capture.read()
                if good:
                    if len(begin) < STILL and not self._is_camera:
                        begin.append(zlib.crc32(frame))
                        self._warn_of_stillness(begin)
                    yield frame
                elif self.live and self._reconnect:
                    self._capture = self._open_again()
                else:
                    return
        finally:  # in the thread that reads: to release a camera that another one reads from would crash
            self._capture.release()

    def _warn_of_stillness(self, begin: list[int]) -> None:
        """OpenCV 5.0 converts no interlaced frame, and gives what its memory held, without a word."""
        if len(begin) == STILL and len(set(begin)) == 1:
            logger.warning(
                "%s begins with %d frames that are the same to the bit, as interlaced video comes out of OpenCV: if it "
                "is that, take `aeinfer video`, or pipe the frames from ffmpeg",
                self.source,
                STILL,
            )

    def _open(self) -> Any:
        if self.source.isdecimal():
            capture = self._cv2.VideoCapture(int(self.source))
        elif self._is_url:
            milliseconds = round(self._timeout * 1000)
            bounds = [self._cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds]
            bounds += [self._cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
            capture = self._cv2.VideoCapture(self.source, self._cv2.CAP_FFMPEG, bounds)
        else:
            capture = self._cv2.VideoCapture(self.source)
        return capture if capture.isOpened() else None

    def _open_again(self) -> Any:
        """Try after ever longer pauses."""
        self._capture.release()
        logger.warning("%s gives no frame any more: trying again for %g s", self.source, self._reconnect)
        until, pause = time.monotonic() + self._reconnect, FIRST_PAUSE
        while time.monotonic() + pause < until:
            time.sleep(pause)
            if (capture := self._open()) is not None:
                logger.warning("%s is there again", self.source)
                return capture
            pause = min(2 * pause, LONGEST_PAUSE)
        raise ImageReadError(
            f"{self.source} gave no frame any more, and did not open again within {self._reconnect:g} s"
        )

    def _expected(self) -> str:
        if self._is_camera:
            return "expected a camera; is it there, and free, and may this user open it?"
        if self._is_url:
            return f"expected a stream there within {self._timeout:g} s"
        return "expected a video file" if Path(self.source).exists() else "there is no such file"
