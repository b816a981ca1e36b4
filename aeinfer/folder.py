"""A folder job without any pixel code: which files, where each result goes, what is unsafe, what was done."""

import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

from aeinfer.errors import InputError
from aeinfer.image import SUFFIXES, format_of

__all__ = ["Entry", "Job", "Plan", "Report", "list_images", "parse_shard", "plan"]

OnExist = Literal["skip", "overwrite", "error"]


@dataclass(frozen=True)
class Job:
    """One file to do: `relative` is its name inside the job, `index` its place in the sorted whole of all shards."""

    source: Path
    target: Path
    relative: str
    index: int
    action: Literal["write", "overwrite", "skip"]


@dataclass(frozen=True)
class Plan:
    """What a run will do, in order: its share of `total` files; `missing` are the inputs that name nothing."""

    jobs: tuple[Job, ...]
    total: int
    missing: tuple[str, ...] = ()

    @property
    def pending(self) -> int:
        """How many jobs are not skipped."""
        return sum(job.action != "skip" for job in self.jobs)

    @property
    def where(self) -> Path:
        """The one file, or the innermost folder that holds every result; the current one where there is none."""
        if len(self.jobs) == 1:
            return self.jobs[0].target
        parents = [job.target.parent for job in self.jobs]
        if len({parent.is_absolute() for parent in parents}) > 1:
            parents = [parent.resolve() for parent in parents]
        return Path(os.path.commonpath(parents)) if parents else Path()


@dataclass(frozen=True)
class _Pair:
    source: Path
    target: Path
    relative: str


def plan(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    recursive: bool = False,
    suffix: str | None = None,
    on_exist: OnExist = "skip",
    shard: tuple[int, int] | None = None,
    label: str = "denoised",
) -> Plan:
    """Decide for every input file where its result goes, before any work.

    Parameters
    ----------
    inputs : paths or patterns
        Files are taken as named; of a folder, the files with one of `SUFFIXES` that are not hidden; patterns (``*``,
        ``?``, ``[ab]``, ``**``) are expanded as a shell would.
    output : path
        The folder of the results, or for one input file the result itself. Without it ``one.png`` gives
        ``one-denoised.png`` and ``folder`` gives ``folder-denoised`` beside it.
    recursive : bool
        Take folders within folders, and keep the tree.
    suffix : str
        Of the results (".webp"); None keeps each file's own.
    on_exist : {"skip", "overwrite", "error"}
        What to do where a result is there already.
    shard : (int, int)
        (I, N): every Nth file of the sorted whole, beginning with the Ith, which counts from 1.
    label : str
        What a result's name gets where none was given.

    Returns
    -------
    Plan, its jobs sorted by relative name, numbers in names by value.

    Raises
    ------
    InputError
        Two inputs map to one result, a result lies inside an input folder or would replace an input, or (on_exist
        "error") exists; all of them are listed.

    Examples
    --------
    >>> plan(["no-such-folder/*.png"]).missing
    ('no-such-folder/*.png',)
    """
    files, folders, missing = _expand(inputs)
    if output is not None and Path(output).exists() and not Path(output).is_dir() and (folders or len(files) != 1):
        raise InputError(f"the output {output} is a file, but the inputs are several or a folder; name a folder")
    pairs = [_file_pair(file, output, suffix, label, len(files) == 1 and not folders) for file in files]
    for folder in folders:
        pairs += _folder_pairs(folder, output, suffix, label, recursive)
    once = {(os.path.realpath(pair.source), os.path.realpath(pair.target)): pair for pair in pairs}
    pairs = sorted(once.values(), key=lambda pair: (_natural(pair.relative), str(pair.source)))
    _refuse_unsafe(pairs, folders, on_exist)
    jobs = [
        Job(pair.source, pair.target, pair.relative, index, _action(pair.target, on_exist))
        for index, pair in enumerate(pairs)
    ]
    if shard is not None:
        number, count = shard
        jobs = jobs[number - 1 :: count]
    return Plan(tuple(jobs), len(pairs), tuple(missing))


