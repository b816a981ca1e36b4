"""Reads the list of a job's inputs from a file or from standard input."""

import codecs
import os
import sys
from pathlib import Path

from aeinfer.errors import InputError

__all__ = ["read_manifest"]


def read_manifest(name: str, *, null: bool) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Read a manifest: one input a line, taken as it is named, or `source<TAB>target`; empty lines are left out.

    Parameters
    ----------
    name : str
        The file; "-" is standard input.
    null : bool
        Names end with a NUL in place of a line's end and hold no target: any name fits, as of `find -print0`.

    Returns
    -------
    The inputs without a target, and the pairs of those with one.

    Raises
    ------
    InputError
        The file cannot be read, is of another encoding than UTF-8 or UTF-16, or a line holds two tabs or an empty name.

    Examples
    --------
    >>> read_manifest("jobs.txt", null=False)  # doctest: +SKIP
    ([PosixPath('a.png')], [(PosixPath('b.png'), PosixPath('clean/b.webp'))])
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"the manifest {name} cannot be read: {error.strerror}") from error
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes what ">" sends to a file
            data = data.decode("utf-16", "surrogatepass").encode("utf-8", "surrogatepass")
        return _parse(name, data, null=null)
    except UnicodeDecodeError as error:  # of Windows, whose names are no bytes
        raise InputError(f"the manifest {name} holds {error.object[:80]!r}; expected text in UTF-8") from None


def _parse(name: str, data: bytes, *, null: bool) -> tuple[list[Path], list[tuple[Path, Path]]]:
    if null:
        return [Path(os.fsdecode(entry)) for entry in data.split(b"\0") if entry], []
    inputs: list[Path] = []
    pairs: list[tuple[Path, Path]] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        names = os.fsdecode(line.removesuffix(b"\r")).split("\t")
        if names == [""]:
            continue
        if len(names) > 2 or "" in names or "\0" in "".join(names):
            raise InputError(
                f"line {number} of the manifest {name} is {line[:80]!r}; expected an input, or source<TAB>target "
                "(names with a tab or a line's end in them: -0)"
            )
        if len(names) == 2:
            pairs.append((Path(names[0]), Path(names[1])))
        else:
            inputs.append(Path(names[0]))
    return inputs, pairs
