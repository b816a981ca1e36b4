"""The options that several commands share, and the values they accept; runs nothing."""

import argparse
from collections.abc import Callable
from typing import Any

from aeinfer import settings
from aeinfer.models import PRECISIONS

__all__ = [
    "add_device",
    "add_frames",
    "add_job_options",
    "add_network",
    "add_on_exist",
    "add_precision",
    "add_voice",
    "asked_suffix",
    "frames_model",
    "network_options",
    "number",
    "size",
    "whole",
]


COLORED, GREY = "photo-fast", "photo-fast-grey"  # what denoises frames
MOST = 10**9  # of what has no other bound: seconds that a clock takes, megabytes and counts that numbers hold


def add_job_options(parser: argparse.ArgumentParser, label: str) -> None:
    """Add what every command has that turns files into files; results are named with `label`."""
    from aeinfer.formats import FORMATS  # which needs numpy, without which the doctor has options all the same

    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help='image, folder or pattern such as "in/*.png"; - is stdin'
    )
    parser.add_argument("--manifest", metavar="FILE", help="more inputs, one a line, or source<TAB>target; - is stdin")
    parser.add_argument(
        "-0", "--null", action="store_true", help="the manifest's inputs end with NUL, not a line's end"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=f"folder of the results, or one file; - is stdout (default: beside, as NAME-{label})",
    )
    parser.add_argument(
        "--name",
        metavar="TEMPLATE",
        help='of the results, such as "{stem}-clean{suffix}"; also {index:04} and {parent}',
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="folders within folders too; keeps the tree")
    add_on_exist(parser, "a result", "skip", "overwrite", "error")
    parser.add_argument("--format", choices=("keep", *FORMATS), default="keep", help="of the results (default: keep)")
    parser.add_argument(
        "--quality",
        type=whole(1, 100),
        metavar="Q",
        help="1-100 for jpg, avif (default 95) and webp (default lossless)",
    )
    parser.add_argument(
        "--metadata", choices=("keep", "strip", "require"), default="keep", help="EXIF, ICC and XMP (default: keep)"
    )
    parser.add_argument(
        "--max-pixels",
        type=whole(1, 1 << 62),
        metavar="N",
        help="refuse images that claim to be larger (default: 2^28)",
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first file that fails")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--report", metavar="FILE.jsonl", help="add one line of JSON for each file to it")
    parser.add_argument("--shard", metavar="I/N", help="do only every Nth file, beginning with the Ith (from 1)")
    parser.set_defaults(watch=None)  # a job ends, where the command has no option of that name
    add_voice(parser, verbose="say what is done with each file")


def add_on_exist(parser: argparse.ArgumentParser, what: str, *choices: str) -> None:
    """Add what happens where `what` exists, which is the first of the choices where nothing is asked for."""
    parser.add_argument(
        "--on-exist", choices=choices, default=choices[0], help=f"where {what} exists (default: {choices[0]})"
    )


def asked_suffix(args: argparse.Namespace) -> str | None:
    """Return the suffix of the format that --format of `add_job_options` asks for; None keeps each file's own."""
    from aeinfer.formats import FORMATS

    return None if args.format == "keep" else FORMATS[args.format].suffixes[0]


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where the network runs."""
    parser.add_argument("-d", "--device", default="auto", help="auto, cpu, cuda, cuda:N or tensorrt (default: auto)")


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add which of a model's files runs."""
    parser.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="auto is fp32, or what bench found faster on this machine (default: auto)",
    )


def add_network(parser: argparse.ArgumentParser, model: str | None, beyond: str, threads: str) -> None:
    """Add the model, where and how it runs, and what it may take: `beyond` is what comes on top of the memory.

    The default `model` None is for commands that ask `frames_model`.
    """
    usual = model or f"{COLORED}; {GREY} for one channel, such as luma"
    parser.add_argument(
        "-m", "--model", default=model, help=f"a packaged model's name or a .onnx file (default: {usual})"
    )
    add_device(parser)
    add_precision(parser)
    parser.add_argument(
        "-s", "--strength", type=number(0, 1), default=1.0, help="from 0, the input, to 1, the full result (default: 1)"
    )
    parser.add_argument("-t", "--tile", type=whole(1), help="side of a tile in pixels, without its halo (see bench)")
    parser.add_argument(
        "--max-memory",
        type=whole(1),
        metavar="MB",
        help=f"for libraries, network and copies; {beyond} on top",
    )
    parser.add_argument("--threads", type=whole(1, settings.MOST["threads"]), metavar="N", help=threads)


def network_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of `add_network` ask of `AEInfer.load`."""
    asked = {name: getattr(args, name) for name in ("device", "precision", "tile", "threads")}
    return {**asked, "max_memory_mb": args.max_memory}


def add_frames(parser: argparse.ArgumentParser, luma: str) -> None:
    """Add how the frames of a video are denoised; `luma` says whose luma."""
    parser.add_argument("--luma", action="store_true", help=f"{luma}denoise the luma alone: chroma stays as it is")
    parser.add_argument(
        "--temporal",
        action="store_true",
        help="before the network, average over time what stands still: less noise and flicker, more work",
    )


def frames_model(args: argparse.Namespace, *, grey: bool) -> str:
    """Return the model that was asked for, or the usual one for frames of three channels or of one."""
    return str(args.model or (GREY if grey else COLORED))


def add_voice(parser: argparse.ArgumentParser, verbose: str) -> None:
    """Add what a command says while it works and at its end; `verbose` is what -v adds."""
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    voice = parser.add_mutually_exclusive_group()
    voice.add_argument("-q", "--quiet", action="store_true", help="say nothing but what is wrong")
    voice.add_argument("-v", "--verbose", action="store_true", help=verbose)
    parser.add_argument("--no-progress", action="store_true", help="no line of progress on a terminal")


def whole(low: int, high: int = MOST) -> Callable[[str], int]:
    """Return the reader of an option that is a whole number from `low` to `high`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {_range(low, high)}")
        return value

    return read


def number(low: float, high: float = MOST) -> Callable[[str], float]:
    """Return the reader of an option that is a number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {_range(low, high)}")
        return value

    return read


def size(text: str) -> tuple[int, int]:
    """Read an option such as 1280x720: width, then height."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 1280x720")
    return int(width), int(height)


def _range(low: float, high: float) -> str:
    return f"from {low:g} to {high:g}"
