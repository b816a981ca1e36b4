"""One file of a job: read, changed and written, or failed with one line that says why."""

import argparse
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from aeinfer.cli.console import complain
from aeinfer.cli.interrupt import Stop
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.folder import Job
from aeinfer.formats import ALPHA, FORMATS
from aeinfer.image import MAX_PIXELS, carried_metadata, check_pages, read_pages, write_pages
from aeinfer.picture import Picture, Pixels, upright
from aeinfer.report import Entry, Report
from aeinfer.tiff import available

__all__ = ["Change", "File", "Run", "Tally", "Worker", "do_job", "skip_job"]

Change = Callable[[Pixels, Job], Pixels]


@dataclass(frozen=True)
class Worker:
    """What changes an image, and what a report says of it.

    Attributes
    ----------
    change : callable
        On all threads.
    narrow : callable or None
        Makes what does the same on the calling thread alone, and may be called by several at once; called at most once.
    """

    change: Change
    provider: str | None = None
    model: str | None = None
    narrow: Callable[[], Change] | None = None


@dataclass
class Tally:
    """What was done so far."""

    written: int = 0
    skipped: int = 0
    megapixels: float = 0.0
    errors: list[dict[str, str]] = field(default_factory=list)
    not_carried: set[str] = field(default_factory=set)
    wants_tifffile: bool = False

    def fail(self, source: str, error: str) -> None:
        """Count a file that failed, and say so in one line."""
        self.errors.append({"source": source, "error": error})
        complain(error)

    def count(self, entry: Entry) -> None:
        """Count a file that is done."""
        self.written += entry.status == "written"
        self.skipped += entry.status == "skipped"
        self.not_carried.update(entry.not_carried)
        self.wants_tifffile |= _wants_tifffile(Path(entry.target), entry.not_carried)
        if entry.error is not None:
            self.fail(entry.source, entry.error)


@dataclass(frozen=True)
class Run:
    """What the files of one job share."""

    args: argparse.Namespace
    stop: Stop
    report: Report
    tally: Tally = field(default_factory=Tally)

    def fail_input(self, name: str, reason: str) -> None:
        """Count and report an input that fails before it is a file to do: it names nothing, or cannot be listed."""
        self.tally.fail(name, f"{name}: {reason}")
        self.report.write(Entry(name, "", "failed", error=reason))

    def note(self, entry: Entry) -> None:
        """Count a file that is done, report it, and say so where that was asked for."""
        self.report.write(entry)
        self.tally.count(entry)
        if self.args.verbose:
            took = "" if entry.milliseconds is None else f" ({entry.milliseconds:.0f} ms)"
            lost = f", not carried over: {', '.join(entry.not_carried)}" if entry.not_carried else ""
            complain(f"{entry.status}: {entry.source} -> {entry.target}{took}{lost}")


