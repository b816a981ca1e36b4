"""Streams: order, policies, counters, errors, and no thread left behind."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aeinfer import AEInfer
from aeinfer import stream as stream_room
from aeinfer.errors import ImageReadError, InputError
from aeinfer.stream import READER, WORKER, Stats, process
from aeinfer.temporal import TemporalFilter


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def stats() -> Stats:
    return Stats()


def same(frames: list[int]) -> list[int]:
    return frames


@pytest.mark.parametrize("count", [0, 1, 50])
def test_all_delivers_every_frame_in_order(stats: Stats, count: int) -> None:
    assert list(process(range(count), lambda frames: [2 * frame for frame in frames], stats)) == [
        2 * frame for frame in range(count)
    ]
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (count, count, 0)
    assert len(stats.latencies_ms) == count
    assert all(latency >= 0 for latency in stats.latencies_ms)


def test_all_reads_only_a_little_ahead(stats: Stats) -> None:
    frames = process(itertools.count(), same, stats)
    assert [next(frames) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert stats.frames_in <= 3 + 5  # one delivered ahead, one worked on, two waiting, one in the reader's hand
    frames.close()


def test_whoever_takes_frames_hears_signals_meanwhile(stats: Stats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python hears none within a wait on Windows, so no wait is long."""
    waits: list[float | None] = []
    wait = threading.Condition.wait

    def noted(condition: threading.Condition, timeout: float | None = None) -> bool:
        if threading.current_thread() is threading.main_thread():
            waits.append(timeout)
        return wait(condition, timeout)

    def slow() -> Iterator[int]:
        time.sleep(0.25)
        yield 0

    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, "wait", noted)
        assert list(process(slow(), same, stats)) == [0]
    assert len(waits) >= 2
    assert all(timeout is not None and timeout <= 0.1 for timeout in waits[2:])  # the first two: of threads that start


def test_latest_drops_what_is_late_and_counts_it(stats: Stats) -> None:
    working, read_all = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 0
        working.wait(5)
        yield from range(1, 10)
        read_all.set()

    def work(frames: list[int]) -> list[int]:
        working.set()
        read_all.wait(5)
        return frames

    assert list(process(source(), work, stats, "latest")) == [0, 9]
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (10, 2, 8)


def test_latest_loses_no_frame_in_its_counts(stats: Stats) -> None:
    frames = list(process(range(3000), same, stats, "latest"))
    assert frames == sorted(set(frames))
    assert frames[-1] == 2999, "the newest frame is never dropped"
    assert stats.frames_in == 3000 == stats.frames_out + stats.dropped
    assert stats.frames_out == len(frames)


