"""Frames of a video to the arrays that a network takes, and back to what an encoder takes; decodes and encodes nothing.

A frame brings its time, and what else belongs to it, along on the whole way.
"""

import re
import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from av import FFmpegError, VideoFrame
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from aeinfer.errors import InputError

__all__ = ["Colour", "Luma", "VideoPicture", "Way", "depth_of", "has_alpha", "is_rgb"]

# chroma is repeated on the way to RGB and averaged on the way back, which gives the same chroma again where nothing
# changed; smoother ways blur it each time and leave the network less of the luma's detail (0.4 dB on one photograph).
# without ACCURATE_RND luma comes back one level darker.
REPEATED = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# networks have not seen the noise of chroma that is halved along one side alone (4:2:2): where it is repeated they take
# more of it for detail, at sigma 15 1 dB with photo-fast and 3 dB with photo. It comes back blurred by (1, 6, 1) / 8.
INTERPOLATED = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
FROM_RGB = Interpolation.AREA | Interpolation.ACCURATE_RND

ENDIAN = "le" if sys.byteorder == "little" else "be"
LUMA_FIRST = re.compile(rf"(yuva?|yuvj)4\d\dp(\d+{ENDIAN})?|nv(12|16|21|24|42)|gray(\d+{ENDIAN})?")
"""Formats whose first plane is the luma alone, in the low bits of its samples."""


@dataclass(frozen=True)
class VideoPicture:
    """One frame in hand.

    Attributes
    ----------
    frame : av.VideoFrame
        Takes the pixels to the encoder.
    pixels : (H, W), (H, W, 3) or (H, W, 4) array
        uint8 or uint16, to be changed in place.
    """

    frame: VideoFrame
    pixels: NDArray[Any]


class Way(Protocol):
    """What of a frame is changed."""

    def open(self, frame: VideoFrame) -> VideoPicture:
        """Give a decoded frame's pixels."""

    def close(self, picture: VideoPicture) -> VideoFrame:
        """Return what is to be encoded."""


class Colour:
    """All of it, as RGB with 8 bits, or 16 where the source has more than 8, and with its alpha.

    Parameters
    ----------
    source, target : str
        Pixel formats of decoded frames and of those for the encoder.
    """

    def __init__(self, source: str, target: str) -> None:
        deep, alpha = depth_of(source) > 8, has_alpha(source)
        # swscale takes the white of 10 bits to 65283 (255 * 256 + 3) and from there back to the same white
        self._between = {
            (False, False): "rgb24",
            (False, True): "rgba",
            (True, False): f"rgb48{ENDIAN}",
            (True, True): f"rgba64{ENDIAN}",
        }[deep, alpha]
        self._target = target
        self._to_yuv = is_rgb(source) and not is_rgb(target)
        self._to_rgb = INTERPOLATED if _is_halved_once(source) else REPEATED
        self._channels, self._dtype = 3 + alpha, np.dtype(np.uint16 if deep else np.uint8)
        self._there, self._back = VideoReformatter(), VideoReformatter()
        self._centred: Graph | None = None

    def open(self, frame: VideoFrame) -> VideoPicture:
        """Give a decoded frame's pixels as RGB; what matrix and range it has, it says itself."""
        if self._centred is None:
            self._centred = _centring(frame)
        self._centred.push(frame)
        between = _converted(self._there, self._centred.pull(), self._between, self._to_rgb)
        between.make_writable()
        return VideoPicture(between, _first_plane(between, self._channels, self._dtype))

    def close(self, picture: VideoPicture) -> VideoFrame:
        """Return the frame for the encoder, with the matrix and range that the source had."""
        if self._to_yuv:
            picture.frame.colorspace, picture.frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        return _converted(self._back, picture.frame, self._target, FROM_RGB)


class Luma:
    """The luma alone, in the range it has; no other sample is touched.

    Parameters
    ----------
    source : str
        Pixel format of decoded frames, which the encoder takes as it is.

    Raises
    ------
    InputError
        The format has no plane of luma.
    """

    def __init__(self, source: str) -> None:
        if LUMA_FIRST.fullmatch(source) is None:
            raise InputError(f"--luma needs planar YUV, NV12 or grey frames, but these are {source}: leave it out")
        depth = depth_of(source)
        self._shift = 16 - depth if depth > 8 else 0
        self._dtype = np.dtype(np.uint16 if depth > 8 else np.uint8)

    def open(self, frame: VideoFrame) -> VideoPicture:
        """Give the plane itself, or of 9 to 15 bits a copy in the full scale of 16."""
        frame.make_writable()  # the decoder may look at it again
        plane = _first_plane(frame, 1, self._dtype)[:, :, 0]
        return VideoPicture(frame, plane << self._shift if self._shift else plane)

    def close(self, picture: VideoPicture) -> VideoFrame:
        """Return the frame with its new luma."""
        if self._shift:
            half = 1 << (self._shift - 1)
            rounded = np.minimum(picture.pixels, 0xFFFF - half) + np.uint16(half)
            np.right_shift(rounded, self._shift, out=_first_plane(picture.frame, 1, self._dtype)[:, :, 0])
        return picture.frame


def depth_of(pixel_format: str) -> int:
    """Return the bits of a pixel format's deepest component."""
    return max(component.bits for component in VideoFormat(pixel_format).components)


def has_alpha(pixel_format: str) -> bool:
    """Tell whether a pixel format has a component of alpha."""
    return any(component.is_alpha for component in VideoFormat(pixel_format).components)


def is_rgb(pixel_format: str) -> bool:
    """Tell whether a pixel format is made of red, green and blue, be it by a palette, which FFmpeg does not count."""
    return VideoFormat(pixel_format).is_rgb or VideoFormat(pixel_format).has_palette


def _is_halved_once(pixel_format: str) -> bool:
    """Tell whether chroma has half as many samples as there are pixels, as in 4:2:2."""
    chroma = VideoFormat(pixel_format)
    return chroma.chroma_width(16) * chroma.chroma_height(16) == 16 * 16 // 2


def _centring(first: VideoFrame) -> Graph:
    """Say of all frames like the first that their chroma lies between pixels, and change nothing else.

    Most files say that it lies on the left ones, as H.264 does where nothing is said. swscale then repeats it one pixel
    beside, onto the second pixel of a pair and the first of the next, and networks, who have seen it on both of a pair,
    take that for detail: 1 to 3 dB of white noise.
    """
    graph = Graph()
    given = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=first.time_base)
    graph.link_nodes(given, graph.add("setparams", "chroma_location=center"), graph.add("buffersink")).configure()
    return graph


def _converted(reformatter: VideoReformatter, frame: VideoFrame, target: str, way: int) -> VideoFrame:
    """Return a frame in another pixel format, by the matrix and range that it says it has."""
    try:
        result = reformatter.reformat(frame, format=target, interpolation=way, threads=1)
    except FFmpegError as error:  # such as YCgCo and ICtCp
        raise InputError(
            f"FFmpeg does not convert {frame.format.name} of matrix {int(frame.colorspace)} to {target}: use --luma, "
            "which needs no RGB, or give the frames another matrix before"
        ) from error
    result.colorspace = frame.colorspace  # of two names for one matrix PyAV knows one
    return result


def _first_plane(frame: VideoFrame, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(H, W, C) view; the rows of some decoders lie bottom up."""
    plane, step = frame.planes[0], dtype.itemsize
    strides = (abs(plane.line_size), channels * step, step)
    rows: NDArray[Any] = np.ndarray((frame.height, frame.width, channels), dtype, plane, strides=strides)
    return rows if plane.line_size > 0 else rows[::-1]
