"""`aeinfer doctor`: says why aeinfer does not work on this machine, or that it does; mends nothing itself."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aeinfer.cli.console import ExitCode, say, say_json
from aeinfer.cli.options import add_device

if TYPE_CHECKING:
    from aeinfer.doctor import Finding

__all__ = ["add_options", "run"]

HEADINGS = {"note": "If wanted", "warning": "To mend what could be better", "failure": "To mend what fails"}
WORST_FIRST = {"backend": ExitCode.UNAVAILABLE, "model": ExitCode.BAD_MODEL, "machine": ExitCode.FAILED}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_device(parser)
    parser.add_argument("--json", action="store_true", help="print what was found as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Examine this install and print what was found."""
    from aeinfer.doctor import examine

    found = examine(args.device)
    code = _exit_code(found)
    if args.json:
        say_json({"exit_code": int(code), "findings": list(map(dataclasses.asdict, found))})
        return code
    width = max(len(finding.name) for finding in found)
    for finding in found:
        say(f"{finding.state:7}  {finding.name:{width}}  {finding.sentence}")
    _sum_up(found)
    return code


def _exit_code(found: "Sequence[Finding]") -> ExitCode:
    """Return what the gravest failure means; the other states are no failures."""
    failed = {finding.about for finding in found if finding.state == "failure"}
    return next((code for about, code in WORST_FIRST.items() if about in failed), ExitCode.DONE)


def _sum_up(found: "Sequence[Finding]") -> None:
    """Print what to type, the gravest last, where a terminal still shows it."""
    states = [finding.state for finding in found]
    for state, heading in HEADINGS.items():
        mends = {finding.mend: finding.name for finding in reversed(found) if finding.state == state and finding.mend}
        if mends:
            say(f"\n{heading}:")
        for mend, name in reversed(mends.items()):
            say(f"  {mend}" + ("" if " # " in mend else f"  # {name}"))
    verdict = "aeinfer does not work as it should" if "failure" in states else "aeinfer works"
    say(f"\n{verdict}: failures {states.count('failure')}, warnings {states.count('warning')}")
