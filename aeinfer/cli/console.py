"""What the commands say, and where they may: exit codes, lines on stdout and stderr, and the line of progress."""

import enum
import json
import os
import re
import sys
import time
from contextlib import suppress
from typing import Any, Self, TextIO

from aeinfer.errors import InputError

__all__ = ["ExitCode", "Line", "Progress", "check_output", "complain", "nothing_found", "say", "say_json"]


class ExitCode(enum.IntEnum):
    """What a command's exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    BAD_MODEL = 4
    NOTHING_FOUND = 5
    INTERRUPTED = 130


def check_output(what: str) -> None:
    """Refuse a standard output that is no place for an image or frames.

    Raises
    ------
    InputError
        It is a terminal, or was closed before the process began.
    """
    instead = f"send {what} to a program or a file, or name one with -o"
    if sys.__stdout__ is None:  # what stands in its place takes all and keeps nothing
        raise InputError(f"standard output is closed; {instead}")
    if sys.stdout.isatty():
        raise InputError(f"standard output is a terminal; {instead}")


def say(text: str) -> None:
    """Print one line of a command's result."""
    _print(text, sys.stdout)


def say_json(value: dict[str, Any] | list[Any], *, aside: bool = False) -> None:
    """Print one JSON value, on stderr if `aside`; infinite and undefined numbers, which JSON lacks, must be None.

    It is ASCII, which every stream can show: what else a name holds has escapes of JSON's own.
    """
    _print(json.dumps(value, allow_nan=False), sys.stderr if aside else sys.stdout)


def complain(text: str) -> None:
    """Print one line on stderr: what is wrong, or what goes on; where nobody can read it, the work goes on."""
    with suppress(OSError):
        _print(f"aeinfer: {text}", sys.stderr)


def nothing_found(why: str) -> ExitCode:
    """Say why there is nothing to do, and return the exit code that means it."""
    complain(f"nothing found: {why}")
    return ExitCode.NOTHING_FOUND


def _print(text: str, stream: TextIO) -> None:
    """Print a line of names that may hold anything: what the stream cannot show, or a terminal would obey, escaped."""
    text = re.sub(r"[\0-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


class Line:
    """One line on stderr that is written over itself, where stderr is a terminal.

    Parameters
    ----------
    wanted : bool
        False shows nothing.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self.shown = wanted and sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Put a text in the place of the one before, as far as the terminal is wide."""
        if self.shown:
            width = _columns() - 1  # blanks clear the rest: a console of Windows shows the code that would
            with suppress(OSError):
                print(f"\r{text[:width].ljust(width)}\r", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for another line."""
        self.show("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.clear()


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:  # it says it is a terminal, and has no size
        return 80


class Progress(Line):
    """A line that tells how far a job of `total` images is, or of what else `unit` says."""

    def __init__(self, total: int, unit: str = "images", *, wanted: bool = True) -> None:
        super().__init__(wanted=wanted and total > 0)
        self.total, self.unit = total, unit
        self.began = time.perf_counter()
        self.advance(0, 0.0)

    def advance(self, done: int, megapixels: float) -> None:
        """Show how far the job is: `done` images of together `megapixels`; there may be more than was thought."""
        if not self.shown:
            return
        seconds, total = max(time.perf_counter() - self.began, 1e-9), max(self.total, done)
        left = f"{_clock(seconds / done * (total - done))} left" if done else "starting"
        pace = f"{done / seconds:.1f} {self.unit}/s  {megapixels / seconds:.1f} MPix/s"
        self.show(f"{done}/{total}  {done * 100 // total}%  {pace}  {left}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
