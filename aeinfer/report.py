"""The report of a job: one line of JSON for each file, whole lines even of a job that was killed; decides nothing."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from aeinfer.atomic import locked, write_all
from aeinfer.errors import InputError

__all__ = ["Entry", "Report"]

BLOCK = 1 << 16
START = b'{"source": '
"""Of every line."""


@dataclass(frozen=True)
class Entry:
    """One line of a report: `model` is the model file's fingerprint, `not_carried` the metadata that a result lacks."""

    source: str
    target: str
    status: Literal["written", "skipped", "failed"]
    milliseconds: float | None = None
    error: str | None = None
    provider: str | None = None
    model: str | None = None
    not_carried: tuple[str, ...] = ()


class Report:
    """A file of JSON lines, one an Entry, each there before the next file is begun.

    Lines are added to a report that is there, so that a job that was stopped and started again has one report, and
    so have shards that run side by side, but on Windows, which has no such locks: there each needs its own. An
    unfinished last line, which a killed job may leave, is cut off.

    Parameters
    ----------
    path : path or None
        The file; None keeps no report.

    Raises
    ------
    InputError
        The file cannot be opened, or holds something else than a report.

    Examples
    --------
    >>> with Report(None) as report:
    ...     report.write(Entry("a.png", "b.png", "written", 12.5))
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path, self._file = path, None if path is None else _open(Path(path))

    def write(self, entry: Entry) -> None:
        """Add one line.

        Raises
        ------
        OSError
            The disk refused; no part of the line is left.
        """
        if self._file is not None:
            try:
                _append(self._file, _line(entry))
            except OSError as error:
                raise OSError(f"the report {self.path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._file is not None:
            self._file.close()


def _line(entry: Entry) -> bytes:
    """Return an entry as a line of JSON in UTF-8.

    Names that are not UTF-8 keep every byte: each that does not fit is a lone surrogate, as Python reads it, in JSON
    as an escape; `os.fsencode` gives the name back.
    """
    text = json.dumps(asdict(entry), ensure_ascii=False, allow_nan=False)
    return (re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n").encode()


def _open(path: Path) -> IO[bytes]:
    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal
            return path.open("wb", buffering=0)
        file = path.open("ab+", buffering=0)
    except OSError as error:
        raise InputError(f"the report {path} cannot be written: {error.strerror}") from error
    file.seek(0)
    if not START.startswith(file.read(len(START))):  # a killed job may leave a part of a line
        file.close()
        raise InputError(f"the file {path} is there and is no report to add to; name another")
    return file


def _append(file: IO[bytes], line: bytes) -> None:
    """Add a line in one piece, after the last whole one."""
    if not file.seekable():
        write_all(file, line)
        return
    with locked(file):
        size = file.seek(0, os.SEEK_END)
        end = _whole(file, size)
        if end != size:
            file.truncate(end)
        try:
            write_all(file, line)
        except OSError:
            file.truncate(end)
            raise


def _whole(file: IO[bytes], end: int) -> int:
    """Return where the last whole line of a file of `end` bytes ends."""
    while end:
        start = max(0, end - BLOCK)
        file.seek(end - 1)
        if file.read(1) == b"\n":  # nearly always
            return end
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return end
