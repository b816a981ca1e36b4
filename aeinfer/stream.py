"""Frames in order: a reader thread, a bounded queue, the latest-frame policy and the counters; it knows no network."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from aeinfer.errors import InputError

__all__ = ["Stats", "process"]

Frame = TypeVar("Frame")
QUEUED_FRAMES = 2  # one in hand and one behind it: more would only add latency
READER = "aeinfer-reader"
LEAVE_SECONDS = 1.0  # a reader inside a slow source is waited for no longer


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
        Of streams: read from the source, delivered, and left out because a newer one had come.
    latencies_ms : deque of float
        From reading to delivery, of the last 1000 frames.
    """

    images: int = 0
    pixels: int = 0
    seconds: float = 0.0
    frames_in: int = 0
    frames_out: int = 0
    dropped: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=1000))


@dataclass
class _End:
    error: BaseException | None = None


def process(
    frames: Iterable[Frame], work: Callable[[Frame], Frame], stats: Stats, policy: str = "all"
) -> Generator[Frame, None, None]:
    """Yield work(frame) in the order of the source, while a thread reads ahead.

    Parameters
    ----------
    frames : iterable
        The source; an error it raises is raised here, after the frames before it.
    work : callable
    stats : Stats
        Counted into.
    policy : str
        "all" delivers every frame, and makes the source wait; "latest" never makes it wait, drops what is late and
        counts it.

    Raises
    ------
    InputError
        Another policy.
    """
    if policy not in ("all", "latest"):
        raise InputError(f"policy is 'all' or 'latest', got {policy!r}")
    return _process(frames, work, stats, policy == "latest")


def _process(
    frames: Iterable[Frame], work: Callable[[Frame], Frame], stats: Stats, latest: bool
) -> Generator[Frame, None, None]:
    waiting: queue.Queue[tuple[Frame, float] | _End] = queue.Queue(1 if latest else QUEUED_FRAMES)
    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(frames, waiting, stats, latest, stop), name=READER, daemon=True)
    reader.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            frame, read_at = item
            result = work(frame)
            stats.frames_out += 1
            stats.latencies_ms.append((time.perf_counter() - read_at) * 1e3)
            yield result
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        reader.join(LEAVE_SECONDS)  # the caller may free the source next, a camera for example


def _read(
    frames: Iterable[Frame],
    waiting: "queue.Queue[tuple[Frame, float] | _End]",
    stats: Stats,
    latest: bool,
    stop: threading.Event,
) -> None:
    end = _End()
    try:
        for frame in frames:
            stats.frames_in += 1
            if latest:
                stats.dropped += _discard(waiting)
            if not _put(waiting, (frame, time.perf_counter()), stop):
                return
    except BaseException as error:  # noqa: BLE001 - whatever the source raises belongs to the caller, in his thread
        end = _End(error)
    _put(waiting, end, stop)


def _discard(waiting: "queue.Queue[tuple[Frame, float] | _End]") -> int:
    try:
        waiting.get_nowait()
    except queue.Empty:  # taken by the other side in the meantime
        return 0
    return 1


def _put(
    waiting: "queue.Queue[tuple[Frame, float] | _End]", item: "tuple[Frame, float] | _End", stop: threading.Event
) -> bool:
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
