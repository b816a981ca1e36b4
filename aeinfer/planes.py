"""The pixels within the bytes of a video frame, through padded rows and interleaved channels; copies and changes none.

Of a frame whose colour lies in planes of its own, or beside its luma, that is the luma. Formats have GStreamer's names.
numpy is imported by the first frame, so that a pipeline learns what is accepted where numpy is missing.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from aeinfer.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMATS", "Packing", "view"]


class Packing(NamedTuple):
    """How the samples of a pixel lie: their dtype, how many there are, and which of them are its colours or luma."""

    dtype: str
    samples: int
    channels: slice | int


FORMATS = {
    "RGB": Packing("u1", 3, slice(0, 3)),
    "BGR": Packing("u1", 3, slice(None, None, -1)),
    "RGBA": Packing("u1", 4, slice(0, 3)),
    "RGBx": Packing("u1", 4, slice(0, 3)),
    "BGRA": Packing("u1", 4, slice(2, None, -1)),
    "BGRx": Packing("u1", 4, slice(2, None, -1)),
    "ARGB": Packing("u1", 4, slice(1, 4)),
    "xRGB": Packing("u1", 4, slice(1, 4)),
    "ABGR": Packing("u1", 4, slice(3, 0, -1)),
    "xBGR": Packing("u1", 4, slice(3, 0, -1)),
    "GRAY8": Packing("u1", 1, 0),
    "GRAY16_LE": Packing("<u2", 1, 0),
    "GRAY16_BE": Packing(">u2", 1, 0),
    "I420": Packing("u1", 1, 0),
    "YV12": Packing("u1", 1, 0),
    "NV12": Packing("u1", 1, 0),
    "NV21": Packing("u1", 1, 0),
    "YUY2": Packing("u1", 2, 0),
    "UYVY": Packing("u1", 2, 1),
}


def view(buffer: Any, width: int, height: int, pixel_format: str, stride: int, offset: int = 0) -> "NDArray[Any]":
    """Return the view on a frame's pixels; red comes first, whatever the format.

    Parameters
    ----------
    buffer : bytes, bytearray, memoryview, array or mmap
        The view can be written where this can.
    width, height : int
        In pixels.
    pixel_format : str
        One of FORMATS.
    stride : int
        From the start of a row to that of the next, in bytes.
    offset : int
        Of the first row, in bytes.

    Returns
    -------
    (H, W, 3) array, (H, W) for formats without colours beside each other: uint8, or uint16 in the format's byte order.

    Raises
    ------
    InputError
        There is no such format, or the frame does not fit its rows or the buffer.
    """
    import numpy as np

    if pixel_format not in FORMATS:
        raise InputError(f"pixel formats are {', '.join(FORMATS)}, got {pixel_format!r}")
    dtype, samples, channels = FORMATS[pixel_format]
    pixel = samples * np.dtype(dtype).itemsize
    try:
        flat = np.frombuffer(buffer, np.uint8)
    except (TypeError, ValueError):
        raise InputError(f"expected bytes one after the other, got a {type(buffer).__name__}") from None
    if width < 1 or height < 1 or offset < 0 or stride < width * pixel:
        raise InputError(
            f"expected a frame of at least one pixel with at least {width * pixel} bytes from row to row, got "
            f"{width}x{height} with {stride}, beginning at {offset}"
        )
    if (needed := offset + (height - 1) * stride + width * pixel) > flat.size:
        raise InputError(f"{width}x{height} pixels of {pixel_format} take {needed} bytes, got {flat.size}")
    packed: NDArray[Any] = np.ndarray((height, width, samples), dtype, flat, offset, (stride, pixel, pixel // samples))
    return packed[:, :, channels]
