"""Frames in order: a reader and a worker thread, bounded lanes between them, and the counters; it knows no network."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from aeinfer.errors import ImageReadError, InputError
from aeinfer.forking import call_in_children

__all__ = ["Stats", "process"]

Frame = TypeVar("Frame")
Item = TypeVar("Item")
READ_AHEAD = 2  # frames that wait for the network: more would only add latency
READER, WORKER = "aeinfer-reader", "aeinfer-worker"
LEAVE_SECONDS = 1.0  # a thread inside a slow source, or a slow network, is waited for no longer
PATIENCE = 0.1  # seconds: Python is deaf to a signal that comes just before a wait, on Windows to any within one
REMEMBERED = 1000  # frames that latency and fps are told of


@dataclass
class Stats:
    """Counters of one AEInfer; frames_in = frames_out + dropped once a stream has ended by itself.

    Attributes
    ----------
    images, pixels : int
        Denoised since loading, by whatever call.
    seconds : float
        Time inside those calls.
    frames_in, frames_out, dropped : int
        Of streams: read from the source, delivered, and left out because a newer one had come or they were too old.
    latencies_ms, delivered_at : deque of float
        Of the last 1000 frames: from reading to delivery, and when that was (`time.perf_counter`).
    """

    images: int = 0
    pixels: int = 0
    seconds: float = 0.0
    frames_in: int = 0
    frames_out: int = 0
    dropped: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    delivered_at: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def latency_ms(self, percent: float) -> float:
        """Return the latency that `percent` of the last 1000 frames stayed under (50, 95, 99 ...), NaN before any."""
        return float(np.percentile(list(self.latencies_ms), percent)) if self.latencies_ms else float("nan")

    @property
    def fps(self) -> float:
        """Frames delivered a second, over the last 1000; NaN before the second one."""
        times = list(self.delivered_at)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else float("nan")

    def deliver(self, read_at: float) -> None:
        """Count one frame that was read at that time and is delivered now."""
        now = time.perf_counter()
        self.frames_out += 1
        self.latencies_ms.append((now - read_at) * 1e3)
        self.delivered_at.append(now)


class _Timed(NamedTuple, Generic[Frame]):
    frame: Frame
    read_at: float


class _Lane(Generic[Item]):
    """Few items on their way from one thread to another, in order."""

    def __init__(self, size: int) -> None:
        self.changed = threading.Condition()
        self.error: BaseException | None = None
        self._items: deque[Item] = deque()
        self._size, self._ended, self._left = size, False, False

    def put(self, item: Item) -> int | None:
        """Wait for room and return 0, the items dropped for it; None where nobody takes any more."""
        with self.changed:
            self.changed.wait_for(lambda: self._left or len(self._items) < self._size)
            return self.push(item)

    def push(self, item: Item) -> int | None:
        """Make room instead, and return how many of the oldest items went; None where nobody takes any more."""
        with self.changed:
            if self._left:
                return None
            late = max(0, len(self._items) - self._size + 1)
            for _ in range(late):
                self._items.popleft()
            self._items.append(item)
            self.changed.notify_all()
            return late

    def take(self, most: int = 1, timeout: float | None = None) -> list[Item]:
        """Wait for an item and return it with those behind it; nothing at the end, or where the taker has left."""
        with self.changed:
            if not self._wait(lambda: bool(self._ended or self._left or self._items), timeout):
                raise ImageReadError(f"the source has stalled: no frame came for {timeout:g} s")
            taken = [] if self._left else [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self.changed.notify_all()
            return taken

    def _wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait in short turns, and tell whether it is ready: the taker may be the thread that gets signals."""
        until = math.inf if timeout is None else time.perf_counter() + timeout
        while not self.changed.wait_for(ready, min(PATIENCE, until - time.perf_counter())):
            if time.perf_counter() >= until:
                return False
        return True

    def end(self, error: BaseException | None = None) -> None:
        """Tell the taker that no item follows, and why."""
        with self.changed:
            self._ended, self.error = True, error
            self.changed.notify_all()

    def leave(self) -> None:
        """Tell the giver that no item is taken any more."""
        with self.changed:
            self._left = True
            self.changed.notify_all()


