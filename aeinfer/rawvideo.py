"""Frames as bytes, bare or as YUV4MPEG2 (y4m): how they lie, and how they are read; no pixel changes.

What `ffmpeg -f rawvideo`, `ffmpeg -f yuv4mpegpipe` and GStreamer's fdsink send through a pipe.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import ImageReadError, InputError

__all__ = ["LONGEST_LINE", "PIXEL_FORMATS", "Layout", "read_frames", "read_header", "write_header"]

Bytes = NDArray[np.uint8]

PACKED = {"rgb24": 3, "bgr24": 3, "gray": 1}  # bytes of a pixel
PLANAR = ("yuv420p", "nv12")
PIXEL_FORMATS = (*PACKED, *PLANAR)

MAGIC = b"YUV4MPEG2 "
LONGEST_LINE = 1 << 10
Y4M_FORMATS = {"mono": "gray", "420": "yuv420p", "420jpeg": "yuv420p", "420mpeg2": "yuv420p", "420paldv": "yuv420p"}
LARGEST_SIDE = 1 << 16


@dataclass(frozen=True)
class Layout:
    """How the bytes of one frame lie.

    Parameters
    ----------
    width, height : int
        In pixels.
    pixel_format : str
        In ffmpeg's words: "rgb24", "bgr24", "gray", "yuv420p" (GStreamer: I420) or "nv12".
    align : int
        The rows of each plane are padded to a multiple of so many bytes: 1 for ffmpeg, 4 for GStreamer.
    full_range : bool
        Whether luma goes from 0 to 255, and not from 16 to 235.

    Raises
    ------
    InputError
        There is no such layout.
    """

    width: int
    height: int
    pixel_format: str
    align: int = 1
    full_range: bool = False

    def __post_init__(self) -> None:
        if self.pixel_format not in PIXEL_FORMATS:
            raise InputError(f"pixel formats are {', '.join(PIXEL_FORMATS)}, got {self.pixel_format!r}")
        if not (0 < self.width <= LARGEST_SIDE and 0 < self.height <= LARGEST_SIDE):
            raise InputError(f"expected sides from 1 to {LARGEST_SIDE} pixels, got {self.width}x{self.height}")
        if self.align < 1:
            raise InputError(f"rows are padded to a multiple of at least 1 byte, got {self.align}")

    @property
    def is_yuv(self) -> bool:
        """Whether colour lies in planes of its own, at half the resolution."""
        return self.pixel_format in PLANAR

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return sum(rows * stride for rows, stride in self._planes())

    def pixels(self, buffer: Bytes) -> Bytes:
        """Return the view (H, W) or (H, W, 3) on a frame's pixels, or on its luma."""
        colors = PACKED.get(self.pixel_format, 1)
        stride = self._planes()[0][1]
        view = np.ndarray((self.height, self.width, colors), np.uint8, buffer, 0, (stride, colors, 1))
        return view if colors > 1 else view[:, :, 0]

    def chroma(self, buffer: Bytes) -> tuple[Bytes, Bytes]:
        """Return the views (H / 2, W / 2), rounded up, on U and V."""
        (rows, stride), (below, wide), *_ = self._planes()
        shape = -(-self.height // 2), -(-self.width // 2)
        step, second = (2, 1) if self.pixel_format == "nv12" else (1, below * wide)
        begin = rows * stride
        u, v = (np.ndarray(shape, np.uint8, buffer, start, (wide, step)) for start in (begin, begin + second))
        return u, v

    def _planes(self) -> list[tuple[int, int]]:
        """Return rows and bytes of a row of each plane."""
        if not self.is_yuv:
            return [(self.height, self._padded(self.width * PACKED[self.pixel_format]))]
        rows, columns = -(-self.height // 2), -(-self.width // 2)
        luma = self.height if self.align == 1 else 2 * rows, self._padded(self.width)  # GStreamer has an even number
        if self.pixel_format == "nv12":
            return [luma, (rows, self._padded(2 * columns))]
        return [luma, (rows, self._padded(columns)), (rows, self._padded(columns))]

    def _padded(self, count: int) -> int:
        return -(-count // self.align) * self.align


def read_header(line: bytes) -> Layout:
    """Return the layout that the first line of a y4m stream tells.

    Raises
    ------
    ImageReadError
        It is no such line, or tells of a layout that is not read here.
    """
    if not line.startswith(MAGIC) or not line.endswith(b"\n"):
        raise ImageReadError(
            f"expected a y4m stream, which begins with {MAGIC.decode()!r}, got {line[:20]!r}; of raw frames tell "
            "--size and --pix-fmt"
        )
    facts = {word[:1]: word[1:] for word in line[len(MAGIC) : -1].decode("ascii", "replace").split(" ") if word}
    extended = re.search(rb" X?COLORRANGE=(\w+)", line)
    colors = facts.get("C", "420jpeg")
    if colors not in Y4M_FORMATS:
        raise ImageReadError(
            f"y4m is read in 8 bits with colours {', '.join(Y4M_FORMATS)}, got {colors!r}: ask ffmpeg for "
            "-pix_fmt yuv420p"
        )
    if not (facts.get("W", "").isdecimal() and facts.get("H", "").isdecimal()):
        raise ImageReadError(f"expected a width and a height in the y4m stream's first line, got {line!r}")
    full = extended is not None and extended[1] == b"FULL"
    return Layout(int(facts["W"]), int(facts["H"]), Y4M_FORMATS[colors], full_range=full)


def write_header(width: int, height: int, frames_per_second: float, aspect: tuple[int, int] = (1, 1)) -> bytes:
    """Return the first line of a y4m stream of yuv420p frames; zeros for `aspect` where the pixels' is unknown."""
    rate = round(frames_per_second * 1000)
    return f"{MAGIC.decode()}W{width} H{height} F{rate}:1000 Ip A{aspect[0]}:{aspect[1]} C420jpeg\n".encode()


def read_frames(file: BufferedReader, layout: Layout, *, y4m: bool = False) -> Iterator[tuple[bytes, Bytes]]:
    """Yield the frames of a stream: the line before it, which y4m has, and its bytes in an array of its own.

    Raises
    ------
    ImageReadError
        The stream ends inside of a frame, or what comes is none.
    """
    number = 0
    while True:
        number += 1
        line = file.readline(LONGEST_LINE) if y4m else b""
        if y4m and not line:
            return
        if y4m and not (line.startswith(b"FRAME") and line.endswith(b"\n")):
            raise ImageReadError(f"expected the line FRAME before frame {number}, got {line[:20]!r}")
        buffer = np.empty(layout.size, np.uint8)
        got = file.readinto(buffer.data)
        if got == 0 and not y4m:
            return
        if got < layout.size:
            raise ImageReadError(f"the source ended inside of frame {number}: {got} of its {layout.size} bytes came")
        yield line, buffer