class File:
    """One file on its way: `read`, `change` and `write`, in this order, each in whatever thread.

    Where a step fails those after it do nothing; what would fail every file is raised. The steps of a file that is to
    be skipped do nothing.

    Attributes
    ----------
    error : str or None
        Why a step failed.
    may_try_again : bool
        A step failed, and was not tried `again`.
    is_to_do : bool
        There is a next step, which does something.
    bytes : int
        Size of the pixels that were read, 0 before.
    """

    def __init__(self, run: Run, job: Job, worker: Worker) -> None:
        self.job, self._run, self._worker = job, run, worker
        self.error: str | None = None
        self.bytes = 0
        self._noisy: list[Picture] = []
        self._clean: list[Picture] = []
        self._lost: set[str] = set()
        self._pixels = 0
        self._seconds = 0.0
        # no bound method: pixels in a circle of references would wait for the collector
        self._step: Callable[[File], None] = File._read
        self._tries = 1
        self._how = worker.change

    def read(self) -> None:
        """Read all pages."""
        self._take(File._read)

    def change(self, how: Change | None = None) -> None:
        """Change the pixels, page by page; in another way than the worker's first, where one is given."""
        self._how = how or self._worker.change
        self._take(File._change)

    def write(self) -> None:
        """Write the result, whole or not at all, and let go of it."""
        self._take(File._write)

    def again(self) -> None:
        """Take the step that failed once more, for good."""
        self.error, self._tries, self._how = None, self._tries + 1, self._worker.change
        self._take(self._step)

    @property
    def may_try_again(self) -> bool:
        return self.error is not None and self._tries == 1

    @property
    def is_to_do(self) -> bool:
        return self.job.action != "skip" and self.error is None

    def finish(self) -> Entry:
        """Add to the job's tally what only a file that is done knows, and return what is to be said of it."""
        if self.job.action == "skip":
            return skip_job(self.job)
        names, worker = (str(self.job.source), str(self.job.target)), self._worker
        milliseconds = round(self._seconds * 1000, 3)
        if self.error is not None:
            return Entry(*names, "failed", milliseconds, self.error, worker.provider, worker.model)
        self._run.tally.megapixels += self._pixels / 1e6
        lost = tuple(sorted(self._lost))
        return Entry(*names, "written", milliseconds, None, worker.provider, worker.model, lost)

    def _take(self, step: "Callable[[File], None]") -> None:
        if not self.is_to_do:
            return
        if step != self._step:
            self._step, self._tries = step, 1
        began = time.perf_counter()
        try:
            step(self)
        except (ImageReadError, ImageWriteError) as failure:  # their messages name the file
            self.error = str(failure)
        except InputError as failure:
            several = self._noisy and len(self._noisy) + len(self._clean) > 1
            page = f", page {len(self._clean) + 1}" if several else ""
            self.error = f"{self.job.source}{page}: {failure}"
        except MemoryError:
            self.error = f"{self.job.source}: not enough memory; give a smaller --tile or a --max-memory"
        self._seconds += time.perf_counter() - began

    def _read(self) -> None:
        _check_place(self.job.target)
        args = self._run.args
        pages = read_pages(self.job.source, max_pixels=args.max_pixels or MAX_PIXELS)
        self._noisy = [_with_metadata(args.metadata, page, self.job) for page in pages]
        check_pages(self.job.target, self._noisy, quality=args.quality)
        self.bytes = sum(page.pixels.nbytes for page in self._noisy)

    def _change(self) -> None:
        while self._noisy:
            page = self._noisy[0]
            job = replace(self.job, page=len(self._clean))
            pixels = self._how(page.pixels, job)
            if pixels.dtype.kind == "f":  # networks answer within [0, 1]
                if pixels.max() <= 1 < page.pixels.max():
                    self._lost.add("values above 1")  # the highlights of HDR
                if pixels.min() >= 0 > page.pixels.min():
                    self._lost.add("values below 0")  # noise of what a background was subtracted from
            self._clean.append(replace(page, pixels=pixels))
            del self._noisy[0], page  # memory for the next

    def _write(self) -> None:
        lost = write_pages(self.job.target, self._clean, quality=self._run.args.quality)
        self._lost |= lost.union(*(page.lost for page in self._clean))
        self._pixels = sum(page.pixels.shape[0] * page.pixels.shape[1] for page in self._clean)
        self._clean.clear()


def skip_job(job: Job) -> Entry:
    """Return what is to be said of a file that is skipped."""
    return Entry(str(job.source), str(job.target), "skipped")


def do_job(run: Run, job: Job, worker: Worker) -> Entry:
    """Do one file and return what is to be said of it; what would fail every file is raised.

    A signal that comes once the result is being written waits until the caller calls `run.stop.release`.
    """
    file = File(run, job, worker)
    file.read()
    file.change()
    run.stop.hold()
    file.write()
    return file.finish()


def _wants_tifffile(target: Path, lost: Collection[str]) -> bool:
    """Tell whether tifffile would carry some of what is lost, and is not installed."""
    known = FORMATS["tiff"]
    return target.suffix.lower() in known.suffixes and not known.metadata.isdisjoint(lost) and not available()


def _check_place(target: Path) -> None:
    """Refuse a folder that cannot be written before the work is done; makes nothing."""
    for folder in target.parents:
        if os.path.lexists(folder):
            if not os.path.isdir(folder):
                raise ImageWriteError(f"{target}: cannot be written: {folder} is not a folder")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ImageWriteError(f"{target}: cannot be written: the folder {folder} may not be written to")
            return


def _with_metadata(wish: str, picture: Picture, job: Job) -> Picture:
    if wish == "strip":
        standing = upright(picture)
        # no word about the picture but what its colours mean: without it, viewers would show others
        meaning = {kind: block for kind, block in standing.metadata.items() if kind in ALPHA.values()}
        return Picture(standing.pixels, standing.format, meaning)
    dropped = picture.metadata.keys() - carried_metadata(job.target) - {"premultiplied"}  # which is made straight
    missing = picture.lost | dropped
    if wish == "require" and missing:
        more = ", --format png may carry more" if dropped & carried_metadata(job.target, "png") else ""
        if _wants_tifffile(job.target, missing):
            more = ', pip install "aeinfer[tiff]" carries more'
        raise ImageWriteError(
            f"{job.source}: its {', '.join(sorted(missing))} cannot be carried to {job.target.name} by this install; "
            f"--metadata keep writes it without{more}"
        )
    return picture
