"""Files read ahead and written behind: in order, few at a time, each with its own failure, and nothing left over."""

import argparse
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aeinfer import cli, image
from aeinfer.cli import files, job, overlap
from aeinfer.cli.crew import Crew
from aeinfer.cli.interrupt import SIGNALS, Stop
from aeinfer.cli.job import Run, Worker, do_job
from aeinfer.errors import ImageReadError, ImageWriteError, ModelError
from aeinfer.folder import Job, plan
from aeinfer.image import write_image
from aeinfer.picture import Pixels
from aeinfer.report import Entry, Report

pytest.importorskip("cv2")
COUNT = 12
Change = Callable[[Pixels, Job], Pixels]


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("aeinfer") and thread.is_alive()]


def invert(pixels: Pixels, _: Job) -> Pixels:
    return 255 - pixels


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with in/00.png to in/11.png of many sizes; no thread may be left at the end."""
    monkeypatch.chdir(tmp_path)
    for number in range(COUNT):
        shape = (10 + 37 * number % 60, 90, 3)
        write_image(f"in/{number:02}.png", np.random.default_rng(number).integers(0, 255, shape, dtype=np.uint8))
    yield tmp_path
    left = our_threads()
    for thread in left:
        thread.join(20)  # or it would go on writing, into the folder that the next test is in
    assert left == []


def do(
    change: Change = invert, threads: int = 2, out: str = "out", narrow: Change | None = None, **options: Any
) -> list[Entry]:
    """Do the folder and return what was noted."""
    given = {"max_pixels": None, "metadata": "keep", "quality": None, "fail_fast": False, "verbose": False} | options
    entries = []
    with Stop() as stop, Report(None) as report:
        run = Run(argparse.Namespace(**given), stop, report)

        def note(entry: Entry) -> None:
            run.note(entry)
            entries.append(entry)

        overlap.do_jobs(run, plan(["in"], out).jobs, Worker(change, narrow=narrow and (lambda: narrow)), threads, note)
    return entries


def names(entries: list[Entry], status: str = "written") -> list[str]:
    return [Path(entry.source).stem for entry in entries if entry.status == status]


def contents(place: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(place).iterdir()}


def intercept(monkeypatch: pytest.MonkeyPatch, step: str, before: Callable[[str], None]) -> None:
    """Have `before` called with the file's name at the beginning of a step, "read" or "write"."""
    original = getattr(job, f"{step}_pages")

    def intercepted(path: Path, *rest: Any, **options: Any) -> Any:
        before(path.stem)
        return original(path, *rest, **options)

    monkeypatch.setattr(job, f"{step}_pages", intercepted)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_bytes_as_one_by_one_and_in_order(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stop() as stop, Report(None) as report:
        args = argparse.Namespace(max_pixels=None, metadata="keep", quality=None)
        for each in plan(["in"], "alone").jobs:
            do_job(Run(args, stop, report), each, Worker(invert))
            stop.release()
    rng = np.random.default_rng(threads)
    delays = {f"{number:02}": rng.uniform(0, 0.01) for number in range(COUNT)}
    for step in ("read", "write"):
        intercept(monkeypatch, step, lambda name: time.sleep(delays[name]))
    Path("out").mkdir()
    Path("out/05.png").write_bytes(b"there before")
    entries = do(threads=threads)
    assert [Path(entry.source).stem for entry in entries] == sorted(delays)
    assert names(entries, "skipped") == ["05"]
    assert contents("out") == contents("alone") | {"05.png": b"there before"}


@pytest.mark.parametrize(("most_bytes", "ahead"), [(overlap.MOST_BYTES, 2), (1, 1)])
def test_few_files_are_in_hand_and_one_and_one_of_large_ones(
    most_bytes: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "MOST_BYTES", most_bytes)
    begun: list[str] = []
    written: list[str] = []
    most = [0, 0]
    lock = threading.Condition()

    def read(name: str) -> None:
        with lock:
            begun.append(name)
            lock.notify_all()

    def change(pixels: Pixels, each: Job) -> Pixels:
        number = int(each.source.stem)
        with lock:  # meanwhile so many are read, and none more
            assert lock.wait_for(lambda: len(begun) >= min(number + 1 + ahead, COUNT), timeout=10)
            most[0] = max(most[0], len(begun) - number - 1)
        return invert(pixels, each)

    def write(name: str) -> None:
        with lock:
            most[1] = max(most[1], len(begun) - len(written))
        time.sleep(0.01)  # slower than all else
        with lock:
            written.append(name)

    intercept(monkeypatch, "read", read)
    intercept(monkeypatch, "write", write)
    assert len(names(do(change))) == COUNT
    assert most[0] == ahead
    assert most[1] <= ahead + 1 + ahead
    assert len(begun) == COUNT


def test_small_files_are_changed_side_by_side_and_large_ones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [image.read_image(path).pixels.nbytes for path in sorted(Path("in").iterdir())]
    small = sorted(sizes)[COUNT // 2]
    monkeypatch.setattr(overlap, "BESIDE_BYTES", 2 * small)
    lock = threading.Condition()
    there: dict[str, int] = {}
    most, alone = [0], []

    def wide(pixels: Pixels, each: Job) -> Pixels:
        alone.append(int(each.source.stem))
        with lock:
            assert pixels.nbytes > small
            assert threading.current_thread() is threading.main_thread()
        return invert(pixels, each)

    def narrow(pixels: Pixels, each: Job) -> Pixels:
        with lock:
            assert pixels.nbytes <= small
            there[each.source.stem] = pixels.nbytes
            most[0] = max(most[0], len(there))
            assert sum(there.values()) <= 2 * small
        time.sleep(0.02)
        with lock:
            del there[each.source.stem]
        return invert(pixels, each)

    entries = do(wide, threads=4, narrow=narrow)
    assert names(entries) == [f"{number:02}" for number in range(COUNT)]
    assert alone == [number for number, size in enumerate(sizes) if size > small]
    assert most[0] >= 2
    do(out="alone")
    assert contents("out") == contents("alone")


def test_what_fails_beside_others_is_tried_again_on_all_threads() -> None:
    again: list[str] = []

    def wide(pixels: Pixels, each: Job) -> Pixels:
        again.append(each.source.stem)
        if each.source.stem == "08":
            raise MemoryError
        return invert(pixels, each)

    def narrow(pixels: Pixels, each: Job) -> Pixels:
        if each.source.stem in ("00", "05", "08"):
            raise MemoryError
        return invert(pixels, each)

    entries = do(wide, threads=3, narrow=narrow)
    assert names(entries, "failed") == ["08"]
    assert again == ["00", "05", "08"]
    assert len(names(entries)) == COUNT - 1


def test_a_failure_is_told_of_its_own_file_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> None:
        if name in ("00", "03", "04"):
            raise ImageReadError(f"in/{name}.png: cannot be read")

    def write(name: str) -> None:
        if name in ("06", "11"):
            raise ImageWriteError(f"out/{name}.png: cannot be written")

    def change(pixels: Pixels, each: Job) -> Pixels:
        if each.source.stem == "08":
            raise MemoryError
        return invert(pixels, each)

    intercept(monkeypatch, "read", read)
    intercept(monkeypatch, "write", write)
    entries = do(change)
    assert [Path(entry.source).stem for entry in entries] == [f"{number:02}" for number in range(COUNT)]
    assert names(entries, "failed") == ["00", "03", "04", "06", "08", "11"]
    assert all(Path(entry.source).name in str(entry.error) for entry in entries if entry.status == "failed")
    assert sorted(contents("out")) == [f"{name}.png" for name in names(entries)]


@pytest.mark.parametrize("step", ["read", "write"])
def test_fail_fast_stops_at_the_file_that_failed(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        if name == "02":
            raise ImageReadError("in/02.png: bad")

    intercept(monkeypatch, step, fail)
    entries = do(fail_fast=True)
    assert names(entries, "failed") == ["02"]
    assert names(entries)[:2] == ["00", "01"]
    assert names(entries)[2:] == ([] if step == "read" else ["03", "04"][: len(entries) - 3])
    assert sorted(contents("out")) == [f"{name}.png" for name in names(entries)]


@pytest.mark.parametrize("step", ["read", "write"])
def test_memory_that_others_have_fails_no_file(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(name: str) -> None:
        if name in ("00", "04", "11") and threading.current_thread() is not threading.main_thread():
            raise MemoryError

    intercept(monkeypatch, step, starve)
    assert names(do()) == [f"{number:02}" for number in range(COUNT)]


def test_a_change_without_memory_is_tried_again_with_no_other_picture_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[weakref.ref[Pixels]] = []
    there: list[int] = []
    original = image.read_pages

    def read_pages(*args: Any, **options: Any) -> Any:
        for page in original(*args, **options):
            pictures.append(weakref.ref(page.pixels))
            yield page

    def change(pixels: Pixels, each: Job) -> Pixels:
        if each.source.stem == "05":
            there.append(sum(picture() is not None for picture in pictures))
            if len(there) == 1:
                raise MemoryError
        return invert(pixels, each)

    monkeypatch.setattr(job, "read_pages", read_pages)
    assert names(do(change)) == [f"{number:02}" for number in range(COUNT)]
    assert there[1] == 1


@pytest.mark.parametrize("beside", [False, True])
def test_what_would_fail_every_file_ends_the_job(beside: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def change(pixels: Pixels, each: Job) -> Pixels:
        if each.source.stem == "05":
            raise ModelError("broken")
        return invert(pixels, each)

    with pytest.raises(ModelError, match="broken"):
        do(narrow=change) if beside else do(change)
    done = sorted(contents("out"))
    assert done == [f"{number:02}.png" for number in range(len(done))]
    assert len(done) <= 5
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("step", ["read", "write"])
def test_a_signal_drops_what_is_in_hand_and_finishes_what_is_being_written(
    number: int,
    code: int,
    step: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken, last = threading.Event(), "05"
    take = Stop._take

    def noticed(*args: Any) -> None:
        taken.set()
        take(*args)

    def signalled(name: str) -> None:
        if name == last:
            os.kill(os.getpid(), number)
            assert taken.wait(10)

    def wait(name: str) -> None:
        if step == "write" and name == "06":  # so that no more is being written when the signal comes
            assert taken.wait(10)

    monkeypatch.setattr(Stop, "_take", noticed)
    monkeypatch.setattr(files, "thread_count", lambda: 2)
    intercept(monkeypatch, "read", wait)
    intercept(monkeypatch, step, signalled)
    before = signal.getsignal(number)
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "1", "--report", "r.jsonl"]) == code
    assert signal.getsignal(number) is before
    output = capsys.readouterr()
    assert output.err == "aeinfer: interrupted\n"
    kept = sorted(contents("out"))
    assert kept == [f"{number:02}.png" for number in range(len(kept))]
    assert len(kept) == 6 if step == "write" else len(kept) <= 5
    assert len(Path("r.jsonl").read_text().splitlines()) == len(kept)
    rest = COUNT - len(kept)
    assert output.out.startswith(f"{len(kept)} written, 0 skipped, 0 failed, {rest} not tried")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "1", "-q"]) == 0
    assert cli.main(["noise", "in", "-o", "whole", "--sigma", "1", "-q"]) == 0
    assert contents("out") == contents("whole")


def test_a_second_signal_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    closing, over, left = threading.Event(), threading.Event(), threading.Event()
    wait = Crew.close

    def close(crew: Crew) -> None:
        closing.set()
        wait(crew)

    def stuck(name: str) -> None:
        if name == "00":
            os.kill(os.getpid(), signal.SIGINT)
            assert closing.wait(10)
            os.kill(os.getpid(), signal.SIGINT)
            assert over.wait(10)
            left.set()

    monkeypatch.setattr(Crew, "close", close)
    intercept(monkeypatch, "write", stuck)
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "1"]) == 130
    assert not left.is_set()
    assert "interrupted" in capsys.readouterr().err
    over.set()
    assert left.wait(10)
    for thread in our_threads():
        thread.join(10)


def test_a_crew_without_threads_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("aeinfer.cli.crew.threading", SimpleNamespace(Thread=lambda **_: SimpleNamespace(start=refuse)))
    calls: list[int] = []
    crew = Crew(2)
    assert crew.submit(lambda: calls.append(1)).done()
    assert calls == [1]
    crew.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    """By nohup, or by a script that puts the job into the background."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Stop() as stop:
            signal.raise_signal(number)
        assert stop.code is None
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)
