"""The loop of every command that turns files into files: plan, then read, change and write each, then sum up."""

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from aeinfer.cli.console import ExitCode, Progress, complain, say, say_json
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.file_format import FORMATS
from aeinfer.folder import Entry, Job, Plan, Report, parse_shard, plan
from aeinfer.image import carried_metadata, quiet_opencv, read_image, write_image
from aeinfer.picture import Picture, Pixels, upright

__all__ = ["Worker", "process"]


@dataclass(frozen=True)
class Worker:
    """What changes an image, and what a report says of it."""

    change: Callable[[Pixels, Job], Pixels]
    provider: str | None = None
    model: str | None = None


@dataclass
class Tally:
    """What was done so far."""

    written: int = 0
    skipped: int = 0
    megapixels: float = 0.0
    errors: list[dict[str, str]] = field(default_factory=list)
    not_carried: set[str] = field(default_factory=set)

    def fail(self, source: str, error: str) -> None:
        """Count a file that failed, and say so in one line."""
        self.errors.append({"source": source, "error": error})
        complain(error)


def process(args: argparse.Namespace, label: str, open_worker: Callable[[], AbstractContextManager[Worker]]) -> int:
    """Run one job of many files and return its exit code.

    Parameters
    ----------
    args : Namespace
        With the options of `add_job_options`.
    label : str
        What results are named by, where no name was given.
    open_worker : callable
        Makes the Worker; called only if there is something to do, after all that can be refused has been.
    """
    suffix = None if args.format == "keep" else FORMATS[args.format].suffixes[0]
    shard = parse_shard(args.shard) if args.shard else None
    work = plan(
        args.inputs,
        args.output,
        recursive=args.recursive,
        suffix=suffix,
        on_exist=args.on_exist,
        shard=shard,
        label=label,
    )
    if not work.total:
        return _nothing(args, work)
    tally = Tally()
    for name in work.missing:
        tally.fail(name, f"{name}: no such file or folder")
    if args.dry_run:
        return _preview(args, work, tally)
    began, code = time.perf_counter(), None
    with Report(args.report) as report:
        for name in work.missing:
            report.write(Entry(name, "", "failed", error="no such file or folder"))
        try:
            if work.pending:
                quiet_opencv()
                with open_worker() as worker:
                    _loop(args, work, worker, tally, report)
            else:
                _loop(args, work, Worker(lambda pixels, _: pixels), tally, report)
        except KeyboardInterrupt:
            complain("interrupted")
            code = ExitCode.INTERRUPTED
    _summarize(args, work, tally, time.perf_counter() - began)
    return code or (ExitCode.FAILED if tally.errors else ExitCode.DONE)


def _nothing(args: argparse.Namespace, work: Plan) -> ExitCode:
    names = ", ".join(work.missing or args.inputs)
    complain(f"nothing found: {names} " + ("does not exist" if work.missing else "holds no images" + _hint(args)))
    return ExitCode.NOTHING_FOUND


def _hint(args: argparse.Namespace) -> str:
    return "" if args.recursive else " (-r looks into folders within)"


def _preview(args: argparse.Namespace, work: Plan, tally: Tally) -> ExitCode:
    if args.json:
        jobs = [{"source": str(job.source), "target": str(job.target), "action": job.action} for job in work.jobs]
        say_json({"jobs": jobs, "missing": list(work.missing)})
    else:
        for job in work.jobs:
            say(f"{job.action:9} {job.source} -> {job.target}")
    return ExitCode.FAILED if tally.errors else ExitCode.DONE


def _loop(args: argparse.Namespace, work: Plan, worker: Worker, tally: Tally, report: Report) -> None:
    with Progress(work.pending, wanted=not (args.quiet or args.no_progress)) as progress:
        done = 0
        for job in work.jobs:
            if args.fail_fast and tally.errors:
                return
            entry = _skip(job, tally) if job.action == "skip" else _do(args, job, worker, tally, progress)
            done += job.action != "skip"
            report.write(entry)
            if args.verbose:
                progress.clear()
                complain(f"{entry.status}: {job.source} -> {job.target}" + _timing(entry))
            progress.show(done, tally.megapixels)


def _timing(entry: Entry) -> str:
    return "" if entry.milliseconds is None else f" ({entry.milliseconds:.0f} ms)"


def _skip(job: Job, tally: Tally) -> Entry:
    tally.skipped += 1
    return Entry(str(job.source), str(job.target), "skipped")


def _do(args: argparse.Namespace, job: Job, worker: Worker, tally: Tally, progress: Progress) -> Entry:
    """Do one file. A file that fails is told and counted; what would fail every file is raised."""
    began = time.perf_counter()
    error = None
    try:
        _change_file(args, job, worker, tally)
    except (ImageReadError, ImageWriteError) as failure:  # their messages name the file
        error = str(failure)
    except InputError as failure:
        error = f"{job.source}: {failure}"
    except MemoryError:
        error = f"{job.source}: not enough memory; give a smaller --tile or a --max-memory"
    if error is None:
        tally.written += 1
    else:
        progress.clear()
        tally.fail(str(job.source), error)
    milliseconds = round((time.perf_counter() - began) * 1000, 3)
    return Entry(
        str(job.source),
        str(job.target),
        "failed" if error else "written",
        milliseconds,
        error,
        worker.provider,
        worker.model,
    )


def _change_file(args: argparse.Namespace, job: Job, worker: Worker, tally: Tally) -> None:
    picture = _with_metadata(args.metadata, read_image(job.source), job)
    pixels = worker.change(picture.pixels, job)
    lost = write_image(job.target, pixels, metadata=picture.metadata, quality=args.quality)
    if args.metadata == "keep":
        tally.not_carried |= picture.lost | lost
    tally.megapixels += pixels.shape[0] * pixels.shape[1] / 1e6


def _with_metadata(wish: str, picture: Picture, job: Job) -> Picture:
    if wish == "strip":
        standing = upright(picture)
        return Picture(standing.pixels, standing.format)
    missing = picture.lost | (picture.metadata.keys() - carried_metadata(job.target))
    if wish == "require" and missing:
        raise ImageWriteError(
            f"{job.source}: its {', '.join(sorted(missing))} cannot be carried to {job.target.name} by this install; "
            "--metadata keep writes it without, --format png may carry more"
        )
    return picture


def _summarize(args: argparse.Namespace, work: Plan, tally: Tally, seconds: float) -> None:
    untried = len(work.jobs) - tally.written - tally.skipped - (len(tally.errors) - len(work.missing))
    if tally.not_carried:
        complain(f"not carried over to some results: {', '.join(sorted(tally.not_carried))}")
    if args.json:
        summary: dict[str, Any] = {
            "written": tally.written,
            "skipped": tally.skipped,
            "failed": len(tally.errors),
            "untried": untried,
            "where": str(work.where),
            "seconds": round(seconds, 3),
            "megapixels": round(tally.megapixels, 6),
            "errors": tally.errors,
            "not_carried": sorted(tally.not_carried),
        }
        say_json(summary)
    elif not args.quiet:
        rest = f", {untried} not tried" if untried else ""
        pace = f" ({tally.written / seconds:.1f} images/s, {tally.megapixels / seconds:.1f} MPix/s)"
        counts = f"{tally.written} written, {tally.skipped} skipped, {len(tally.errors)} failed{rest}"
        say(f"{counts}: {work.where}{pace if tally.written else ''}")
