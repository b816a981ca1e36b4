"""Writes files whole or not at all, and clears away what killed writers left; knows nothing of what is in them.

A file is written under the name of a part beside its place, then renamed. The writer holds a lock on the part for as
long as it lives, whatever ends it, so that any other process can tell a part that is left over from one in use.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be removed or renamed, which protects a part as well
    fcntl = None  # type: ignore[assignment]

__all__ = ["clear_parts", "ignores_case", "is_there", "lock", "locked", "replacing", "write_all", "write_whole"]

PART = re.compile(r"\.aeinfer-[0-9a-f]{16}\.part")


def write_whole(target: Path, data: bytes) -> None:
    """Write a file: at any moment either the old one or the new one is there, and a failure leaves nothing beside it.

    Parameters
    ----------
    target : Path
        Its folders are made; a file that is there is replaced.
    data : bytes
        All of it.

    Raises
    ------
    OSError
        The disk refused.

    Examples
    --------
    >>> write_whole(Path("out/a.txt"), b"whole")  # doctest: +SKIP
    """
    for more in (True, True, False):
        try:
            with replacing(target) as file:
                write_all(file, data)
        except FileNotFoundError:  # another process took it for a left-over in the moment before the lock
            if not more:
                raise
        else:
            return


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """Give a file to write in a block, at whose end it takes the target's place; a block that fails leaves nothing.

    Parameters
    ----------
    target : Path
        Its folders are made; a file that is there is replaced.

    Raises
    ------
    OSError
        The disk refused.

    Examples
    --------
    >>> with replacing(Path("out/a.txt")) as file:  # doctest: +SKIP
    ...     file.write(b"whole")
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target.parent)
    try:
        with part.open("xb", buffering=0) as file:
            lock(file)
            yield file
            if fcntl is not None:
                part.replace(target)  # while it is locked
        if fcntl is None:
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _part(folder: Path) -> Path:
    return folder / f".aeinfer-{os.urandom(8).hex()}.part"


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write to an unbuffered file or pipe, which takes as much at once as it likes."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def lock(file: IO[Any]) -> bool:
    """Take the lock of an open file until it is closed; False where another process has it, or there are no locks.

    Examples
    --------
    >>> with Path("log").open("ab") as file:  # doctest: +SKIP
    ...     lock(file)
    True
    """
    return _flock(file, "LOCK_EX", "LOCK_NB")


@contextmanager
def locked(file: IO[Any]) -> Iterator[None]:
    """Hold the lock of an open file for the length of a block, waiting for it; where there are no locks, without.

    Examples
    --------
    >>> with Path("log").open("ab") as file, locked(file):  # doctest: +SKIP
    ...     file.write(b"line")
    """
    _flock(file, "LOCK_EX")
    try:
        yield
    finally:
        _flock(file, "LOCK_UN")


def _flock(file: IO[Any], *flags: str) -> bool:
    try:
        fcntl.flock(file.fileno(), sum(getattr(fcntl, flag) for flag in flags))
    except (OSError, AttributeError):  # taken, or no such locks here
        return False
    return True


def is_there(path: Path) -> bool:
    """Tell whether a result is there: an empty file, as a power cut leaves it, is none.

    Examples
    --------
    >>> is_there(Path("no-such-file"))
    False
    """
    try:
        status = path.stat()
    except (OSError, ValueError):  # the last: a name with a NUL
        return False
    return status.st_size > 0 or not stat.S_ISREG(status.st_mode)


def clear_parts(folder: Path) -> int:
    """Remove the parts in one folder that no living process is writing, and return how many there were.

    Examples
    --------
    >>> clear_parts(Path("no-such-folder"))
    0
    """
    try:
        parts = [path for path in folder.iterdir() if PART.fullmatch(path.name)]
    except OSError:
        return 0
    return sum(map(_clear, parts))


def _clear(part: Path) -> bool:
    try:
        if fcntl is None:
            part.unlink()
            return True
        with part.open("rb+") as file:  # to write, or a network folder gives no lock
            if lock(file):
                part.unlink()
                return True
    except OSError:
        pass  # gone, or not ours to remove
    return False


def ignores_case(folder: Path) -> bool:
    """Tell by trying whether a folder takes "a" and "A" for one name; False where nothing can be tried.

    Examples
    --------
    >>> ignores_case(Path("no-such-folder"))
    False
    """
    part = _part(folder)
    with suppress(OSError):
        try:
            with part.open("xb") as file:
                lock(file)
                return part.with_name(part.name.upper()).exists()
        finally:
            part.unlink(missing_ok=True)
    return False
