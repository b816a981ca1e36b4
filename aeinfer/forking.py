"""What a fork waits for, and what is made anew in its child, where no other thread goes on; knows not what it is.

A lock that another thread held stays locked there, and the threads of a pool are gone.
"""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Lock", "call_in_children", "hold_at_forks", "importing", "keep_forever"]

Owner = TypeVar("Owner")

importing = threading.RLock()
"""Held while a library is imported: a fork waits for the end, or Python would take it for half imported in the child
and wait for a thread that is not there."""

_locks: list[Any] = [importing]
_held: list[Any] = []

_calls: "weakref.WeakKeyDictionary[Any, Callable[[Any], None]]" = weakref.WeakKeyDictionary()


def hold_at_forks(lock: Any) -> None:
    """Have each fork wait for a lock of another library, which no thread may hold while it waits for `importing`."""
    _locks.append(lock)


def call_in_children(owner: Owner, call: Callable[[Owner], None]) -> None:
    """Call `call(owner)` in each child that is forked while `owner` lives, before anything else happens there."""
    _calls[owner] = call


class Lock:
    """A lock that is free in each forked child, whichever thread held it before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        call_in_children(self, Lock._unlock)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_exception: object) -> None:
        self._lock.release()

    def take(self) -> bool:
        """Acquire it if no thread has it, and return whether it did; `release` gives it back."""
        return self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Let the next thread have it."""
        self._lock.release()

    def _unlock(self) -> None:
        self._lock = threading.Lock()


def keep_forever(thing: object) -> None:
    """Never free an object, not even when Python ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _call_all() -> None:
    for owner, call in list(_calls.items()):
        call(owner)


def _hold_all() -> None:
    for lock in _locks:  # one more of them where the import that is waited for adds it
        lock.acquire()
        _held.append(lock)


def _release_all() -> None:
    for _ in range(len(_held)):  # behind the last one another thread's fork begins
        _held.pop().release()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_call_all)
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)
