"""Where the result of each input goes, by its name alone: beside it, in a folder, or by a template; no disk work."""

import os
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from aeinfer.errors import InputError
from aeinfer.formats import SUFFIXES, format_of

__all__ = ["FIELDS", "Placement", "check_template", "file_pair", "folder_goal", "named_pair", "rename"]

FIELDS = ("stem", "suffix", "index", "parent")
"""What a template of names may hold in braces; `index` counts from 1 and takes a format, such as {index:04}."""

LONGEST = 255  # characters that a name may have on any usual disk


@dataclass(frozen=True)
class Placement:
    """A file and its result; `relative` is its name inside the job."""

    source: Path
    target: Path
    relative: str


def file_pair(
    file: Path, output: str | os.PathLike[str] | None, suffix: str | None, label: str, *, alone: bool, named: bool
) -> Placement:
    """Place the result of one file: beside it, in the folder `output`, or as `output` itself.

    Parameters
    ----------
    alone : bool
        It is the only input.
    named : bool
        A template names the results, so that `output` is a folder.

    Raises
    ------
    InputError
        `output` is named like a file where it cannot be one.

    Examples
    --------
    >>> file_pair(Path("a.png"), "out", ".webp", "denoised", alone=True, named=False).target.as_posix()
    'out/a.webp'
    """
    kept = suffix or file.suffix
    if output is None:
        return Placement(file, file.with_name(f"{file.stem}-{label}{kept}"), file.name)
    if Path(output).suffix.lower() not in SUFFIXES or Path(output).is_dir():
        return Placement(file, Path(output, file.stem + kept), file.name)
    if not alone or named:
        why = "--name names the results" if alone else "the inputs are several"
        raise InputError(f"the output {output} is named like a file, but {why}; name a folder")
    _agree(Path(output), suffix)
    return Placement(file, Path(output), file.name)


def named_pair(source: Path, target: Path, output: str | os.PathLike[str] | None, suffix: str | None) -> Placement:
    """Place the result of a file whose result a manifest names, inside the folder `output` if that is given.

    Raises
    ------
    InputError
        The target is no image by its suffix, or not of the format asked for.

    Examples
    --------
    >>> named_pair(Path("a.png"), Path("b/c.png"), "out", None).target.as_posix()
    'out/b/c.png'
    """
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"the target {target} of {source} ends in none of {', '.join(SUFFIXES)}")
    _agree(target, suffix)
    return Placement(source, target if output is None else Path(output, target), source.name)


def _agree(target: Path, suffix: str | None) -> None:
    if suffix is not None and format_of(target) != format_of("any" + suffix):
        raise InputError(f"the output {target} does not end in the format asked for, {suffix}")


def folder_goal(folder: Path, output: str | os.PathLike[str] | None, label: str) -> Path:
    """Name the folder of the results of a folder.

    Raises
    ------
    InputError
        The folder has no place beside it.

    Examples
    --------
    >>> folder_goal(Path("photos"), None, "denoised").name
    'photos-denoised'
    """
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if output is None and not named.name:
        raise InputError(f"{folder} has no place beside it; name an output folder with -o")
    return named.with_name(f"{named.name}-{label}") if output is None else Path(output)


def check_template(template: str, suffix: str | None) -> None:
    """Refuse a template that cannot name results of the format `suffix` (None: each its own).

    Raises
    ------
    InputError
        It has an unknown field, leads out of the folder of the results, or ends in no format.

    Examples
    --------
    >>> check_template("{stem}-{index:03}{suffix}", None)
    """
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    try:
        fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise InputError(f"the name {template!r} is no template ({error}); its fields are {known}") from None
    for field, spec, conversion in fields:
        if field not in FIELDS or conversion or (spec and field != "index"):
            wrong = (field or "") + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise InputError(f"the name {template!r} has the field {{{wrong}}}; expected {known}, and {{index:04}}")
        width = re.fullmatch(r"([0-9]{0,3})d?", spec or "")  # 47 as a character is "/"
        if width is None or int(width[1] or 0) > LONGEST:
            raise InputError(
                f"the name {template!r} has a wrong format of the index, {spec}; expected up to {LONGEST} digits, as "
                "in {index:04}"
            )
    sample = Path(_fill(template, Path("parent/stem.png"), suffix or ".png", 1))
    if sample.anchor or ".." in sample.parts or not template.strip(" ./"):
        raise InputError(
            f"the name {template!r} leads out of the folder of the results; expected names such as "
            "{stem}-clean{suffix}"
        )
    if sample.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"the name {template!r} ends in no format; end it with {{suffix}} or one of {', '.join(SUFFIXES)}"
        )
    _agree(sample, suffix)


def rename(pairs: Iterable[Placement], template: str) -> list[Placement]:
    """Give each result, in order, the name that a checked template makes.

    Examples
    --------
    >>> pair = Placement(Path("in/a.png"), Path("out/a.webp"), "a.png")
    >>> rename([pair], "{parent}-{stem}{suffix}")[0].target.as_posix()
    'out/in-a.webp'
    """
    return [
        replace(pair, target=pair.target.parent / _fill(template, pair.source, pair.target.suffix, number))
        for number, pair in enumerate(pairs, 1)
    ]


def _fill(template: str, source: Path, suffix: str, number: int) -> str:
    parent = source.parent.name
    if parent in ("", ".."):
        parent = source.parent.resolve().name
    return template.format(stem=source.stem, suffix=suffix, index=number, parent=parent)
