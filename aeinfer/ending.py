"""What Python's end waits for: daemon threads inside a library in C++, which it would abort, and the process with them.

From 3.14 on Python lets them hang instead.
"""

import atexit
import threading
import time

from aeinfer.forking import call_in_children

__all__ = ["unbroken"]

MOST_SECONDS = 10.0
PAUSE_SECONDS = 0.01


class _Unbroken:
    """A context that Python does not end inside of; of a daemon thread that comes later, it ends before."""

    def __init__(self) -> None:
        self._inside: set[int] = set()  # daemon threads; it needs no lock, which a fork might leave held
        self._ending = False
        call_in_children(self, _Unbroken._be_alone)
        atexit.register(self._end)

    def __enter__(self) -> None:
        if threading.current_thread().daemon:  # others are waited for by Python
            self._inside.add(threading.get_ident())
            if self._ending:
                self._inside.discard(threading.get_ident())
                threading.Event().wait()

    def __exit__(self, *_exception: object) -> None:
        self._inside.discard(threading.get_ident())

    def _end(self) -> None:
        self._ending = True
        until = time.monotonic() + MOST_SECONDS
        while self._inside and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)

    def _be_alone(self) -> None:
        """Forget the threads that stayed with the parent of a fork."""
        self._inside.clear()


unbroken = _Unbroken()
