"""Which encoder a file gets, with which options and which pixel format; encodes nothing."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import av
from av.codec import Codec, CodecContext, find_best_pix_fmt_of_list
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.format import VideoFormat

from aeinfer.errors import InputError
from aeinfer.video.pixels import has_alpha

__all__ = ["CODECS", "Encoding", "choose_codec", "choose_format", "holds", "options_for"]

CODECS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18"},
    "libvpx-vp9": {"crf": "24", "row-mt": "1", "cpu-used": "4"},
    "libx265": {"crf": "20", "x265-params": "log-level=error"},
    "libsvtav1": {"crf": "24"},
}
"""What encoders are given where nothing was asked for."""

DEFAULT = ("libx264", "libvpx-vp9")
"""The first of these that the container holds is taken; where it holds neither, its own."""

EVEN_ONLY = {"libx264", "libx265"}
"""Refuse sides that their chroma does not divide."""

STARTS_WITH_ALPHA = {"libvpx": {"yuva420p"}, "libvpx-vp9": {"yuva420p"}, "libx265": set[str]()}
"""Of these, which list more formats with alpha than they start with."""


@dataclass(frozen=True)
class Encoding:
    """What was asked for; None leaves it to what the container and the source are.

    Attributes
    ----------
    codec : str, optional
        Name of an encoder.
    crf : int, optional
        Constant quality in the encoder's own scale, lower is better.
    preset : str, optional
        The encoder's word for how much time it may take.
    pix_fmt : str, optional
        Pixel format of the result.
    luma : bool
        Only the luma is changed.
    threads : int, optional
        Of the encoder.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    luma: bool = False
    threads: int | None = None


def holds(container_format: str, add: Callable[[OutputContainer], object]) -> bool:
    """Tell by trying, in memory, whether a container takes what `add` adds to it."""
    trial = av.open(io.BytesIO(), "w", format=container_format)
    try:
        add(trial)
        trial.start_encoding()
        trial.close()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        with suppress(av.FFmpegError):
            trial.close()  # a second time is harmless
    return True


def choose_codec(container_format: str, wish: Encoding) -> Codec:
    """Return the encoder.

    Raises
    ------
    InputError
        There is no such encoder of video.
    """
    name = wish.codec or _default_codec(container_format)
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as error:
        raise InputError(f"this install of PyAV has no encoder {name!r}: try libx264, libvpx-vp9 or ffv1") from error
    if codec.type != "video":
        raise InputError(f"{name} does not encode video: try libx264, libvpx-vp9 or ffv1")
    return codec


def _default_codec(container_format: str) -> str:
    for name in DEFAULT:
        if holds(container_format, partial(OutputContainer.add_stream, codec_name=name, width=64, height=64)):
            return name
    return str(av.open(io.BytesIO(), "w", format=container_format).default_video_codec)


def choose_format(codec: Codec, source: VideoFormat, wish: Encoding) -> str:
    """Return the pixel format to encode: the source's, or else the nearest that the encoder takes.

    Parameters
    ----------
    codec : av.Codec
    source : av.VideoFormat
        Of the decoded frames, with their width and height.
    wish : Encoding

    Raises
    ------
    InputError
        The encoder does not take the format that was asked for, or with `luma` not the source's; or another than that
        was asked for with `luma`.
    """
    if wish.luma and wish.pix_fmt not in (None, source.name):
        raise InputError(f"--luma converts nothing and keeps {source.name}: leave --pix-fmt out")
    named = [format.name for format in codec.video_formats or [source]]
    takes = [name for name in named if codec.name not in EVEN_ONLY or _divides(name, source)]
    takes = [name for name in takes if not has_alpha(name) or name in STARTS_WITH_ALPHA.get(codec.name, takes)]
    wanted = source.name if wish.luma else wish.pix_fmt or source.name
    if wanted in takes:
        return wanted
    if wish.luma or wish.pix_fmt:
        size = "" if wanted not in named else f" of {source.width}x{source.height}"
        raise InputError(f"{codec.name} does not take {wanted}{size}; it takes {', '.join(takes)}")
    nearest, _ = find_best_pix_fmt_of_list(takes, source.name, has_alpha(source.name))
    if nearest is None:
        raise InputError(f"{codec.name} takes nothing like {source.name}: choose another --codec, such as ffv1")
    return str(nearest.name)


def _divides(name: str, size: VideoFormat) -> bool:
    """Tell whether the chroma of a pixel format divides the sides of frames."""
    chroma = VideoFormat(name)
    return size.width * chroma.chroma_width(16) % 16 == 0 and size.height * chroma.chroma_height(16) % 16 == 0


def options_for(context: CodecContext, wish: Encoding) -> dict[str, str]:
    """Return the encoder's options.

    Raises
    ------
    InputError
        The encoder has no such option.
    """
    known = {option.name for option in context.supported_options.private}
    given = {"crf": None if wish.crf is None else str(wish.crf), "preset": wish.preset}
    asked = {name: value for name, value in given.items() if value is not None}
    for name in asked.keys() - known:
        raise InputError(f"the encoder {context.name} has no --{name}: leave it out, or choose another --codec")
    return CODECS.get(context.name, {}) | asked
