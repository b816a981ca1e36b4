"""Where the frames of `aeinfer stream` go to: standard output, a file or a named pipe; denoises nothing."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from aeinfer.atomic import write_all
from aeinfer.cli.source import Frame, Source
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.rawvideo import Layout, write_header

__all__ = ["open_sink"]

Bytes = NDArray[np.uint8]


@contextmanager
def open_sink(
    output: str | None, source: Source, pixel_format: str | None, *, overwrite: bool
) -> Iterator[Callable[[Frame], None]]:
    """Give what writes one frame.

    Parameters
    ----------
    output : str or None
        "-" is standard output, None nowhere. A file holds whole frames, whatever ends the stream.
    source : Source
        Whose frames they are: what came as bytes leaves in the same layout.
    pixel_format : str or None
        Of frames that did not come as bytes, which are written bare; None makes y4m of them.

    Raises
    ------
    InputError
        Standard output is a terminal, or the file is there already, or is where the frames come from.
    """
    if output is None:
        yield _forget
    elif output == "-":
        if sys.stdout.isatty():
            raise InputError("standard output is a terminal: send the frames to a program, or name a file with -o")
        with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as file:
            yield _Sink(file, "standard output", source, pixel_format).write
    else:
        if Path(output).is_file():
            if source.stat is not None and os.path.samestat(source.stat, Path(output).stat()):
                raise InputError(f"{output} is the input itself; name another file for the frames")
            if not overwrite:
                raise InputError(f"{output} is there already; --on-exist overwrite replaces it")
        with Path(output).open("wb", buffering=0) as file:
            sink = _Sink(file, output, source, pixel_format)
            try:
                yield sink.write
            finally:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    file.truncate(sink.written)


def _forget(_: Frame) -> None:
    """Write a frame nowhere: only the pace is asked for."""


class _Sink:
    """An unbuffered file, and what is known of the frames in it."""

    def __init__(self, file: IO[bytes], name: str, source: Source, pixel_format: str | None) -> None:
        self._file, self._name, self._fps = file, name, source.fps
        self._layout, self._header, self._bare = source.layout, source.header, pixel_format is not None
        self._pixel_format = pixel_format or "yuv420p"
        self.written = 0
        """Bytes of whole frames."""

    def write(self, frame: Frame) -> None:
        """Write a frame, with what y4m has before it.

        Raises
        ------
        ImageReadError
            It has another size than the first one.
        ImageWriteError
            Whoever read from the other end of the pipe does no longer.
        """
        if self._layout is None:
            height, width = frame.pixels.shape[:2]
            self._layout = Layout(width, height, self._pixel_format)
            self._header = b"" if self._bare else write_header(width, height, self._fps)
        data = _bytes(frame, self._layout)
        before = (b"" if self.written else self._header) + (b"" if self._bare else frame.line)
        try:
            write_all(self._file, before)
            write_all(self._file, data.data)
        except BrokenPipeError as error:
            raise ImageWriteError(f"{self._name} was closed by whoever read from it") from error
        self.written += len(before) + data.size


def _bytes(frame: Frame, layout: Layout) -> Bytes:
    """Return a frame as bytes: those it came in, where there are such."""
    size, expected = frame.pixels.shape[1::-1], (layout.width, layout.height)
    if size != expected:
        raise ImageReadError(
            "frames became {}x{} where they were {}x{}, which one stream cannot hold".format(*size, *expected)
        )
    buffer = np.empty(layout.size, np.uint8) if frame.buffer is None else frame.buffer
    if np.may_share_memory(frame.pixels, buffer):
        return buffer
    if layout.is_yuv:
        from aeinfer.yuv import from_bgr

        from_bgr(frame.pixels, buffer, layout)
    else:
        order = -1 if layout.pixel_format == "rgb24" else 1
        layout.pixels(buffer)[:] = frame.pixels[..., ::order]
    return buffer
