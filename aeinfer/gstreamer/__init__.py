"""Frames of GStreamer as arrays, and arrays as frames, for one's own appsink and appsrc; it builds no pipeline.

The element aeinferdenoise, which gst-launch-1.0 finds in PLUGIN_PATH, lies in python/ and uses the same. GStreamer's
own bindings come from the system (python3-gst-1.0), and are imported on first use.
"""

import functools
import gc
import weakref
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aeinfer.errors import BackendMissingError, InputError
from aeinfer.planes import view

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PLUGIN_PATH", "Frame", "buffer_of", "frame_of", "load_gstreamer"]

PLUGIN_PATH = str(Path(__file__).resolve().parent)
"""The folder for the environment's GST_PLUGIN_PATH."""


class Frame:
    """The pixels of a Gst.Buffer, mapped for the length of a `with` block.

    A view that is still used after the block keeps the memory mapped, so that it never reads what is not there; as the
    buffer cannot go on like that, the block then ends with an error.

    Parameters
    ----------
    buffer : Gst.Buffer
    info : GstVideo.VideoInfo
        Of its caps; where the buffer tells of other strides and offsets itself, those are taken.
    writable : bool
        Whether the pixels can be written; the buffer must be the caller's alone.

    Attributes
    ----------
    pixels : (H, W, 3) or (H, W) array
        See `planes.view`; there within the block only.

    Raises
    ------
    InputError
        The buffer cannot be mapped, does not hold such a frame, or a view is used on after the block.
    """

    pixels: "NDArray[Any]"

    def __init__(self, buffer: Any, info: Any, *, writable: bool = False) -> None:
        self._buffer, self._info, self._writable = buffer, info, writable

    def __enter__(self) -> Self:
        gst, video = load_gstreamer()
        flags = gst.MapFlags.READ | gst.MapFlags.WRITE if self._writable else gst.MapFlags.READ
        good, mapping = self._buffer.map(flags)
        if not good:
            raise InputError(f"the buffer cannot be mapped{' to be written: copy it' if self._writable else ''}")
        layout = video.buffer_get_video_meta(self._buffer) or self._info
        try:
            self.pixels = view(
                mapping.data,
                self._info.width,
                self._info.height,
                self._info.finfo.name,
                layout.stride[0],
                layout.offset[0],
            )
        except InputError:
            self._buffer.unmap(mapping)
            raise
        # numpy holds no lock on a memoryview: the array that all views are based on tells when none is left
        self._unmap = weakref.finalize(self.pixels.base, self._buffer.unmap, mapping)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        del self.pixels
        if self._unmap.alive and error is None:
            gc.collect()  # what numba compiles for may hang in circles of references
        if self._unmap.alive and error is None:
            raise InputError("a view of the frame's pixels is used on after its block: keep a copy() of them instead")


def frame_of(sample: Any) -> Frame:
    """Return the frame of a sample, as appsink gives it, to be read in a `with` block.

    Parameters
    ----------
    sample : Gst.Sample
        Raw video in one of `planes.FORMATS`.

    Raises
    ------
    InputError
        The sample holds something else.

    Examples
    --------
    >>> with frame_of(appsink.emit("pull-sample")) as frame:  # doctest: +SKIP
    ...     clean = ae(frame.pixels)
    """
    return Frame(_buffer(sample), _info(sample))


def buffer_of(array: "NDArray[Any]", like: Any) -> Any:
    """Return a Gst.Buffer with these pixels and all else of the sample that they came from, as appsrc takes it.

    What stays are timestamps and duration, flags and metadata, the padding of the rows, alpha, and the colour planes
    beside luma. A buffer has no caps: the appsrc's property "caps" takes `like.get_caps()`.

    Parameters
    ----------
    array : (H, W, 3) or (H, W) array
        Of the shape and dtype that `frame_of(like)` gave.
    like : Gst.Sample

    Raises
    ------
    InputError
        The array has another shape or dtype.
    """
    buffer = _buffer(like).copy_deep()
    with Frame(buffer, _info(like), writable=True) as frame:
        if (array.shape, array.dtype) != (frame.pixels.shape, frame.pixels.dtype):
            raise InputError(
                f"expected pixels like the sample's, {frame.pixels.dtype} of shape {frame.pixels.shape}, got "
                f"{array.dtype} of shape {array.shape}"
            )
        frame.pixels[...] = array
    return buffer


@functools.cache
def load_gstreamer() -> tuple[Any, Any]:
    """Return the modules Gst and GstVideo.

    Raises
    ------
    BackendMissingError
        They are not installed, or not for this Python.
    """
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstVideo", "1.0")
        from gi.repository import Gst, GstVideo

        if find_spec("gi.overrides.Gst") is None:  # PyGObject alone gives copies of buffers
            raise ImportError("there is no gi.overrides.Gst")
    except (ImportError, ValueError) as error:
        raise BackendMissingError(
            f"GStreamer's Python bindings are missing ({error}): install python3-gst-1.0, and make the environment "
            "with /usr/bin/python3 -m venv --system-site-packages"
        ) from error
    return Gst, GstVideo


def _buffer(sample: Any) -> Any:
    buffer = sample.get_buffer()
    if buffer is None:
        raise InputError("the sample holds no buffer")
    return buffer


def _info(sample: Any) -> Any:
    _, video = load_gstreamer()
    caps = sample.get_caps()
    try:
        return video.VideoInfo.new_from_caps(caps)
    except TypeError:  # gi's way to say that there is none
        raise InputError(f"expected a sample of raw video, got {caps and caps.to_string()}") from None
