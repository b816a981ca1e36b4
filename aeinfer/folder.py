"""A folder job without any pixel code: where the result of each input goes, and what to do where one is."""

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aeinfer.atomic import is_there
from aeinfer.collisions import refuse_unsafe
from aeinfer.errors import InputError
from aeinfer.inputs import Inputs, Name, Unfound, list_inputs, natural_order, refuse_empty
from aeinfer.naming import Placement, check_template, file_pair, folder_goal, named_pair, rename

__all__ = ["Job", "Plan", "parse_shard", "plan"]

OnExist = Literal["skip", "overwrite", "error"]


@dataclass(frozen=True)
class Job:
    """One file to do: `relative` is its name inside the job, `page` the one in hand, counted from 0."""

    source: Path
    target: Path
    relative: str
    action: Literal["write", "overwrite", "skip"]
    page: int = 0


@dataclass(frozen=True)
class Plan(Unfound):
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
        Files as named; of a folder the images that `inputs.list_images` lists; a str may be a pattern (``*``, ``?``,
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
        refuse_empty(output)
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
    return Plan(tuple(jobs), len(placed), missing=tuple(missing), unreadable=found.unreadable, unread=found.unread)


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
        if os.path.isdir(source):
            raise InputError(f"{source} is a folder, but {target} was named as the result of one image")
        if os.path.exists(source):
            yield named_pair(source, target, output, suffix)
        else:
            missing.append(os.fspath(source))


def _sorted(pairs: Iterable[Placement], real: Callable[[Path], str]) -> list[Placement]:
    """Each pair once, by relative name."""
    once = {(real(pair.source), real(pair.target)): pair for pair in pairs}
    return sorted(once.values(), key=lambda pair: (natural_order(pair.relative), str(pair.source)))


def _action(
    target: Path, on_exist: OnExist, sources: Set[str], real: Callable[[Path], str]
) -> Literal["write", "overwrite", "skip"]:
    if not os.path.exists(target):
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
