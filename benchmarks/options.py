"""Options that several benchmarks have."""

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path

from aeinfer.cli.options import whole


def add_methods(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which methods are measured: `chosen` tells them."""
    parser.add_argument("--methods", nargs="+", metavar="TEXT", default=[""], help="those whose name holds a TEXT")


def chosen(parser: argparse.ArgumentParser, names: Iterable[str], texts: Collection[str]) -> list[str]:
    """Return the names that hold one of the texts; none ends the program, before any row is dropped."""
    everything = list(names)
    if not (found := [name for name in everything if any(text in name for text in texts)]):
        parser.exit(2, f"{parser.prog.rpartition('.')[2]}: no such method: there are {', '.join(everything)}\n")
    return found


def add_rounds(parser: argparse.ArgumentParser, rounds: int) -> None:
    parser.add_argument("--rounds", type=whole(1), default=rounds, help=f"of which the median counts [{rounds}]")


def add_digits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
