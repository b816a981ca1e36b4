"""Options that several benchmarks have."""

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path

from aeinfer.cli.options import whole
from benchmarks.noisy import Images, read_set


def add_methods(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which methods are measured: `chosen` tells them."""
    parser.add_argument("--methods", nargs="+", metavar="TEXT", default=[""], help="those whose name holds a TEXT")


def chosen(parser: argparse.ArgumentParser, names: Iterable[str], texts: Collection[str]) -> list[str]:
    """Return the names that hold one of the texts; none ends the program, before any row is dropped."""
    everything = list(names)
    if not (found := [name for name in everything if any(text in name for text in texts)]):
        parser.exit(2, f"{program(parser)}: no such method: there are {', '.join(everything)}\n")
    return found


def add_rounds(parser: argparse.ArgumentParser, rounds: int) -> None:
    parser.add_argument("--rounds", type=whole(1), default=rounds, help=f"of which the median counts [{rounds}]")


def add_set(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option that says where the one test set of a benchmark is: `images` reads it."""
    parser.add_argument("--data", type=Path, required=True, help=f"folder with the test set {name}, a folder of PNG")


def images(parser: argparse.ArgumentParser, data: Path, name: str, every: int = 1) -> Images:
    """Return every Nth image of a test set as `read_set` does; none ends the program."""
    if not (found := read_set(data / name, every)):
        parser.exit(2, f"{program(parser)}: no {name} in {data}: expected a folder of PNG images\n")
    return found


def program(parser: argparse.ArgumentParser) -> str:
    """Return a benchmark's name."""
    return parser.prog.rpartition(".")[2]


def add_digits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