def process(
    frames: Iterable[Frame],
    work: Callable[[list[Frame]], list[Frame]],
    stats: Stats,
    policy: str = "all",
    *,
    batch: int = 1,
    max_latency_ms: float | None = None,
    timeout: float | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames that `work` makes of the source's, in their order; reading, work and delivery overlap.

    Parameters
    ----------
    frames : iterable
        The source, read in a thread; an error it raises is raised here, after the frames before it.
    work : callable
        Makes as many frames of up to `batch` frames, in another thread; its errors are raised here as well.
    stats : Stats
        Counted into.
    policy, batch, max_latency_ms, timeout
        As in `AEInfer.stream`.

    Raises
    ------
    InputError
        Another policy, a bound on latency where every frame is to be delivered, or one that is impossible.
    ImageReadError
        The source has stalled.
    """
    if policy not in ("all", "latest"):
        raise InputError(f"policy is 'all' or 'latest', got {policy!r}")
    if not (isinstance(batch, Integral) and batch >= 1):
        raise InputError(f"batch is a whole number of at least 1, got {batch!r}")
    if max_latency_ms is not None and policy == "all":
        raise InputError("max_latency_ms drops frames, which policy 'all' does not: ask for policy='latest'")
    if max_latency_ms is not None and not (isinstance(max_latency_ms, Real) and max_latency_ms > 0):
        raise InputError(f"max_latency_ms is a number above 0, got {max_latency_ms!r}")
    if timeout is not None and not (isinstance(timeout, Real) and 0 < timeout <= threading.TIMEOUT_MAX):
        raise InputError(f"timeout is a number of seconds above 0, up to {threading.TIMEOUT_MAX:g}, got {timeout!r}")
    return _Flow(frames, work, stats, policy == "latest", batch, max_latency_ms, timeout).run()


@dataclass(eq=False)  # each is itself, and can be a key
class _Flow(Generic[Frame]):
    """One stream: a thread reads, another works, and whoever iterates over `run` takes."""

    frames: Iterable[Frame]
    make: Callable[[list[Frame]], list[Frame]]
    stats: Stats
    latest: bool
    batch: int
    max_latency_ms: float | None
    timeout: float | None

    def __post_init__(self) -> None:
        self._waiting: _Lane[_Timed[Frame]] = _Lane(self.batch if self.latest else max(READ_AHEAD, self.batch))
        self._done: _Lane[_Timed[Frame]] = _Lane(1)

    def run(self) -> Generator[Frame, None, None]:
        call_in_children(self, _Flow._stay_with_parent)
        threads = [
            threading.Thread(target=self._read, name=READER, daemon=True),
            threading.Thread(target=self._work, name=WORKER, daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while items := self._done.take():
                self.stats.deliver(items[0].read_at)
                yield items[0].frame
            if self._done.error is not None:
                raise self._done.error
        finally:
            self._waiting.leave()
            self._done.leave()
            for thread in threads:
                thread.join(LEAVE_SECONDS)  # the caller may free the source next, a camera for example

    def _stay_with_parent(self) -> None:
        """End in the child of a fork, which has neither the threads nor, perhaps, a lane that is not locked."""
        self._waiting, self._done = _Lane(1), _Lane(1)
        self._done.end(InputError("the threads of this stream stayed in the parent process: start one in the child"))

    def _read(self) -> None:
        error = None
        give = self._waiting.push if self.latest else self._waiting.put
        try:
            for frame in self.frames:
                self.stats.frames_in += 1
                late = give(_Timed(frame, time.perf_counter()))
                if late is None:
                    return
                self._drop(late)
        except BaseException as raised:  # noqa: BLE001 - whatever the source raises belongs to the caller
            error = raised
        self._waiting.end(error)

    def _work(self) -> None:
        try:
            while items := self._waiting.take(self.batch, self.timeout):
                fresh = self._fresh(items)
                results = self.make([item.frame for item in fresh]) if fresh else []
                for item, result in zip(fresh, results, strict=True):
                    if self._done.put(_Timed(result, item.read_at)) is None:
                        return
            self._done.end(self._waiting.error)
        except BaseException as error:  # noqa: BLE001 - as above
            self._waiting.leave()
            self._done.end(error)

    def _fresh(self, items: list[_Timed[Frame]]) -> list[_Timed[Frame]]:
        if self.max_latency_ms is None:
            return items
        oldest = time.perf_counter() - self.max_latency_ms / 1e3
        fresh = [item for item in items if item.read_at >= oldest]
        self._drop(len(items) - len(fresh))
        return fresh

    def _drop(self, count: int) -> None:
        with self._waiting.changed:  # both threads count
            self.stats.dropped += count
