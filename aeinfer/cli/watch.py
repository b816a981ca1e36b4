"""Keeps a job running: looks at its inputs again and again, and does each new file once it has stopped growing."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from aeinfer.atomic import clear_parts
from aeinfer.cli.console import complain
from aeinfer.cli.job import Run, Worker, do_job, skip_job
from aeinfer.errors import InputError
from aeinfer.folder import Job, Plan

__all__ = ["check_watch", "watch"]

Facts = tuple[int, int]


def check_watch(args: argparse.Namespace) -> None:
    """Refuse options whose meaning would change while files come.

    Raises
    ------
    InputError
        There are such options.
    """
    counted = args.name is not None and "{index" in args.name
    wrong = {
        "--manifest": args.manifest is not None,
        "--shard": args.shard is not None,
        "--dry-run": args.dry_run,
        "--on-exist error": args.on_exist == "error",
        "{index} in --name": counted,
    }
    if any(wrong.values()):
        named = ", ".join(option for option, given in wrong.items() if given)
        raise InputError(f"--watch does not go with {named}; leave one of them out")


def watch(run: Run, planner: Callable[[], Plan], worker: Worker) -> None:
    """Do the files that are there and those that come, until a signal ends it, or a failed file with --fail-fast.

    A file is done when its size and time are as they were one look before. It is done again only if it changes and
    the plan does not skip it. What is wrong with an input is said once.

    Parameters
    ----------
    planner : callable
        Gives the plan of what is there now; called every `run.args.watch` seconds.
    """
    seen: dict[Path, Facts] = {}
    done: dict[Path, Facts] = {}
    said = {failure["error"] for failure in run.tally.errors}  # of the inputs, before the watch began
    cleared: set[Path] = set()
    while True:
        jobs = _look(run, planner, said)
        if jobs is not None:
            facts = {job.source: _facts(job.source) for job in jobs}
            for folder in {job.target.parent for job in jobs} - cleared:
                cleared.add(folder)
                clear_parts(folder)
            for job in jobs:
                now = facts[job.source]
                if not _is_due(job, now, seen, done):
                    continue
                done[job.source] = now
                run.note(skip_job(job) if job.action == "skip" else do_job(run, job, worker))
                run.stop.release()
                if run.args.fail_fast and run.tally.errors:
                    return
            seen = facts
            # forgotten, unless it is the folder that is away for a while
            done = {source: then for source, then in done.items() if source in facts or not source.parent.exists()}
        time.sleep(run.args.watch)


def _look(run: Run, planner: Callable[[], Plan], said: set[str]) -> tuple[Job, ...] | None:
    """Plan anew; a collision or a folder that is gone is said and may pass."""
    try:
        work = planner()
    except InputError as error:
        if str(error) not in said:
            said.add(str(error))
            complain(str(error))
        return None
    for name, reason in work.failures:
        if f"{name}: {reason}" not in said:
            said.add(f"{name}: {reason}")
            run.fail_input(name, reason)
    return work.jobs


def _facts(path: Path) -> Facts:
    """Size and time of a file, (0, 0) of one that is gone or cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _is_due(job: Job, now: Facts, seen: dict[Path, Facts], done: dict[Path, Facts]) -> bool:
    if job.action == "skip":
        return job.source not in done
    return now[0] > 0 and seen.get(job.source) == now and done.get(job.source) != now
