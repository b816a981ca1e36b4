"""The measured figures as JSON files in results/, each with the machine and the versions it was measured with."""

import json
import os
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aeinfer.atomic import write_whole
from aeinfer.machine import processor_name

FOLDER = Path(__file__).parent / "results"
Row = dict[str, Any]
OTHER_FILE = "another file was measured"


def machine() -> dict[str, str]:
    """Name the machine by what matters for speed, and the versions of what ran."""
    cpu = f"{processor_name()}, {os.cpu_count()} cores"
    return {"cpu": cpu, **{name: version(name) for name in ("aeinfer", "onnxruntime", "numpy")}}


def save(name: str, rows: list[Row]) -> None:
    """Print the rows, and write results/NAME.json."""
    show(*rows)
    write(name, rows)


def show(*rows: Row) -> None:
    for row in rows:
        print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)


def write(name: str, rows: list[Row]) -> None:
    content = json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
    write_whole(FOLDER / f"{name}.json", content.encode())  # two runs may save side by side


def load(name: str) -> dict[str, Any]:
    """Return what `save` wrote; a file that is missing or damaged ends the program."""
    path = FOLDER / f"{name}.json"
    try:
        loaded: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot read {path} ({error}): check it out again, or remove it and measure") from error
    return loaded


def merge(
    name: str, rows: list[Row], by: Collection[str], methods: Collection[str], of_this_machine: bool = False
) -> None:
    """Put rows into results/NAME.json: each replaces the one of the same `by`; rows of other `methods` are dropped.

    The new ones are printed before, so that what was measured is seen whatever the file is like.
    `of_this_machine` drops those of another machine as well, whose timings do not stand beside these.
    """
    show(*rows)
    old = load(name) if (FOLDER / f"{name}.json").exists() else {"machine": machine(), "rows": []}
    kept = [] if of_this_machine and old["machine"]["cpu"] != machine()["cpu"] else old["rows"]
    merged = {tuple(row.get(key) for key in by): row for row in [*kept, *rows] if row["method"] in methods}
    write(name, list(merged.values()))


def changed(rows: list[Row], fingerprints: Mapping[str, str]) -> list[str]:
    """Return which of the models (method -> fingerprint) these rows measured from another file.

    A row whose method is more than a model names that as "model".
    """
    measured = {(row.get("model", row["method"]), row.get("fingerprint")) for row in rows}
    wrong = {method for method, fingerprint in measured if fingerprint != fingerprints.get(method)}
    return [method for method in fingerprints if method in wrong]


def stale(rows: list[Row], fingerprints: Mapping[str, str]) -> list[str]:
    """Say which of the models (method -> fingerprint) these rows measured from another file, and which not at all."""
    other = changed(rows, fingerprints)
    measured = {row.get("model", row["method"]) for row in rows}
    return [
        f"{method}: {OTHER_FILE if method in other else 'not measured'}"
        for method in fingerprints
        if method in other or method not in measured
    ]
