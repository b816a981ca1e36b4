"""Where the frames of `aeinfer stream` come from: standard input, a camera, a video file or a URL; denoises nothing."""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeinfer.capture import Capture
from aeinfer.errors import InputError
from aeinfer.opencv import quiet_opencv
from aeinfer.rawvideo import LONGEST_LINE, Layout, read_frames, read_header
from aeinfer.stream import Stats, process
from aeinfer.yuv import to_bgr

__all__ = ["Frame", "Source", "open_source"]

Bytes = NDArray[np.uint8]

LONGEST_NUMBER = 9  # of a camera: OpenCV takes 32 bits


@dataclass
class Frame:
    """One frame on its way.

    Attributes
    ----------
    pixels : (H, W) or (H, W, 3) uint8
        What is denoised, in place: often a view on `buffer`.
    buffer : 1-D uint8 or None
        The bytes it came in.
    line : bytes
        What y4m has before them.
    """

    pixels: Bytes
    buffer: Bytes | None = None
    line: bytes = b"FRAME\n"


@dataclass
class Source:
    """Frames, and what is known of them.

    Attributes
    ----------
    frames : iterator of Frame
    color : str
        "rgb" or "bgr".
    live : bool
        Whether it does not wait.
    layout : Layout or None
        How frames that come as bytes lie in them.
    header : bytes
        The first line of y4m.
    fps : float
        Frames a second of a capture.
    aspect : (int, int)
        How wide a capture's pixels are to their height; zeros where nothing tells.
    stat : os.stat_result or None
        Which file they come from, where it is one: nothing may be written there.
    """

    frames: Iterator[Frame]
    color: str
    live: bool = False
    layout: Layout | None = None
    header: bytes = b""
    fps: float = 0.0
    aspect: tuple[int, int] = (0, 0)
    stat: os.stat_result | None = None


def open_source(args: argparse.Namespace) -> Source:
    """Open what the arguments name.

    Raises
    ------
    InputError
        Options are missing, or contradict each other.
    ImageReadError
        It does not open, or what comes is no stream of frames.
    """
    return _standard_input(args) if args.source == "-" else _capture(args)


def _standard_input(args: argparse.Namespace) -> Source:
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal: send frames from a program, or name another source")
    if (args.size is None) != (args.pix_fmt is None):
        raise InputError("raw frames need both --size WxH and --pix-fmt; y4m needs neither")
    if args.size is None:
        _refuse({"--align": args.align != 1, "--full-range": args.full_range}, "for raw frames only, not for y4m")
    file, header = open(sys.stdin.fileno(), "rb", closefd=False), b""  # noqa: SIM115 - it is not ours to close
    if args.size is not None:
        width, height = args.size
        layout = Layout(width, height, args.pix_fmt, args.align, args.full_range)
    elif header := _first_line(file, args.timeout):
        layout = read_header(header)
    else:
        return Source(iter(()), "rgb")
    if args.luma and not layout.is_yuv:
        raise InputError(f"--luma is for yuv420p and nv12, which have a plane of it, not for {layout.pixel_format}")
    raw = read_frames(file, layout, y4m=bool(header))
    frames = (Frame(_pixels(buffer, layout, luma=args.luma), buffer, line) for line, buffer in raw)
    color = "rgb" if layout.pixel_format == "rgb24" else "bgr"
    return Source(frames, color, layout=layout, header=header, stat=os.fstat(file.fileno()))


def _first_line(file: BufferedReader, timeout: float | None) -> bytes:
    """Wait for the line as a stream waits for its frames, and no longer."""
    (line,) = process((file.readline(LONGEST_LINE) for _ in range(1)), list, Stats(), timeout=timeout)
    return line


def _pixels(buffer: Bytes, layout: Layout, *, luma: bool) -> Bytes:
    return layout.pixels(buffer) if luma or not layout.is_yuv else to_bgr(buffer, layout)


def _capture(args: argparse.Namespace) -> Source:
    given = {"--size": args.size is not None, "--align": args.align != 1}
    given |= {"--full-range": args.full_range, "--luma": args.luma}
    _refuse(given, "for frames on standard input only")
    if args.source.isdecimal() and len(args.source) > LONGEST_NUMBER:
        raise InputError(f"a camera's number has at most {LONGEST_NUMBER} digits, got {args.source}")
    if args.pix_fmt == "gray":
        raise InputError("frames of a capture have colours: they are written as bgr24, rgb24, yuv420p or nv12")
    quiet_opencv()
    capture = Capture(args.source, reconnect=args.reconnect, timeout=args.timeout or 10.0)
    file = Path(args.source).stat() if Path(args.source).is_file() else None
    frames = (Frame(pixels) for pixels in capture.frames())
    return Source(frames, "bgr", capture.live, fps=capture.fps, aspect=capture.aspect, stat=file)


def _refuse(given: dict[str, bool], reason: str) -> None:
    """Refuse options that were given and would be ignored."""
    if any(given.values()):
        raise InputError(f"{', '.join(option for option in given if given[option])}: {reason}")
