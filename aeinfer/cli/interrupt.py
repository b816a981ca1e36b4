"""Ends a job on SIGINT (Ctrl-C), SIGTERM or SIGHUP: at once, but for a result being written, which is finished.

A signal that is ignored stays so: those of nohup, and Ctrl-C for a script's jobs in the background.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from aeinfer.cli.console import ExitCode, complain

__all__ = ["Stop", "until_stopped"]

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Windows has no SIGHUP, which a terminal sends that is closed."""


class Stop:
    """Raises KeyboardInterrupt on one of `SIGNALS`, later where one comes between `hold` and `release`.

    A second signal does not wait. Outside the main thread, where signals cannot be caught, it does nothing.

    Attributes
    ----------
    code : int or None
        The exit code that the signal that came asks for, 128 and its number.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _: FrameType | None) -> None:
        first, self.code = self.code is None, 128 + number
        if not (self._held and first):
            raise KeyboardInterrupt

    def hold(self) -> None:
        """Let a signal wait from here on."""
        self._held = True

    def release(self) -> None:
        """Raise KeyboardInterrupt if a signal waits, and let the next one through."""
        self._held = False
        if self.code is not None:
            raise KeyboardInterrupt


def until_stopped(work: Callable[[Stop], int]) -> int:
    """Return the exit code of a command's work, or that of the signal that ended it."""
    with Stop() as stop:
        try:
            return work(stop)
        except KeyboardInterrupt:
            complain("interrupted")
            return stop.code or ExitCode.INTERRUPTED
