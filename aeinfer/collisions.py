"""What makes a plan unsafe: results that would meet each other, an input, an input's folder or the report."""

import functools
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from aeinfer.atomic import ignores_case, is_there
from aeinfer.errors import InputError
from aeinfer.naming import Placement

__all__ = ["refuse_unsafe"]


def refuse_unsafe(
    pairs: Sequence[Placement],
    share: Sequence[Placement],
    folders: Iterable[Path],
    on_exist: str,
    report: str | os.PathLike[str] | None,
    real: Callable[[Path], str],
) -> None:
    """Raise InputError that lists everything unsafe in a plan, or nothing; other shares' results may exist."""
    problems: list[str] = []
    misplaced: dict[str, list[Placement]] = {}
    fresh = set(share) if on_exist == "error" else set()
    sources = {pair.source: real(pair.source) for pair in pairs}
    targets = {pair.target: real(pair.target) for pair in pairs}
    above = {
        str(folder)
        for parent in {Path(target).parent for target in targets.values()}
        for folder in (parent, *parent.parents)
    }
    given = [os.path.realpath(folder) for folder in folders]
    kept = [] if report is None else [os.path.realpath(report)]
    one = _spell({*targets.values(), *above}, {*sources.values(), *given, *kept})
    inputs, roots = {one[source] for source in sources.values()}, {one[root] for root in given}
    takers: dict[str, dict[str, Placement]] = {}
    for pair in pairs:
        source, target = one[sources[pair.source]], one[targets[pair.target]]
        takers.setdefault(target, {})[source] = pair
        inside = next((root for root in map(str, Path(targets[pair.target]).parents) if one[root] in roots), None)
        if target == source:
            misplaced.setdefault("would replace it", []).append(pair)
        elif inside is not None:
            misplaced.setdefault(f"would lie inside the input folder {inside}", []).append(pair)
        elif target in map(one.get, kept):
            problems.append(f"{pair.source}: its result would replace the report {report}")
        elif os.path.isdir(pair.target):
            problems.append(f"{pair.source}: its result {pair.target} is a folder")
        elif target in inputs and on_exist != "skip":
            problems.append(f"{pair.source}: its result {pair.target} would replace another input")
        elif pair in fresh and is_there(pair.target):
            problems.append(f"{pair.source}: its result {pair.target} exists")
    problems += [
        f"{', '.join(sorted(str(pair.source) for pair in group.values()))}: all would become "
        f"{' or '.join(sorted({str(pair.target) for pair in group.values()}))}"
        for group in takers.values()
        if len(group) > 1
    ]
    problems[:0] = [_misplaced(reason, alike) for reason, alike in misplaced.items()]
    if problems:
        raise InputError("nothing was done, because\n  " + "\n  ".join(problems))


def _misplaced(reason: str, pairs: Sequence[Placement]) -> str:
    """Say it once of all results: a folder that was chosen badly makes as many of them as it has files."""
    more = f", and so would {len(pairs) - 1} more" if len(pairs) > 1 else ""
    return f"{pairs[0].source}: its result {pairs[0].target} {reason}{more}; name another place for the results"


def _spell(targets: set[str], others: set[str]) -> dict[str, str]:
    """Map paths to one spelling where some differ by case alone and the disk of the targets takes them for one."""
    groups: dict[str, list[str]] = {}
    for path in targets | others:
        groups.setdefault(unicodedata.normalize("NFC", path).casefold(), []).append(path)
    probe = functools.cache(ignores_case)
    spelled: dict[str, str] = {}
    for folded, paths in groups.items():
        goal = next((path for path in paths if path in targets), None) if len(paths) > 1 else None
        same = goal is not None and probe(next(folder for folder in Path(goal).parents if folder.is_dir()))
        spelled.update((path, folded if same else path) for path in paths)
    return spelled