def test_an_error_of_the_source_comes_after_the_frames_before_it(stats: Stats) -> None:
    def source() -> Iterator[int]:
        yield from range(5)
        raise OSError("the cable is out")

    frames = process(source(), same, stats)
    assert list(itertools.islice(frames, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="the cable is out") as caught:
        next(frames)
    assert any(entry.name == "source" for entry in caught.traceback), "where the source failed is to be seen"


def test_an_error_of_the_work_stops_the_reader(stats: Stats) -> None:
    def work(frames: list[int]) -> list[int]:
        if frames == [2]:
            raise InputError("a frame of another kind")
        return frames

    frames = process(itertools.count(), work, stats)
    assert [next(frames), next(frames)] == [0, 1]
    with pytest.raises(InputError):
        next(frames)
    with pytest.raises(StopIteration):
        next(frames)


@pytest.mark.parametrize("policy", ["all", "latest"])
def test_a_closed_stream_has_left_its_source(stats: Stats, policy: str) -> None:
    frames = process(itertools.count(), same, stats, policy)
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

    frames = process(source(), same, stats)
    next(frames)
    reader = next(thread for thread in threading.enumerate() if thread.name == READER)
    frames.close()
    assert reader.is_alive(), "closed while the source still hung"
    release.set()
    reader.join(5)


def test_closing_wakes_a_worker_that_waits_for_a_frame(stats: Stats) -> None:
    release = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        release.wait(60)

    frames = process(source(), same, stats)
    next(frames)
    worker = next(thread for thread in threading.enumerate() if thread.name == WORKER)
    threading.Timer(0.05, release.set).start()
    frames.close()
    assert not worker.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_stream_ends_in_the_child_of_a_fork(stats: Stats) -> None:
    frames = process(itertools.count(), same, stats)
    next(frames)
    if not (child := os.fork()):
        try:
            next(frames)
        except InputError as error:
            os._exit("stayed in the parent" in str(error))
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert next(frames) == 1
    frames.close()


def test_reading_work_and_delivery_go_on_side_by_side(stats: Stats) -> None:
    """Each of the three waits for the next one to have begun with an earlier frame: one after the other would hang."""
    worked, delivered = [threading.Event() for _ in range(5)], [threading.Event() for _ in range(5)]

    def source() -> Iterator[int]:
        for frame in range(5):
            yield frame
            assert frame == 0 or worked[frame - 1].wait(5)

    def work(frames: list[int]) -> list[int]:
        worked[frames[0]].set()
        return frames

    for frame in process(source(), work, stats):
        delivered[frame].set()
        assert frame == 4 or worked[frame + 1].wait(5), "the next frame is worked on while this one is looked at"


def test_frames_that_wait_share_a_batch(stats: Stats) -> None:
    read_all, sizes = threading.Event(), []

    def source() -> Iterator[int]:
        yield from range(9)
        read_all.set()

    def work(frames: list[int]) -> list[int]:
        if len(sizes) == 1:
            read_all.wait(0.5)  # the reader may be in front of a full lane, with the last frame in its hand
        sizes.append(len(frames))
        return frames

    assert list(process(source(), work, stats, batch=4)) == list(range(9))
    assert sum(sizes) == 9
    assert max(sizes) == 4


def test_frames_too_old_when_their_turn_comes_are_dropped(stats: Stats, monkeypatch: pytest.MonkeyPatch) -> None:
    read_all, now = threading.Event(), [0.0]
    monkeypatch.setattr(stream_room, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def source() -> Iterator[int]:
        yield 0
        yield from range(1, 4)
        read_all.set()

    def work(frames: list[int]) -> list[int]:
        assert read_all.wait(5)
        now[0] += 0.1
        return frames

    seen = list(process(source(), work, stats, "latest", max_latency_ms=50))
    assert len(seen) == 1, "the last one waited for 100 ms"
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (4, 1, 3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"policy": "newest"}, "'all' or 'latest', got 'newest'"),
        ({"batch": 0}, "batch is a whole number of at least 1, got 0"),
        ({"batch": "2"}, "batch is a whole number of at least 1, got '2'"),
        ({"max_latency_ms": 5}, "ask for policy='latest'"),
        ({"policy": "latest", "max_latency_ms": 0}, "above 0, got 0"),
        ({"policy": "latest", "max_latency_ms": float("nan")}, "above 0, got nan"),
        ({"timeout": 0}, "seconds above 0, up to .*, got 0"),
        ({"timeout": 1e10}, "seconds above 0, up to .*, got 10000000000"),
    ],
)
def test_impossible_options_are_refused_at_the_call(stats: Stats, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        process([], same, stats, **options)


def test_latency_and_frames_a_second(stats: Stats) -> None:
    assert np.isnan(stats.latency_ms(50))
    assert np.isnan(stats.fps)
    stats.latencies_ms.extend(range(101))
    stats.delivered_at.extend([1.0, 1.5, 2.0])
    assert (stats.latency_ms(50), stats.latency_ms(95), stats.latency_ms(99)) == (50, 95, 99)
    assert stats.fps == 2


def test_a_source_that_stalls_is_said_to(stats: Stats) -> None:
    release = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        release.wait(60)

    frames = process(source(), same, stats, timeout=0.3)  # the first frame, on a busy machine, comes within it
    assert next(frames) == 0
    threading.Timer(0.4, release.set).start()
    with pytest.raises(ImageReadError, match=r"stalled: no frame came for 0\.3 s"):
        next(frames)


def test_a_stream_that_was_never_read_starts_nothing(stats: Stats) -> None:
    process(iter([1]), same, stats)
    assert stats.frames_in == 0


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


def test_results_go_where_they_are_wanted(tiny_model: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (8, 20, 24, 3), dtype=np.uint8))
    with AEInfer.load(tiny_model, threads=1) as ae:
        expected = ae.denoise_batch(frames)
        buffers = [np.empty_like(frames[0]) for _ in range(3)]
        for n, frame in enumerate(ae.stream(frames, out=itertools.cycle(buffers))):
            assert frame is buffers[n % 3]
            np.testing.assert_array_equal(frame, expected[n])
        with pytest.raises(InputError, match=r"0 outputs for 1 images.*itertools\.cycle"):
            list(ae.stream(frames, out=[]))
        carried = ((n, frame) for n, frame in enumerate(frames))
        for n, (number, frame) in enumerate(ae.stream(carried, pixels=itemgetter(1), batch=3)):
            assert number == n
            assert frame is frames[n]
            np.testing.assert_array_equal(frame, expected[n])
        with pytest.raises(InputError, match="give one of them"):
            ae.stream(frames, pixels=itemgetter(1), out=buffers)


