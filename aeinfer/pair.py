"""Two batches side by side, each on half of the threads; what else a batch means is another room's.

Threads that share one batch wait for each other after each operator, and while its pixels are moved all but one wait.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import TypeVar

from aeinfer.forking import Lock
from aeinfer.session import Session

__all__ = ["Pair"]

Batch = TypeVar("Batch")


class Pair:
    """The sessions for two batches side by side, which are started once two are there.

    Parameters
    ----------
    start : callable
        Returns a session of so many threads.
    threads : int
        That there are for both. An odd number makes no pair: two of three threads are slower than all three.
    """

    def __init__(self, start: Callable[[int], Session], threads: int) -> None:
        self._start, self._threads = start, threads
        self._sessions: list[Session] = []
        self._taken = Lock()

    def run(
        self,
        batches: Iterator[Batch],
        work: Callable[[Session, Batch], None],
        whole: Session,
        fit: Callable[[Batch, Batch], bool],
    ) -> None:
        """Do `work` on all batches, two at a time where they fit; another on `whole`, the session of all threads.

        A thread that comes while another has the pair does its batches on `whole`. Of a pair that fails both have ended
        when the error is raised. Where no second thread can be started, all is done on `whole`.
        """
        if self._threads % 2 or not self._taken.take():
            for batch in batches:
                work(whole, batch)
            return
        try:
            with ThreadPoolExecutor(1, "aeinfer-pair") as second:  # its thread is started by the first pair
                while both := list(islice(batches, 2)):
                    if len(both) < 2 or not fit(*both):
                        for batch in both:
                            work(whole, batch)
                        continue
                    mine, other = self._both_sessions()
                    try:
                        beside = second.submit(work, other, both[1])
                    except RuntimeError:  # the system has no more of them, or Python is at its end
                        for batch in chain(both, batches):
                            work(whole, batch)
                        return
                    try:
                        work(mine, both[0])
                    finally:
                        wait([beside])
                    beside.result()
        finally:
            self._taken.release()

    def close(self) -> None:
        """Free the sessions."""
        self._sessions = []

    def _both_sessions(self) -> tuple[Session, Session]:
        count = 1 if self._threads == 2 else 2  # of one thread, which is the caller's own, two callers may share one
        sessions = self._sessions = self._sessions or [self._start(self._threads // 2) for _ in range(count)]
        return sessions[0], sessions[-1]
