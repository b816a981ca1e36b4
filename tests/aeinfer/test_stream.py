"""Streams: order, policies, counters, errors, and no thread left behind."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aeinfer import AEInfer
from aeinfer import stream as stream_room
from aeinfer.errors import InputError
from aeinfer.stream import READER, Stats, process


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def stats() -> Stats:
    return Stats()


@pytest.mark.parametrize("count", [0, 1, 50])
def test_all_delivers_every_frame_in_order(stats: Stats, count: int) -> None:
    assert list(process(range(count), lambda frame: 2 * frame, stats)) == [2 * frame for frame in range(count)]
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (count, count, 0)
    assert len(stats.latencies_ms) == count
    assert all(latency >= 0 for latency in stats.latencies_ms)


def test_all_reads_only_a_little_ahead(stats: Stats) -> None:
    frames = process(itertools.count(), lambda frame: frame, stats)
    assert [next(frames) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert stats.frames_in <= 3 + 3  # two in the queue and one in the reader's hand
    frames.close()


def test_latest_drops_what_is_late_and_counts_it(stats: Stats) -> None:
    working, read_all = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 0
        working.wait(5)
        yield from range(1, 10)
        read_all.set()

    def work(frame: int) -> int:
        working.set()
        read_all.wait(5)
        return frame

    assert list(process(source(), work, stats, "latest")) == [0, 9]
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (10, 2, 8)


def test_latest_loses_no_frame_in_its_counts(stats: Stats) -> None:
    frames = list(process(range(3000), lambda frame: frame, stats, "latest"))
    assert frames == sorted(set(frames))
    assert frames[-1] == 2999, "the newest frame is never dropped"
    assert stats.frames_in == 3000 == stats.frames_out + stats.dropped
    assert stats.frames_out == len(frames)


def test_an_error_of_the_source_comes_after_the_frames_before_it(stats: Stats) -> None:
    def source() -> Iterator[int]:
        yield from range(5)
        raise OSError("the cable is out")

    frames = process(source(), lambda frame: frame, stats)
    assert list(itertools.islice(frames, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="the cable is out") as caught:
        next(frames)
    assert any(entry.name == "source" for entry in caught.traceback), "where the source failed is to be seen"


def test_an_error_of_the_work_stops_the_reader(stats: Stats) -> None:
    def work(frame: int) -> int:
        if frame == 2:
            raise InputError("a frame of another kind")
        return frame

    frames = process(itertools.count(), work, stats)
    assert [next(frames), next(frames)] == [0, 1]
    with pytest.raises(InputError):
        next(frames)
    with pytest.raises(StopIteration):
        next(frames)


@pytest.mark.parametrize("policy", ["all", "latest"])
def test_a_closed_stream_has_left_its_source(stats: Stats, policy: str) -> None:
    frames = process(itertools.count(), lambda frame: frame, stats, policy)
    next(frames)
    reader = next(thread for thread in threading.enumerate() if thread.name == READER)
    frames.close()
    assert not reader.is_alive()  # at once: the caller may free a camera next


def test_closing_does_not_wait_for_a_source_that_hangs(stats: Stats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_room, "LEAVE_SECONDS", 0.05)
    release = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        release.wait(60)

    frames = process(source(), lambda frame: frame, stats)
    next(frames)
    reader = next(thread for thread in threading.enumerate() if thread.name == READER)
    frames.close()
    assert reader.is_alive(), "closed while the source still hung"
    release.set()
    reader.join(5)


def test_a_stream_that_was_never_read_starts_nothing(stats: Stats) -> None:
    process(iter([1]), lambda frame: frame, stats)
    assert stats.frames_in == 0


def test_an_unknown_policy_is_refused_at_the_call(stats: Stats) -> None:
    with pytest.raises(InputError, match="'all' or 'latest', got 'newest'"):
        process([], lambda frame: frame, stats, "newest")


def test_stream_equals_batch(tiny_model: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3), dtype=np.uint8))
    with AEInfer.load(tiny_model, threads=1) as ae:
        expected = ae.denoise_batch(frames, strength=0.7)
        for frame, clean in zip(ae.stream(iter(frames), strength=0.7), expected, strict=True):
            np.testing.assert_array_equal(frame, clean)
        assert (ae.stats.frames_in, ae.stats.frames_out, ae.stats.dropped) == (6, 6, 0)
        assert ae.stats.images == 12
        with pytest.raises(InputError, match="policy"):
            ae.stream(frames, "some")
        with pytest.raises(InputError, match="int64"):
            list(ae.stream([np.zeros((4, 4), np.int64)]))