def test_padded_rows_and_bgr_are_taken_as_they_are(tiny_model: Path) -> None:
    padded = np.random.default_rng(0).integers(0, 256, (3, 20, 100), dtype=np.uint8)
    views = [rows[:, :96].reshape(20, 32, 3)[:, :29] for rows in padded]  # 29 pixels of 3 bytes in rows of 100 bytes
    assert all(np.shares_memory(view, rows) for view, rows in zip(views, padded, strict=True))
    rest = padded[:, :, 87:].copy()
    with AEInfer.load(tiny_model, threads=1) as rgb, AEInfer.load(tiny_model, threads=1, color="bgr") as bgr:
        expected = rgb.denoise_batch([np.ascontiguousarray(view[..., ::-1]) for view in views])
        for view, clean, frame in zip(views, expected, bgr.stream(views, pixels=lambda frame: frame), strict=True):
            np.testing.assert_array_equal(frame, clean[..., ::-1])
            assert frame is view
    np.testing.assert_array_equal(padded[:, :, 87:], rest)


def shaky(shape: tuple[int, ...], dtype: str) -> list[np.ndarray]:
    """Noisy frames of a still picture, each alike; one of another size in the middle."""
    rng, scale = np.random.default_rng(0), np.iinfo(dtype).max // 255
    still = rng.integers(60, 190, shape)
    frames = [((still + rng.normal(0, 10, shape)) * scale).astype(dtype) for _ in range(9)]
    return [*frames[:7], frames[7][:16], frames[8]]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("shape", "dtype"), [((24, 40, 3), "uint8"), ((24, 40, 4), "uint8"), ((24, 40), "uint8"), ((24, 40, 3), "uint16")]
)
def test_a_temporal_filter_comes_before_the_network(
    tiny_model: Path, batch: int, shape: tuple[int, ...], dtype: str
) -> None:
    frames, steady = shaky(shape, dtype), TemporalFilter()
    before = [frame.copy() for frame in frames]
    with AEInfer.load(tiny_model) as ae:
        expected = [ae(steady(frame), strength=0.8) for frame in frames]
        plain = [ae(frame, strength=0.8) for frame in frames]
        outs = [np.empty_like(frame) for frame in frames]
        carried = [(frame.copy(), number) for number, frame in enumerate(frames)]
        for options in ({}, {"out": outs}):
            results = list(ae.stream(frames, strength=0.8, batch=batch, temporal=TemporalFilter(), **options))
            for result, wanted in zip(results, expected, strict=True):
                np.testing.assert_array_equal(result, wanted)
        assert all(result is out for result, out in zip(results, outs, strict=True))
        streamed = ae.stream(carried, strength=0.8, batch=batch, temporal=TemporalFilter(), pixels=itemgetter(0))
        for number, (result, wanted) in enumerate(zip(streamed, expected, strict=True)):
            np.testing.assert_array_equal(result[0], wanted)
            assert result[1] == number
    assert not np.array_equal(expected[5], plain[5])
    for frame, as_it_was in zip(frames, before, strict=True):
        np.testing.assert_array_equal(frame, as_it_was)


def test_a_frame_that_the_temporal_filter_refuses_ends_the_stream(tiny_model: Path) -> None:
    with AEInfer.load(tiny_model) as ae, pytest.raises(InputError, match="takes uint8 or uint16, got float32"):
        list(ae.stream([np.zeros((16, 16), np.float32)], temporal=TemporalFilter()))
