"""A folder job without any pixel code: which files, and where each result goes."""

import errno
import functools
import glob
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aeinfer.atomic import is_there
from aeinfer.collisions import refuse_unsafe
from aeinfer.errors import InputError
from aeinfer.formats import SUFFIXES
from aeinfer.naming import Placement, check_template, file_pair, folder_goal, named_pair, rename

__all__ = ["Inputs", "Job", "Plan", "list_images", "list_inputs", "parse_shard", "plan"]

OnExist = Literal["skip", "overwrite", "error"]
Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Job:
    """One file to do: `relative` is its name inside the job, `page` the one in hand, counted from 0."""

    source: Path
    target: Path
    relative: str
    action: Literal["write", "overwrite", "skip"]
    page: int = 0


@dataclass(frozen=True, kw_only=True)
class _Unfound:
    """What is not there: `missing` inputs name nothing, `unreadable` folders cannot be listed, each with the reason."""

    missing: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Return all that failed before any work: names and reasons."""
        return [(name, "no such file or folder") for name in self.missing] + list(self.unreadable)


@dataclass(frozen=True)
class Inputs(_Unfound):
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
        return sorted(once.values(), key=lambda entry: (_natural(entry[0]), str(entry[1])))


@dataclass(frozen=True)
class Plan(_Unfound):
    """What a run will do, in order: its share of `total` files."""

    jobs: tuple[Job, ...]
    total: int

    @property
    def pending(self) -> int:
        """How many jobs are not skipped."""
        return sum(job.action != "skip" for job in self.jobs)

    @property
    def where(self) -> Path | None:
        """The one file, or the innermost folder that holds every result; None where they lie on several drives."""
        if len(self.jobs) == 1:
            return self.jobs[0].target
        parents = [job.target.parent for job in self.jobs]
        if len({parent.is_absolute() for parent in parents}) > 1:
            parents = [parent.resolve() for parent in parents]
        try:
            return Path(os.path.commonpath(parents)) if parents else Path()
        except ValueError:  # Windows has nothing above its drives
            return None


def plan(
    inputs: Sequence[Name],
    output: Name | None = None,
    *,
    pairs: Sequence[tuple[Path, Path]] = (),
    recursive: bool = False,
    suffix: str | None = None,
    name: str | None = None,
    on_exist: OnExist = "skip",
    shard: tuple[int, int] | None = None,
    label: str = "denoised",
    report: Name | None = None,
) -> Plan:
    """Decide for every input file where its result goes, before any work.

    Where results are skipped that are there, an input that is the result of another is no input.

    Parameters
    ----------
    inputs : paths or patterns
        Files as named; of a folder the images that `list_images` lists; a str may be a pattern (``*``, ``?``,
        ``[ab]``, ``**``) as in a shell.
    output : path
        The folder of the results, or for one input file the result itself; None: beside, as ``one-denoised.png``.
    pairs : (source, target) paths
        Files whose results are named one by one, inside `output` if that is given.
    recursive, suffix : bool, str
        Take folders within folders and keep the tree; give results this suffix (None: their own).
    name, label : str
        A template of the results' names (see `naming.FIELDS`); what is added where none is given.
    on_exist, shard : {"skip", "overwrite", "error"}, (int, int)
        What to do where a result is (an empty file, as a power cut leaves it, is none); (I, N) takes every Nth of the
        sorted whole, from the Ith, counted from 1.
    report : path
        A file that is no result, and that none may replace.

    Raises
    ------
    InputError
        Results of any share collide, lie in an input folder or would replace an input or the report, or (on_exist
        "error") one of this share exists; all are listed.

    Examples
    --------
    >>> plan(["no-such-folder/*.png"]).missing
    ('no-such-folder/*.png',)
    """
    if name is not None:
        check_template(name, suffix)
    if output is not None:
        _refuse_empty(output)
    found = list_inputs(inputs, recursive=recursive)
    real = functools.cache(os.path.realpath)  # which asks the disk for each folder above, and a network's is slow
    placed = _sorted(_place(found, output, suffix, label, named=name is not None), real)
    if name is not None:
        placed = rename(placed, name)
    if on_exist == "skip":
        placed = _without_results(placed, real)
    missing = list(found.missing)
    placed = _sorted([*placed, *_place_named(pairs, output, suffix, missing)], real)
    share = placed if shard is None else placed[shard[0] - 1 :: shard[1]]
    taken = {pair.source for pair in placed}
    folders = [folder for folder, images in found.folders.items() if not taken.isdisjoint(images)]
    refuse_unsafe(placed, share, folders, on_exist, report, real)
    sources = {real(pair.source) for pair in placed}
    actions = [_action(pair.target, on_exist, sources, real) for pair in share]
    jobs = [Job(pair.source, pair.target, pair.relative, action) for pair, action in zip(share, actions, strict=True)]
    return Plan(tuple(jobs), len(placed), missing=tuple(missing), unreadable=found.unreadable)


def list_inputs(inputs: Iterable[Name], *, recursive: bool = False) -> Inputs:
    """Sort inputs into files, folders with their images, and those that name nothing; only text can be a pattern.

    Parameters
    ----------
    inputs, recursive
        As in `plan`.

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
    for given in inputs:
        _refuse_empty(given)
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
                folders[path] = list_images(path, recursive=recursive, unreadable=unreadable)
            else:
                files.append(path)
    return Inputs(tuple(files), folders, missing=tuple(missing), unreadable=tuple(unreadable))