def _expand(inputs: Iterable[str | os.PathLike[str]]) -> tuple[list[Path], list[Path], list[str]]:
    """Sort inputs into files, folders, and those that name nothing."""
    files: list[Path] = []
    folders: list[Path] = []
    missing: list[str] = []
    for given in [os.fspath(path) for path in inputs]:
        found = [given] if Path(given).exists() else sorted(glob.glob(given, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        if not found:
            missing.append(given)
        for path in map(Path, found):
            (folders if path.is_dir() else files).append(path)
    return files, folders, missing


def list_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """List the files of a folder that are images by their suffix, hidden ones left out, in natural order.

    Parameters
    ----------
    folder : Path
        Links to folders within it are not followed.
    recursive : bool
        Take folders within it too.

    Returns
    -------
    Paths that begin with `folder`.

    Examples
    --------
    >>> list_images(Path("no-such-folder"))
    []
    """
    found: list[Path] = []
    for root, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if recursive and not name.startswith(".")]
        found += [Path(root, name) for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    return sorted(found, key=lambda path: _natural(path.relative_to(folder).as_posix()))


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2 before 10: text and numbers alternate, so that like meets like."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _file_pair(file: Path, output: str | os.PathLike[str] | None, suffix: str | None, label: str, alone: bool) -> _Pair:
    kept = suffix or file.suffix
    if output is None:
        return _Pair(file, file.with_name(f"{file.stem}-{label}{kept}"), file.name)
    if Path(output).suffix.lower() not in SUFFIXES or Path(output).is_dir():
        return _Pair(file, Path(output, file.stem + kept), file.name)
    if not alone:
        raise InputError(f"the output {output} is named like a file, but the inputs are several; name a folder")
    if suffix is not None and format_of(output) != format_of("any" + suffix):
        raise InputError(f"the output {output} does not end in the format asked for, {suffix}")
    return _Pair(file, Path(output), file.name)


def _folder_pairs(
    folder: Path, output: str | os.PathLike[str] | None, suffix: str | None, label: str, recursive: bool
) -> Iterator[_Pair]:
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if output is None and not named.name:
        raise InputError(f"{folder} has no place beside it; name an output folder with -o")
    goal = named.with_name(f"{named.name}-{label}") if output is None else Path(output)
    for source in list_images(folder, recursive=recursive):
        relative = source.relative_to(folder)
        yield _Pair(source, goal / (relative.with_suffix(suffix) if suffix else relative), relative.as_posix())


def _action(target: Path, on_exist: OnExist) -> Literal["write", "overwrite", "skip"]:
    if not target.exists():
        return "write"
    return "skip" if on_exist == "skip" else "overwrite"


def _refuse_unsafe(pairs: Sequence[_Pair], folders: Sequence[Path], on_exist: OnExist) -> None:
    """Raise InputError that lists everything unsafe in a plan, or nothing."""
    problems: list[str] = []
    real = {pair.source: os.path.realpath(pair.source) for pair in pairs}
    inputs = set(real.values())
    roots = {os.path.realpath(folder) for folder in folders}
    takers: dict[str, set[str]] = {}
    for pair in pairs:
        target = os.path.realpath(pair.target)
        takers.setdefault(os.path.normcase(target), set()).add(real[pair.source])
        inside = next((root for root in map(str, Path(target).parents) if root in roots), None)
        if target == real[pair.source]:
            problems.append(f"{pair.source}: its result would replace it")
        elif inside is not None:
            problems.append(f"{pair.source}: its result {pair.target} would lie inside the input folder {inside}")
        elif target in inputs and on_exist != "skip":
            problems.append(f"{pair.source}: its result {pair.target} would replace another input")
        elif on_exist == "error" and pair.target.exists():
            problems.append(f"{pair.source}: its result {pair.target} exists")
    problems += [
        f"{', '.join(sorted(sources))}: all would become {target}"
        for target, sources in takers.items()
        if len(sources) > 1
    ]
    if problems:
        raise InputError("nothing was done, because\n  " + "\n  ".join(problems))


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


@dataclass(frozen=True)
class Entry:
    """One line of a report: `status` is written, skipped or failed, `model` the model file's fingerprint."""

    source: str
    target: str
    status: Literal["written", "skipped", "failed"]
    milliseconds: float | None = None
    error: str | None = None
    provider: str | None = None
    model: str | None = None


class Report:
    """A file of JSON lines, one an Entry, each on the disk before the next file is begun.

    Parameters
    ----------
    path : path or None
        The file, replaced if it is there; None keeps no report.

    Raises
    ------
    InputError
        The file cannot be opened.

    Examples
    --------
    >>> with Report(None) as report:
    ...     report.write(Entry("a.png", "b.png", "written", 12.5))
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._file: IO[str] | None = None
        if path is not None:
            try:
                self._file = Path(path).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115
            except OSError as error:
                raise InputError(f"the report {path} cannot be written: {error.strerror}") from error

    def write(self, entry: Entry) -> None:
        """Add one line."""
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
