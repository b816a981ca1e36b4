"""What the inputs of a job name, on the disk: files, folders and the images in them, patterns; opens none of them."""

import errno
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aeinfer.errors import InputError
from aeinfer.formats import SUFFIXES, UNREAD

__all__ = ["Inputs", "Name", "Unfound", "list_images", "list_inputs", "natural_order", "refuse_empty"]

Name = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Unfound:
    """What is not there: `missing` inputs name nothing, `unreadable` folders cannot be listed, each with the reason.

    `unread` are pictures in the folders whose kinds are not read, which is no failure.
    """

    missing: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    unread: tuple[Path, ...] = ()

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Return all that failed before any work: names and reasons."""
        return [(name, "no such file or folder") for name in self.missing] + list(self.unreadable)


@dataclass(frozen=True)
class Inputs(Unfound):
    """What inputs name: files, and folders, each with the images in it."""

    files: tuple[Path, ...]
    folders: Mapping[Path, Sequence[Path]]

    @property
    def images(self) -> list[tuple[str, Path]]:
        """Each image once, behind its name inside the job, in the order of these names."""
        named = [(file.name, file) for file in self.files]
        for folder, images in self.folders.items():
            named += [(image.relative_to(folder).as_posix(), image) for image in images]
        once = {(name, os.path.realpath(image)): (name, image) for name, image in named}
        return sorted(once.values(), key=lambda entry: (natural_order(entry[0]), str(entry[1])))


def list_inputs(inputs: Iterable[Name], *, recursive: bool = False) -> Inputs:
    """Sort inputs into files, folders with their images, and those that name nothing; only text can be a pattern.

    Parameters
    ----------
    inputs, recursive
        As in `folder.plan`.

    Raises
    ------
    InputError
        An input is an empty text.

    Examples
    --------
    >>> list_inputs(["no-such-folder/*.png"]).failures
    [('no-such-folder/*.png', 'no such file or folder')]
    """
    files: list[Path] = []
    folders: dict[Path, list[Path]] = {}
    missing: list[str] = []
    unreadable: list[tuple[str, str]] = []
    unread: list[Path] = []
    for given in inputs:
        refuse_empty(given)
        name = os.fspath(given)
        try:
            paths = [(Path(given), Path(given).stat().st_mode)]
        except (OSError, ValueError) as error:
            paths = sorted(_match(name)) if isinstance(given, str) else []
            if not paths and _names_nothing(error):
                missing.append(name)
            elif not paths:
                unreadable.append((name, f"cannot be read: {getattr(error, 'strerror', error)}"))
        for path, mode in paths:
            if stat.S_ISDIR(mode):
                folders[path] = list_images(path, recursive=recursive, unreadable=unreadable, unread=unread)
            else:
                files.append(path)
    return Inputs(
        tuple(files), folders, missing=tuple(missing), unreadable=tuple(unreadable), unread=tuple(dict.fromkeys(unread))
    )


def refuse_empty(name: Name) -> None:
    """Refuse the name that a script's variable gives where it is not set: as a path it is the current folder."""
    if not os.fspath(name):
        raise InputError("the name of an input or of the output is empty; the current folder is named .")


def _names_nothing(error: OSError | ValueError) -> bool:
    """Tell whether a path names nothing, rather than something that cannot be seen."""
    if isinstance(error, OSError):  # EINVAL: Windows has no name with a "*"
        return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL)
    return True  # a name with a NUL


def _match(pattern: str) -> Iterator[tuple[Path, int]]:
    """Expand a pattern as a shell would, each with its mode; ``**`` follows no links to folders: they may go round.

    Files and folders alone: a pipe among them would be waited for.
    """
    if not glob.has_magic(pattern):
        return
    path = Path(pattern)
    hidden = any(_is_hidden(part) for part in path.parts)
    start = Path(path.anchor)
    try:
        for match in start.glob(str(path.relative_to(start)) if path.anchor else pattern):
            if hidden or not any(map(_is_hidden, match.parts)):
                with suppress(OSError):  # a link to nothing, or gone since
                    mode = match.stat().st_mode
                    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                        yield match, mode
    except ValueError:  # "**" as a part of a name is no pattern
        return


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name not in (".", "..")


def list_images(
    folder: Path,
    *,
    recursive: bool = False,
    unreadable: list[tuple[str, str]] | None = None,
    unread: list[Path] | None = None,
) -> list[Path]:
    """List the files of a folder that are images by their suffix, hidden ones left out, in natural order.

    Parameters
    ----------
    folder : Path
        Links to folders within it are not followed; pipes, sockets and devices are no images.
    recursive : bool
        Take folders within it too.
    unreadable : list
        Gets each folder that cannot be listed, with the reason.
    unread : list
        Gets each picture of a kind that is not read.

    Returns
    -------
    Paths that begin with `folder`.

    Examples
    --------
    >>> list_images(Path("no-such-folder"))
    []
    """

    def note(error: OSError) -> None:
        if unreadable is not None:
            unreadable.append((os.fspath(error.filename), f"cannot be read: {error.strerror}"))

    found: list[Path] = []
    for root, inner, names in os.walk(folder, onerror=note):
        inner[:] = [name for name in inner if recursive and not name.startswith(".")]
        shown = [name for name in names if not name.startswith(".")]
        found += filter(_is_file_or_broken, (Path(root, name) for name in shown if name.lower().endswith(SUFFIXES)))
        if unread is not None:
            unread += [Path(root, name) for name in shown if name.lower().endswith(UNREAD)]
    return sorted(found, key=lambda path: natural_order(path.relative_to(folder).as_posix()))


def _is_file_or_broken(path: Path) -> bool:
    """Keep what is to be read or reported: a link to nothing fails by name, a pipe would wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def natural_order(name: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2 before 10: text and numbers alternate, so that like meets like."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name
