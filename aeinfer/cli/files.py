"""The loop of every command that turns files into files: plan, then read, change and write each, then sum up."""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from aeinfer.atomic import clear_parts
from aeinfer.cli.console import ExitCode, Progress, complain, nothing_found, say, say_json
from aeinfer.cli.interrupt import Stop, until_stopped
from aeinfer.cli.job import Run, Tally, Worker
from aeinfer.cli.manifest import read_manifest
from aeinfer.cli.options import asked_suffix
from aeinfer.cli.overlap import do_jobs
from aeinfer.cli.pipe import is_pipe, pipe
from aeinfer.cli.watch import check_watch, watch
from aeinfer.errors import InputError
from aeinfer.folder import Plan, parse_shard, plan
from aeinfer.opencv import quiet_opencv
from aeinfer.report import Entry, Report
from aeinfer.threads import thread_count

__all__ = ["change_files"]

OpenWorker = Callable[[], AbstractContextManager[Worker]]


def change_files(args: argparse.Namespace, label: str, open_worker: OpenWorker) -> int:
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

    def work(stop: Stop) -> int:
        if is_pipe(args):
            return pipe(args, stop, open_worker)
        return _change_all(args, stop, _planner(args, label), open_worker)

    return until_stopped(work)


def _planner(args: argparse.Namespace, label: str) -> Callable[[], Plan]:
    """Return what plans the job, and plans it anew for a watch."""
    if not args.inputs and args.manifest is None:
        raise InputError("nothing to do: name an INPUT, or a list of them with --manifest FILE")
    if args.null and args.manifest is None:
        raise InputError("-0 says how a manifest is written; name it with --manifest FILE")
    listed, pairs = ([], []) if args.manifest is None else read_manifest(args.manifest, null=args.null)
    return partial(
        plan,
        [*args.inputs, *listed],
        args.output,
        pairs=pairs,
        recursive=args.recursive,
        suffix=asked_suffix(args),
        name=args.name,
        on_exist=args.on_exist,
        shard=parse_shard(args.shard) if args.shard else None,
        label=label,
        report=args.report,
    )


def _change_all(args: argparse.Namespace, stop: Stop, planner: Callable[[], Plan], open_worker: OpenWorker) -> int:
    if args.watch is not None:
        check_watch(args)
    work = planner()
    if not work.total and not work.unreadable and (work.missing or args.watch is None):
        return _nothing(args, work)
    if args.dry_run:
        return _preview(args, work)
    began, code = time.perf_counter(), None
    with Report(args.report) as report:
        run = Run(args, stop, report)
        for name, reason in work.failures:
            run.fail_input(name, reason)
        for folder in {job.target.parent for job in work.jobs}:
            clear_parts(folder)
        try:
            if args.watch is not None:
                quiet_opencv()
                with open_worker() as worker:
                    watch(run, planner, worker)
            elif work.pending:
                quiet_opencv()
                with open_worker() as worker:
                    _loop(run, work, worker)
            else:
                _loop(run, work, Worker(lambda pixels, _: pixels))
        except KeyboardInterrupt:
            complain("interrupted")
            code = stop.code or ExitCode.INTERRUPTED
    if args.watch is not None:
        with suppress(InputError):
            work = planner()  # what there is by now
    _summarize(args, work, run.tally, time.perf_counter() - began)
    return code or (ExitCode.FAILED if run.tally.errors else ExitCode.DONE)


def _nothing(args: argparse.Namespace, work: Plan) -> ExitCode:
    names = ", ".join(work.missing or args.inputs or [f"the manifest {args.manifest}"])
    if work.missing:
        return nothing_found(f"{names} does not exist")
    hint = "" if args.recursive else " (-r looks into folders within)"
    return nothing_found(f"{names} holds no images of a kind that `aeinfer formats` lists{hint}")


def _say_unread(args: argparse.Namespace, work: Plan) -> None:
    """Say what lies in the folders and is no input, so that nobody takes it for done."""
    if work.unread and not args.quiet:
        kinds = Counter(path.suffix.lower() for path in work.unread)
        named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        complain(f"left alone, of kinds that are not read: {named}")


def _preview(args: argparse.Namespace, work: Plan) -> ExitCode:
    for name, error in work.failures:
        complain(f"{name}: {error}")
    if args.json:
        jobs = [{"source": str(job.source), "target": str(job.target), "action": job.action} for job in work.jobs]
        unreadable = [{"folder": name, "error": error} for name, error in work.unreadable]
        say_json({"jobs": jobs, "missing": list(work.missing), "unreadable": unreadable})
    else:
        for job in work.jobs:
            say(f"{job.action:9} {job.source} -> {job.target}")
        _say_unread(args, work)
    return ExitCode.FAILED if work.failures else ExitCode.DONE


def _loop(run: Run, work: Plan, worker: Worker) -> None:
    args, tally = run.args, run.tally
    threads = getattr(args, "threads", None) or thread_count()
    with Progress(work.pending, wanted=not (args.quiet or args.no_progress)) as progress:
        done = 0

        def note(entry: Entry) -> None:
            nonlocal done
            done += entry.status != "skipped"
            if entry.error is not None or args.verbose:
                progress.clear()
            run.note(entry)
            progress.advance(done, tally.megapixels)

        do_jobs(run, work.jobs, worker, threads, note)


def _summarize(args: argparse.Namespace, work: Plan, tally: Tally, seconds: float) -> None:
    tried = tally.written + tally.skipped + len(tally.errors) - len(work.failures)
    untried = max(0, len(work.jobs) - tried) if args.watch is None else 0
    if tally.not_carried:
        which = "" if args.verbose else " (-v says to which)"
        complain(f"not carried over to some results: {', '.join(sorted(tally.not_carried))}{which}")
    if tally.wants_tifffile:
        complain('those of TIFF are kept after pip install "aeinfer[tiff]", with --on-exist overwrite')
    _say_unread(args, work)
    if args.json:
        summary: dict[str, Any] = {
            "written": tally.written,
            "skipped": tally.skipped,
            "failed": len(tally.errors),
            "untried": untried,
            "where": work.where and str(work.where),
            "seconds": round(seconds, 3),
            "megapixels": round(tally.megapixels, 6),
            "errors": tally.errors,
            "not_carried": sorted(tally.not_carried),
            "unread": [str(path) for path in work.unread],
        }
        say_json(summary)
    elif not args.quiet:
        rest = f", {untried} not tried" if untried else ""
        where = f": {work.where}" if work.jobs and work.where else ""
        pace = f" ({tally.written / seconds:.1f} images/s, {tally.megapixels / seconds:.1f} MPix/s)"
        counts = f"{tally.written} written, {tally.skipped} skipped, {len(tally.errors)} failed{rest}"
        say(f"{counts}{where}{pace if tally.written else ''}")
