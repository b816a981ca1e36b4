"""What must be made anew in the child of a fork, where no thread but the one that forked goes on; knows not what it is.

A lock that another thread held stays locked there, and a pool's threads are gone.
"""

import ctypes
import os
import weakref
from typing import Protocol

__all__ = ["Forked", "call_in_children", "keep_forever"]


class Forked(Protocol):
    """What has something to do in the child of a fork."""

    def after_fork(self) -> None:
        """Make anew, or have made later, what did not come along; called in the child before anything else."""


_owners: "weakref.WeakSet[Forked]" = weakref.WeakSet()


def call_in_children(owner: Forked) -> None:
    """Call `owner.after_fork` in each child that is forked while `owner` lives."""
    _owners.add(owner)


def keep_forever(thing: object) -> None:
    """Never free an object, not even when Python ends: what would wait for threads that the child does not have."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _tell_owners() -> None:
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_tell_owners)
