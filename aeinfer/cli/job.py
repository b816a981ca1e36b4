"""One file of a job: read, changed and written, or failed with one line that says why."""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from aeinfer.cli.console import complain
from aeinfer.cli.interrupt import Stop
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.folder import Job
from aeinfer.image import MAX_PIXELS, carried_metadata, read_pages, write_pages
from aeinfer.picture import Picture, Pixels, upright
from aeinfer.report import Entry, Report

__all__ = ["Run", "Tally", "Worker", "do_job", "skip_job"]


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

    def count(self, entry: Entry) -> None:
        """Count a file that is done."""
        self.written += entry.status == "written"
        self.skipped += entry.status == "skipped"
        if entry.error is not None:
            self.fail(entry.source, entry.error)


@dataclass(frozen=True)
class Run:
    """What the files of one job share."""

    args: argparse.Namespace
    stop: Stop
    report: Report
    tally: Tally = field(default_factory=Tally)

    def note(self, entry: Entry) -> None:
        """Count a file that is done, report it, and say so where that was asked for."""
        self.report.write(entry)
        self.tally.count(entry)
        if self.args.verbose:
            took = "" if entry.milliseconds is None else f" ({entry.milliseconds:.0f} ms)"
            complain(f"{entry.status}: {entry.source} -> {entry.target}{took}")


def skip_job(job: Job) -> Entry:
    """Return what is to be said of a file that is skipped."""
    return Entry(str(job.source), str(job.target), "skipped")


def do_job(run: Run, job: Job, worker: Worker) -> Entry:
    """Do one file and return what is to be said of it; what would fail every file is raised.

    A signal that comes once the result is being written waits until the caller calls `run.stop.release`.
    """
    began = time.perf_counter()
    error = None
    try:
        _change_file(run, job, worker)
    except (ImageReadError, ImageWriteError) as failure:  # their messages name the file
        error = str(failure)
    except InputError as failure:
        error = f"{job.source}: {failure}"
    except MemoryError:
        error = f"{job.source}: not enough memory; give a smaller --tile or a --max-memory"
    run.stop.hold()
    milliseconds = round((time.perf_counter() - began) * 1000, 3)
    names = str(job.source), str(job.target)
    return Entry(*names, "failed" if error else "written", milliseconds, error, worker.provider, worker.model)


def _change_file(run: Run, job: Job, worker: Worker) -> None:
    _check_place(job.target)
    pages: list[Picture] = []
    for page in read_pages(job.source, max_pixels=run.args.max_pixels or MAX_PIXELS):
        kept = _with_metadata(run.args.metadata, page, job)
        pages.append(replace(kept, pixels=worker.change(kept.pixels, job)))
    run.stop.hold()
    lost = write_pages(job.target, pages, quality=run.args.quality)
    if run.args.metadata == "keep":
        run.tally.not_carried |= lost.union(*(page.lost for page in pages))
    run.tally.megapixels += sum(page.pixels.shape[0] * page.pixels.shape[1] for page in pages) / 1e6


def _check_place(target: Path) -> None:
    """Refuse a folder that cannot be written before the work is done; makes nothing."""
    for folder in target.parents:
        if os.path.lexists(folder):
            if not os.path.isdir(folder):  # noqa: PTH112 (Path.is_dir raises where a folder may not be entered)
                raise ImageWriteError(f"{target}: cannot be written: {folder} is not a folder")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ImageWriteError(f"{target}: cannot be written: the folder {folder} may not be written to")
            return


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
