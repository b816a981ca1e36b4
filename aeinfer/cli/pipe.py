"""One image through standard input or standard output, either named "-"; nothing else is printed there."""

import argparse
import io
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from aeinfer.cli.console import ExitCode, check_output, complain
from aeinfer.cli.interrupt import Stop
from aeinfer.cli.job import Run, Worker, do_job, skip_job
from aeinfer.cli.options import asked_suffix
from aeinfer.errors import ImageReadError, InputError
from aeinfer.file_format import inspect_pages
from aeinfer.folder import Job, plan
from aeinfer.formats import FORMATS, SUFFIXES
from aeinfer.opencv import quiet_opencv
from aeinfer.report import Entry, Report

__all__ = ["is_pipe", "pipe"]

ALONE = {"manifest": None, "name": None, "shard": None, "watch": None, "json": False, "dry_run": False}
"""Options of jobs of many files, as they are when they are not given."""


def is_pipe(args: argparse.Namespace) -> bool:
    """Tell whether standard input or output is named."""
    return "-" in args.inputs or args.output == "-"


def pipe(args: argparse.Namespace, stop: Stop, open_worker: Callable[[], AbstractContextManager[Worker]]) -> int:
    """Change one image and return the exit code; without `-o` the image from standard input goes to standard output.

    Raises
    ------
    InputError
        There are other inputs, options of a job of many files, or a terminal or nothing for the image.
    """
    import tempfile

    source, target = _ends(args)
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="aeinfer-"))
        job = _job(args, Path(place), source, target)
        run = Run(args, stop, stack.enter_context(Report(args.report)))
        if job.action == "skip":
            entry = skip_job(job)
            if not args.quiet:
                complain(f"skipped: {target} is there already; --on-exist overwrite replaces it")
        else:
            quiet_opencv()
            with open_worker() as worker:
                entry = do_job(run, job, worker)
        entry = replace(entry, source=source, target=target)
        if entry.error is not None:
            entry = replace(entry, error=entry.error.replace(str(Path(place, "standard ")), "standard "))
        elif target == "-":
            entry = _send(job.target, entry)
        run.note(entry)
        stop.release()
        if run.tally.not_carried:
            complain(f"not carried over to the result: {', '.join(sorted(run.tally.not_carried))}")
    return ExitCode.FAILED if run.tally.errors else ExitCode.DONE


def _send(result: Path, entry: Entry) -> Entry:
    """Write the image to standard output, and return what is to be said of it."""
    try:
        sys.stdout.buffer.write(result.read_bytes())
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest, which would fail once more
        return replace(entry, status="failed", error=f"standard output: cannot be written: {error.strerror}")
    return entry


def _ends(args: argparse.Namespace) -> tuple[str, str]:
    """Return the one input and the one output, each a file or "-"."""
    given = [f"--{option.replace('_', '-')}" for option, default in ALONE.items() if getattr(args, option) != default]
    if given:
        raise InputError(f'"-" is one image; {" and ".join(given)} is for jobs of many files')
    if len(args.inputs) != 1:
        raise InputError(f'"-" is one image and has one input, but there are {len(args.inputs)}')
    source, target = args.inputs[0], args.output or "-"
    if target == "-":
        check_output("the image")
    if source != "-" and not Path(source).is_file():
        raise InputError(f"{source} is not one file; -o - takes one image")
    if target != "-" and (Path(target).suffix.lower() not in SUFFIXES or Path(target).is_dir()):
        raise InputError(f"{target} is no image by its name; the image from standard input needs a file to go to")
    if source == "-" and target != "-" and Path(target).exists():
        with suppress(io.UnsupportedOperation):  # there is no file behind it
            if os.path.samestat(os.fstat(sys.stdin.fileno()), Path(target).stat()):
                raise InputError(f"{target} is the input itself; name another file for the result")
    return source, target


def _job(args: argparse.Namespace, place: Path, source: str, target: str) -> Job:
    """Bring standard input to a file, and name one for standard output."""
    taken = Path(source)
    if source == "-":
        taken = place / "standard input"
        taken.write_bytes(sys.stdin.buffer.read())
    if target == "-":
        goal = place / f"standard output{asked_suffix(args) or _suffix_of(taken)}"
        return Job(taken, goal, taken.name, "write")
    return plan([taken], target, suffix=asked_suffix(args), on_exist=args.on_exist, report=args.report).jobs[0]


def _suffix_of(source: Path) -> str:
    try:
        return FORMATS[inspect_pages(source.read_bytes())[0].format].suffixes[0]
    except (ImageReadError, OSError):
        return ".png"  # reading it says what is wrong
