"""A callback for picamera2 that denoises a Raspberry Pi camera's frames in place; it opens and configures no camera.

picamera2 is imported by the first frame. Its formats are named as libcamera does, from the last byte of a pixel to the
first: "RGB888" has blue first in memory.
"""

import time
from typing import TYPE_CHECKING, Any

from aeinfer.errors import InputError
from aeinfer.planes import view

if TYPE_CHECKING:
    from aeinfer.denoiser import AEInfer

__all__ = ["Callback"]

FORMATS = {
    "RGB888": "BGR",
    "BGR888": "RGB",
    "XRGB8888": "BGRx",
    "XBGR8888": "RGBx",
    "YUV420": "I420",
    "YVU420": "YV12",
    "NV12": "NV12",
    "NV21": "NV21",
    "YUYV": "YUY2",
    "UYVY": "UYVY",
    "R8": "GRAY8",
}
"""picamera2's names, and those of `planes`."""


class Callback:
    """Denoises frames where they lie, and leaves out as many as it takes to keep up with the camera.

    After a frame that took longer than the camera's time from frame to frame, those that arrive until that time is made
    up for pass as they are. Of YUV frames luma alone is denoised. Errors are raised in picamera2's own thread.

    Parameters
    ----------
    ae : AEInfer
        Loaded with color="rgb", which is the default; warmed up here, before the camera starts.
    stream : str
        "main" or "lores".
    strength : float
        As in `AEInfer.denoise`.

    Attributes
    ----------
    denoised, skipped : int
        Frames so far.

    Raises
    ------
    InputError
        From the first frame on: the stream is not configured, or in another format.

    Examples
    --------
    >>> picam2.pre_callback = Callback(AEInfer.load("photo-fast"))  # doctest: +SKIP
    """

    def __init__(self, ae: "AEInfer", *, stream: str = "main", strength: float = 1.0) -> None:
        self.denoised = self.skipped = 0
        self._ae, self._stream, self._strength = ae, stream, strength
        self._behind = 0.0
        ae.warmup()  # a camera does not wait: loops compiled between two frames would cost it many

    def __call__(self, request: Any) -> None:
        """Denoise the frame of one completed request, or let it pass."""
        interval = request.get_metadata().get("FrameDuration", 0) / 1e6  # not every camera tells it: then none is late
        if self._behind > 0:
            self._behind -= interval
            self.skipped += 1
            return
        begin = time.perf_counter()
        self._denoise(request)
        self.denoised += 1
        if interval:
            self._behind = time.perf_counter() - begin - interval

    def _denoise(self, request: Any) -> None:
        from picamera2 import MappedArray

        config = request.config.get(self._stream)
        if config is None:
            raise InputError(f"the camera has no stream {self._stream!r}: configure it")
        if config["format"] not in FORMATS:
            raise InputError(f"picamera2's formats are denoised as {', '.join(FORMATS)}, got {config['format']!r}")
        width, height = config["size"]
        # not in picamera2's own shape, which has no room for the padding of YUV's rows
        with MappedArray(request, self._stream, reshape=False) as mapped:
            pixels = view(mapped.array, width, height, FORMATS[config["format"]], config["stride"])
            self._ae(pixels, out=pixels, strength=self._strength)
