"""Frames in order: a reader and a worker thread, bounded lanes between them, and the counters; it knows no network."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from aeinfer.errors import InputError

__all__ = ["Stats", "process"]

Frame = TypeVar("Frame")
Item = TypeVar("Item")
READ_AHEAD = 2  # frames that wait for the network: more would only add latency
READER, WORKER = "aeinfer-reader", "aeinfer-worker"
LEAVE_SECONDS = 1.0  # a thread inside a slow source, or a slow network, is waited for no longer
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

    def put(self, item: Item) -> bool:
        """Wait for room; False where nobody takes items any more."""
        with self.changed:
            self.changed.wait_for(lambda: self._left or len(self._items) < self._size)
            return self._append(item)

    def push(self, item: Item) -> tuple[bool, int]:
        """Make room instead: the oldest items go, and how many did is told."""
        with self.changed:
            late = max(0, len(self._items) - self._size + 1)
            for _ in range(late):
                self._items.popleft()
            return self._append(item), late

    def _append(self, item: Item) -> bool:
        if not self._left:
            self._items.append(item)
            self.changed.notify_all()
        return not self._left

    def take(self, most: int = 1) -> list[Item]:
        """Wait for an item and return it with those behind it; nothing at the end, or where the taker has left."""
        with self.changed:
            self.changed.wait_for(lambda: self._ended or self._left or self._items)
            taken = [] if self._left else [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self.changed.notify_all()
            return taken

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
    policy : str
        "all" delivers every frame, and makes the source wait; "latest" never makes it wait, drops what is late and
        counts it.
    batch : int
        Frames that are worked on together where so many wait; none is waited for.
    max_latency_ms : float, optional
        With "latest", frames that have waited longer than this when their turn comes are dropped too.

    Raises
    ------
    InputError
        Another policy, a bound on latency where every frame is to be delivered, or one that is impossible.
    """
    if policy not in ("all", "latest"):
        raise InputError(f"policy is 'all' or 'latest', got {policy!r}")
    if batch < 1:
        raise InputError(f"batch is at least 1, got {batch}")
    if max_latency_ms is not None and policy == "all":
        raise InputError("max_latency_ms drops frames, which policy 'all' does not: ask for policy='latest'")
    if max_latency_ms is not None and not max_latency_ms > 0:
        raise InputError(f"max_latency_ms is a number above 0, got {max_latency_ms}")
    return _process(frames, work, stats, policy == "latest", batch, max_latency_ms)


def _process(
    frames: Iterable[Frame],
    work: Callable[[list[Frame]], list[Frame]],
    stats: Stats,
    latest: bool,
    batch: int,
    max_latency_ms: float | None,
) -> Generator[Frame, None, None]:
    waiting: _Lane[_Timed[Frame]] = _Lane(batch if latest else max(READ_AHEAD, batch))
    done: _Lane[_Timed[Frame]] = _Lane(1)
    threads = [
        threading.Thread(target=_read, args=(frames, waiting, stats, latest), name=READER, daemon=True),
        threading.Thread(
            target=_work, args=(waiting, done, work, stats, batch, max_latency_ms), name=WORKER, daemon=True
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        while items := done.take():
            stats.deliver(items[0].read_at)
            yield items[0].frame
        if done.error is not None:
            raise done.error
    finally:
        waiting.leave()
        done.leave()
        for thread in threads:
            thread.join(LEAVE_SECONDS)  # the caller may free the source next, a camera for example


def _read(frames: Iterable[Frame], waiting: _Lane[_Timed[Frame]], stats: Stats, latest: bool) -> None:
    error = None
    try:
        for frame in frames:
            stats.frames_in += 1
            item = _Timed(frame, time.perf_counter())
            if latest:
                wanted, late = waiting.push(item)
                _drop(stats, waiting, late)
            else:
                wanted = waiting.put(item)
            if not wanted:
                return
    except BaseException as raised:  # noqa: BLE001 - whatever the source raises belongs to the caller, in his thread
        error = raised
    waiting.end(error)


def _work(
    waiting: _Lane[_Timed[Frame]],
    done: _Lane[_Timed[Frame]],
    work: Callable[[list[Frame]], list[Frame]],
    stats: Stats,
    batch: int,
    max_latency_ms: float | None,
) -> None:
    oldest = float("-inf")
    try:
        while items := waiting.take(batch):
            if max_latency_ms is not None:
                oldest = time.perf_counter() - max_latency_ms / 1e3
            fresh = [item for item in items if item.read_at >= oldest]
            _drop(stats, waiting, len(items) - len(fresh))
            results = work([item.frame for item in fresh]) if fresh else []
            for item, result in zip(fresh, results, strict=True):
                if not done.put(_Timed(result, item.read_at)):
                    return
        done.end(waiting.error)
    except BaseException as error:  # noqa: BLE001 - as above
        waiting.leave()
        done.end(error)


def _drop(stats: Stats, lane: _Lane[Item], count: int) -> None:
    """Count dropped frames, which two threads do."""
    with lane.changed:
        stats.dropped += count
