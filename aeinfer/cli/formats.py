"""`aeinfer formats`: lists the image formats that this install reads and writes, and what each keeps."""

import argparse
from typing import Any

from aeinfer.cli.console import ExitCode, say, say_json
from aeinfer.formats import FORMATS
from aeinfer.image import carried_metadata
from aeinfer.opencv import can_write
from aeinfer.tiff import available

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(args: argparse.Namespace) -> int:
    """List the formats."""
    rows = [_describe(name) for name in FORMATS]
    if args.json:
        say_json(rows)
        return ExitCode.DONE
    width = max(len(" ".join(row["suffixes"])) for row in rows)
    for row in rows:
        if not row["supported"]:
            say(f"{' '.join(row['suffixes']):{width}}  not in this OpenCV")
            continue
        depths = ", ".join(row["dtypes"])
        alpha = "alpha" if row["alpha"] else "no alpha"
        kept = ", ".join(row["metadata"]) or "no metadata"
        pages = "; several pages" if row["pages"] else ""
        say(f"{' '.join(row['suffixes']):{width}}  {depths}; {alpha}; {kept}{pages}")
    say("A .pbm is read only. Animations are refused.")
    if not available():
        say('pip install "aeinfer[tiff]" adds metadata and several pages to TIFF.')
    return ExitCode.DONE


def _describe(name: str) -> dict[str, Any]:
    known = FORMATS[name]
    return {
        "name": name,
        "suffixes": list(known.suffixes),
        "supported": can_write(known.suffixes[0]),
        "dtypes": list(known.dtypes),
        "alpha": known.alpha,
        "metadata": sorted(carried_metadata("", name)),
        "pages": name == "tiff" and available(),
    }
