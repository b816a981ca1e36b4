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

from aeinfer.atomic import is_there, write_all
from aeinfer.cli.console import check_output
from aeinfer.cli.source import Frame, Source
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.rawvideo import Layout, write_header
from aeinfer.yuv import from_bgr

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
        "-" is standard output, None nowhere. A file holds whole frames, whatever ends the stream; without a frame
        none is made, and an older one stays.
    source : Source
        Whose frames they are: what came as bytes leaves in the same layout.
    pixel_format : str or None
        Of frames that did not come as bytes, which are written bare; None makes y4m of them.

    Raises
    ------
    InputError
        Standard output is a terminal or closed, or the file is a folder, is there already, or is where the frames come
        from.
    """
    if output is None:
        yield _forget
        return
    path = None if output == "-" else Path(output)
    if path is not None:
        _check(path, source, overwrite=overwrite)
    else:
        check_output("the frames")
    sink = _Sink(path, source, pixel_format)
    if path is not None and path.exists() and not path.is_file():
        sink.open()  # whoever reads from a named pipe waits for that
    try:
        yield sink.write
    finally:
        sink.close()


def _check(path: Path, source: Source, *, overwrite: bool) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file for the frames")
    if path.is_file() and source.stat is not None and os.path.samestat(source.stat, path.stat()):
        raise InputError(f"{path} is the input itself; name another file for the frames")
    if path.is_file() and is_there(path) and not overwrite:
        raise InputError(f"{path} is there already; --on-exist overwrite replaces it")


def _forget(_: Frame) -> None:
    """Write a frame nowhere: only the pace is asked for."""


class _Sink:
    """An unbuffered file, opened for the first frame: where none comes, an older one stays; None: standard output."""

    def __init__(self, path: Path | None, source: Source, pixel_format: str | None) -> None:
        self._path, self._name, self._fps = path, "standard output" if path is None else str(path), source.fps
        self._aspect = source.aspect
        self._layout, self._header, self._bare = source.layout, source.header, pixel_format is not None
        self._pixel_format = pixel_format or "yuv420p"
        self._file: IO[bytes] | None = None
        self._written = 0  # bytes of whole frames

    def open(self) -> IO[bytes]:
        """Open the file; its folders are made.

        Raises
        ------
        ImageWriteError
            The disk refuses.
        """
        try:
            if self._path is None:
                self._file = os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
            else:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise self._refusal(error) from error
        return self._file

    def close(self) -> None:
        """Close it, without what is there of a frame that was not written to its end."""
        if self._file is not None:
            with self._file as file:
                if self._path is not None and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    file.truncate(self._written)

    def write(self, frame: Frame) -> None:
        """Write a frame, with what y4m has before it.

        Raises
        ------
        ImageReadError
            It has another size than the first one.
        ImageWriteError
            The disk refuses, or whoever read from the other end of the pipe does no longer.
        """
        if self._layout is None:
            height, width = frame.pixels.shape[:2]
            self._layout = Layout(width, height, self._pixel_format)
            self._header = b"" if self._bare else write_header(width, height, self._fps, self._aspect)
        data = _bytes(frame, self._layout)
        before = (b"" if self._written else self._header) + (b"" if self._bare else frame.line)
        file = self._file or self.open()
        try:
            write_all(file, before)
            write_all(file, data.data)
        except BrokenPipeError as error:
            raise ImageWriteError(f"{self._name} was closed by whoever read from it") from error
        except OSError as error:
            raise self._refusal(error) from error
        self._written += len(before) + data.size

    def _refusal(self, error: OSError) -> ImageWriteError:
        return ImageWriteError(f"{self._name}: cannot be written: {error.strerror}")


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
        from_bgr(frame.pixels, buffer, layout)
    else:
        order = -1 if layout.pixel_format == "rgb24" else 1
        layout.pixels(buffer)[:] = frame.pixels[..., ::order]
    return buffer