def _refuse_empty(name: Name) -> None:
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


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises where a folder may not be entered)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises where a name is too long)


def list_images(
    folder: Path, *, recursive: bool = False, unreadable: list[tuple[str, str]] | None = None
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
        paths = [Path(root, name) for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        found += [path for path in paths if _is_file_or_broken(path)]
    return sorted(found, key=lambda path: _natural(path.relative_to(folder).as_posix()))


def _is_file_or_broken(path: Path) -> bool:
    """Keep what is to be read or reported: a link to nothing fails by name, a pipe would wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2 before 10: text and numbers alternate, so that like meets like."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _place(found: Inputs, output: Name | None, suffix: str | None, label: str, *, named: bool) -> list[Placement]:
    """Pair the files, and the images of the folders, with their results."""
    alone = len(found.files) == 1 and not found.folders
    if output is not None and Path(output).is_file() and not alone and (found.files or found.folders):
        raise InputError(f"the output {output} is a file, but the inputs are several or a folder; name a folder")
    pairs = [file_pair(file, output, suffix, label, alone=alone, named=named) for file in found.files]
    for folder, images in found.folders.items():
        goal = folder_goal(folder, output, label)
        for source in images:
            relative = source.relative_to(folder)
            target = goal / (relative.with_suffix(suffix) if suffix else relative)
            pairs.append(Placement(source, target, relative.as_posix()))
    return pairs


def _without_results(pairs: Sequence[Placement], real: Callable[[Path], str]) -> list[Placement]:
    """Leave out the results of others: a pattern finds them, and their folders, where a job is started again."""
    results = {real(pair.target) for pair in pairs if real(pair.target) != real(pair.source)}
    return [pair for pair in pairs if not (real(pair.source) in results and is_there(pair.source))]


def _place_named(
    pairs: Sequence[tuple[Path, Path]], output: Name | None, suffix: str | None, missing: list[str]
) -> Iterator[Placement]:
    """Pair the files whose results are named one by one."""
    for source, target in pairs:
        if _is_folder(source):
            raise InputError(f"{source} is a folder, but {target} was named as the result of one image")
        if _exists(source):
            yield named_pair(source, target, output, suffix)
        else:
            missing.append(os.fspath(source))


def _sorted(pairs: Iterable[Placement], real: Callable[[Path], str]) -> list[Placement]:
    """Each pair once, by relative name."""
    once = {(real(pair.source), real(pair.target)): pair for pair in pairs}
    return sorted(once.values(), key=lambda pair: (_natural(pair.relative), str(pair.source)))


def _action(
    target: Path, on_exist: OnExist, sources: Set[str], real: Callable[[Path], str]
) -> Literal["write", "overwrite", "skip"]:
    if not _exists(target):
        return "write"
    is_result = is_there(target) or real(target) in sources
    return "skip" if on_exist == "skip" and is_result else "overwrite"


def parse_shard(text: str) -> tuple[int, int]:
    """Read "I/N", the Ith of N shares, counted from 1.

    Raises
    ------
    InputError
        The text is anything else.

    Examples
    --------
    >>> parse_shard("2/8")
    (2, 8)
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"the shard is {text!r}; expected I/N with I from 1 to N, such as 2/8")
    return int(match[1]), int(match[2])
