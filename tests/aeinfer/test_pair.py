"""Batches side by side: what comes out is what one after the other gives, and what fails leaves nothing behind."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer import AEInfer
from aeinfer.pair import Pair
from aeinfer.session import Session
from tests.pictures import pixels_of

WHOLE: Any = "whole"


def always(_first: object, _second: object) -> bool:
    return True


def pair(threads: int = 2) -> Pair:
    """A pair whose sessions are how many threads they have."""
    start: Any = lambda each: each  # noqa: E731
    return Pair(start, threads)


@given(st.lists(st.booleans(), max_size=9), st.integers(1, 8))
def test_each_batch_is_done_once_where_it_belongs(fitting: list[bool], threads: int) -> None:
    done: list[tuple[object, int]] = []
    pair(threads).run(
        iter(range(len(fitting))), lambda s, n: done.append((s, n)), WHOLE, lambda a, b: fitting[a] and fitting[b]
    )
    beside = {n for a in range(0, len(fitting) - 1, 2) if fitting[a] and fitting[a + 1] for n in (a, a + 1)}
    beside = beside if threads % 2 == 0 else set()
    assert sorted(done, key=lambda each: each[1]) == [
        (threads // 2 if n in beside else WHOLE, n) for n in range(len(fitting))
    ]


def test_two_are_at_work_at_once() -> None:
    meeting = threading.Barrier(2, timeout=10)  # breaks where one waits alone
    pair().run(iter(range(6)), lambda _session, _n: meeting.wait() and None, WHOLE, always)


def test_without_a_second_thread_all_is_done_on_the_whole_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", fails)
    done: list[tuple[object, int]] = []
    both = pair()
    for _ in range(2):
        both.run(iter(range(5)), lambda s, n: done.append((s, n)), WHOLE, always)
    assert done == 2 * [(WHOLE, n) for n in range(5)]


def test_a_second_caller_does_its_batches_on_the_whole_session() -> None:
    both, done = pair(), []

    def work(_session: Session, n: int) -> None:
        if n == 0:
            other = threading.Thread(
                target=both.run, args=(iter([10, 11]), lambda s, m: done.append((s, m)), WHOLE, always)
            )
            other.start()
            other.join()

    both.run(iter([0, 1]), work, WHOLE, always)
    assert done == [(WHOLE, 10), (WHOLE, 11)]


@pytest.mark.parametrize("failing", [{0}, {1}, {0, 1}, {2}])
def test_an_error_is_raised_once_both_have_ended(failing: set[int]) -> None:
    ended: list[int] = []
    meeting = threading.Barrier(2, timeout=10)

    def work(session: Session, n: int) -> None:
        if session != WHOLE:
            meeting.wait()
        if n in failing:
            raise MemoryError(str(n))
        ended.append(n)

    both = pair()
    with pytest.raises(MemoryError, match=str(min(failing))):
        both.run(iter([0, 1, 2]), work, WHOLE, always)
    assert set(ended) == {0, 1} - failing
    done: list[object] = []
    both.run(iter([0, 1]), lambda session, _n: done.append(session), WHOLE, always)
    assert done == [1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_meanwhile_has_a_pair_of_its_own() -> None:
    both = pair()

    def work(_session: Session, n: int) -> None:
        if n == 0 and (child := os.fork()) == 0:
            done: list[object] = []
            both.run(iter([0, 1]), lambda session, _n: done.append(session), WHOLE, always)
            os._exit(done != [1, 1])
        if n == 0:
            assert os.waitpid(child, 0)[1] == 0

    both.run(iter([0, 1]), work, WHOLE, always)


# In AEInfer


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The threads that ran a network; a pair's second one is among them, or the test shows nothing."""
    seen: set[str] = set()
    run: Callable[..., Any] = Session.run

    def noted(session: Session, batch: np.ndarray) -> np.ndarray:
        seen.add(threading.current_thread().name.rpartition("_")[0])
        return run(session, batch)

    monkeypatch.setattr(Session, "run", noted)
    return seen


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_image_of_many_tiles(tiny_model: Path, dtype: str, in_place: bool, beside: set[str]) -> None:
    image = pixels_of((150, 170, 3), dtype)
    with AEInfer.load(tiny_model, threads=1, tile=40) as one, AEInfer.load(tiny_model, threads=2, tile=40) as two:
        assert len(two._limits.plan(150, 170).positions) == 9
        expected = one(image, strength=0.8)
        assert "aeinfer-pair" not in beside
        np.testing.assert_array_equal(two(image, strength=0.8, out=image if in_place else None), expected)
    assert "aeinfer-pair" in beside


def test_images_of_many_sizes_and_piles(tiny_model: Path, tiny_grey: Path, beside: set[str]) -> None:
    images = [pixels_of((height, width, 3)) for height, width in ((40, 50), (90, 33), (90, 33), (64, 64), (20, 200))]
    pile = pixels_of((7, 31, 45))
    with AEInfer.load(tiny_model, threads=1) as one, AEInfer.load(tiny_model, threads=2) as two:
        for expected, got in zip(one.denoise_batch(images), two.denoise_batch(images), strict=True):
            np.testing.assert_array_equal(got, expected)
    with AEInfer.load(tiny_grey, threads=1, batch=2) as one, AEInfer.load(tiny_grey, threads=2, batch=2) as two:
        np.testing.assert_array_equal(two.denoise_batch(pile), one.denoise_batch(pile))
    assert "aeinfer-pair" in beside


def test_blended_windows_are_added_up_one_after_the_other(tiny_window: Path, beside: set[str]) -> None:
    image = pixels_of((40, 60))
    with (
        AEInfer.load(tiny_window, threads=1, batch=3) as one,
        AEInfer.load(tiny_window, threads=2, batch=3) as two,
    ):
        np.testing.assert_array_equal(two(image), one(image))
    assert "aeinfer-pair" not in beside


def test_what_there_is_no_memory_for_is_done_alone(tiny_model: Path, beside: set[str]) -> None:
    image = pixels_of((150, 170, 3))
    with AEInfer.load(tiny_model, threads=2, tile=64) as ae:
        plan = ae._limits.plan(150, 170)
        ae._limits.most_pixels = 3 * plan.height * plan.width - 1
        ae(image)
    assert "aeinfer-pair" not in beside


@pytest.mark.parametrize("option", [{"threads": 1}, {"spinning": True}])
def test_one_thread_or_spinning_ones_make_no_pair(tiny_model: Path, option: dict[str, Any], beside: set[str]) -> None:
    with AEInfer.load(tiny_model, tile=64, **{"threads": 2, **option}) as ae:
        ae(pixels_of((150, 170, 3)))
    assert "aeinfer-pair" not in beside
