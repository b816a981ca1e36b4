"""The files of a job one behind the other: while one is changed, the next are read and those before it are written.

The network runs in the calling thread, on all threads of its own. Decoders and encoders, which let other threads run
meanwhile, have a crew. Small files are changed by the crew too, several side by side, each on one thread: a network has
little to share out in a small picture.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial

from aeinfer.cli.crew import Crew
from aeinfer.cli.job import Change, File, Run, Worker
from aeinfer.folder import Job
from aeinfer.report import Entry

__all__ = ["do_jobs"]

MOST_THREADS = 8
MOST_BYTES = 1 << 26
"""Of the pixels read ahead, and again of those being written, where that is more than one file: 22 MPix of 8 bits."""

BESIDE_BYTES = 3 << 20
"""Of the pixels that are changed side by side: 1 MPix of 8 bits takes no more memory than one large tile."""


def do_jobs(run: Run, jobs: Iterable[Job], worker: Worker, threads: int, note: Callable[[Entry], None]) -> None:
    """Do files and give what is to be said of each to `note`, in their order; what would fail every file is raised.

    Where a step of a file fails it is tried again with no other file beside it, so that none fails for memory or
    descriptors that others had. A signal drops the file in hand and those read ahead, and waits for those whose writing
    has begun; a second one waits for nothing. With --fail-fast a file that failed ends it likewise.

    Parameters
    ----------
    threads : int
        That read and write, at most 8, and change small files. As many files are read ahead at most, and as many are
        being written; of large ones fewer, in the end one and one.
    """
    line = _Line(run, jobs, worker, min(threads, MOST_THREADS), note)
    run.stop.hold()  # signals come through where `_open` lets them
    try:
        line.do_all()
    finally:
        line.close()
    run.stop.release()


class _Line:
    """Jobs that wait, files ahead of those in hand, these, and files behind them, each with the call it is in."""

    def __init__(self, run: Run, jobs: Iterable[Job], worker: Worker, most: int, note: Callable[[Entry], None]) -> None:
        self.run, self.worker, self.most, self.note = run, worker, most, note
        self.waiting = deque(jobs)
        self.ahead: deque[tuple[File, Future[None]]] = deque()
        self.hand: deque[tuple[File, Future[None]]] = deque()
        self.behind: deque[tuple[File, Future[None]]] = deque()
        self.narrow: Change | None = None
        self.crew = Crew(most)
        self.several = len(self.waiting) > 1
        self.usual = MOST_BYTES  # a file whose size is not known yet is taken to be as large as the one before

    def do_all(self) -> None:
        while (self.waiting or self.ahead or self.hand) and not self._failed():
            self._read_ahead()
            self._take_in_hand()
            file, changing = self.hand[0]
            self._wait(changing)
            changing.result()
            if self._alone(file):
                self._open(file.again)
            self.hand.popleft()
            while self.behind and (self.behind[0][1].done() or not self._fits(self.behind, file.bytes)):
                self._note_first()
            self.behind.append((file, self._submit(file, file.write)))
            del file  # its pixels
        while self.behind:
            self._note_first()

    def close(self) -> None:
        """Wait for what has begun, and note what of it was written; where all went well there is nothing left."""
        self.crew.close()
        while self.behind and not self.behind[0][1].cancelled():
            file, writing = self.behind.popleft()
            writing.result()
            if file.may_try_again:
                file.again()
            self.note(file.finish())

    def _failed(self) -> bool:
        args, errors = self.run.args, self.run.tally.errors
        return args.fail_fast and bool(errors or any(file.error is not None for file, _ in self.behind))

    def _read_ahead(self) -> None:
        while self.waiting and self._fits(self.ahead, self.usual):
            file = File(self.run, self.waiting.popleft(), self.worker)
            self.ahead.append((file, self._submit(file, file.read)))

    def _take_in_hand(self) -> None:
        """Change the next file, or several that are small."""
        while self.ahead and (not self.hand or self._fits_beside()):
            file = self._next()
            self._read_ahead()
            if self.worker.narrow and self.several and self.most > 1 and 2 * file.bytes <= BESIDE_BYTES:
                self.narrow = self.narrow or self.worker.narrow()
                self.hand.append((file, self._submit(file, partial(file.change, self.narrow))))
            else:
                self._open(file.change)
                self.hand.append((file, _nothing()))

    def _fits_beside(self) -> bool:
        """Tell whether the next file is read, and so small that it may be changed beside those in hand."""
        file, reading = self.ahead[0]
        there = sum(other.bytes for other, _ in self.hand)
        fits = len(self.hand) < self.most and there + file.bytes <= BESIDE_BYTES
        return self.narrow is not None and reading.done() and fits

    def _next(self) -> File:
        file, reading = self.ahead[0]
        self._wait(reading)
        reading.result()
        self.ahead.popleft()
        if self._alone(file):
            self._open(file.again)
        self.usual = file.bytes or self.usual
        return file

    def _note_first(self) -> None:
        file, writing = self.behind[0]
        self._wait(writing)
        writing.result()
        if self._alone(file):
            file.again()
        self.behind.popleft()
        self.note(file.finish())

    def _fits(self, files: deque[tuple[File, Future[None]]], more: int) -> bool:
        there = sum(file.bytes or self.usual for file, _ in files)
        return not files or (len(files) < self.most and there + more <= MOST_BYTES)

    def _submit(self, file: File, step: Callable[[], None]) -> Future[None]:
        return self.crew.submit(step) if file.is_to_do else _nothing()

    def _open(self, call: Callable[[], None]) -> None:
        """Make a call that a signal may interrupt."""
        self.run.stop.release()
        try:
            call()
        finally:
            self.run.stop.hold()

    def _wait(self, *calls: Future[None]) -> None:
        self._open(lambda: self.crew.wait(calls))

    def _alone(self, file: File) -> bool:
        """Tell whether a step that failed is worth another try, which then has no other file beside it in memory."""
        if not self.several or not file.may_try_again:
            return False
        self._wait(*(call for _, call in (*self.behind, *self.hand)))
        self._wait(*(reading for _, reading in self.ahead if not reading.cancel()))
        self.waiting.extendleft(other.job for other, _ in reversed(self.ahead))
        self.ahead.clear()
        return True


def _nothing() -> Future[None]:
    """The call of a file that needs none: it is done."""
    nothing: Future[None] = Future()
    nothing.set_result(None)
    return nothing
