"""A few threads that take calls in their order; knows nothing of files.

Unlike `concurrent.futures`, which waits for its threads when Python ends, it can be left in the middle of a call: a
second signal does not wait.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["Crew"]

PATIENCE = 0.1
"""Seconds of each wait: Python is deaf to a signal that comes just before a wait, on Windows to any within one."""


class Crew:
    """Threads that are started as calls come, up to `count` of them.

    Examples
    --------
    >>> crew, done = Crew(2), []
    >>> crew.wait([crew.submit(lambda: done.append("a")), crew.submit(lambda: done.append("b"))])
    >>> crew.close()
    >>> sorted(done)
    ['a', 'b']
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads: list[threading.Thread] = []
        self._calls: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()

    def submit(self, call: Callable[[], None]) -> "Future[None]":
        """Return the future of a call; where no thread can be started at all, the call is made at once, here."""
        future: Future[None] = Future()
        self._calls.put((future, call))
        if len(self._threads) < self.count:
            thread = threading.Thread(target=self._work, name="aeinfer-files", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # of a process that may have no more threads, or no memory for one
                if not self._threads and (item := self._calls.get()):
                    self._make(*item)
            else:
                self._threads.append(thread)
        return future

    def close(self) -> None:
        """Cancel the calls that no thread has begun, wait for the others, and end the threads; for the last time."""
        try:
            with suppress(Empty):
                while (item := self._calls.get_nowait()) is not None:
                    item[0].cancel()
        finally:
            self._calls.put(None)  # each thread hands it to the next
        for thread in self._threads:
            while thread.is_alive():
                thread.join(PATIENCE)

    @staticmethod
    def wait(futures: "Iterable[Future[None]]") -> None:
        """Wait for the end of calls, open to signals."""
        missing = set(futures)
        while missing:
            missing = wait(missing, PATIENCE).not_done

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            self._make(*item)
            del item  # what the call holds, a picture for example
        self._calls.put(None)

    @staticmethod
    def _make(future: "Future[None]", call: Callable[[], None]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to whoever asks for the result
            future.set_exception(error)
        else:
            future.set_result(None)
