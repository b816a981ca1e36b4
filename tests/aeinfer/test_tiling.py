"""Tile geometry: every pixel once, every start on the stride, every kept pixel with its context."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer.errors import InputError
from aeinfer.tiling import TilePlan, blend_weights, plan_tiles, plan_windows

lengths = st.integers(1, 90)
strides = st.sampled_from([1, 2, 3, 4, 16])


def times_covered(plan: TilePlan, height: int, width: int) -> np.ndarray:
    covered = np.zeros((height, width), int)
    for y0, y1, x0, x1 in plan.keep:
        assert 0 <= y0 < y1 <= height
        assert 0 <= x0 < x1 <= width
        covered[y0:y1, x0:x1] += 1
    return covered


@given(lengths, lengths, st.integers(1, 40), st.integers(0, 20), strides)
def test_tiles_cover_every_pixel_once_with_context(height: int, width: int, tile: int, halo: int, stride: int) -> None:
    plan = plan_tiles(height, width, tile=tile, halo=halo, stride=stride)
    assert (times_covered(plan, height, width) == 1).all()
    for axis, (length, size) in enumerate([(height, plan.height), (width, plan.width)]):
        padded = -(-length // stride) * stride  # what the network would see of the whole image
        starts, (firsts, ends) = plan.positions[:, axis], plan.keep[:, 2 * axis : 2 * axis + 2].T
        assert size % stride == 0
        assert (starts % stride == 0).all()
        assert (starts >= 0).all()
        assert (starts + size <= padded).all(), "a tile that ends beyond the image would be padded by other pixels"
        assert ((firsts - starts >= halo) | (starts == 0)).all()
        assert ((starts + size - ends >= halo) | (starts + size == padded)).all()


@given(lengths, lengths, st.integers(1, 40), st.integers(0, 20), strides)
def test_tiles_are_no_larger_than_asked(height: int, width: int, tile: int, halo: int, stride: int) -> None:
    plan = plan_tiles(height, width, tile=tile, halo=halo, stride=stride)
    most = tile + stride - 1 + 2 * (halo + stride - 1)
    assert max(plan.height, plan.width) <= most
    if max(height, width) <= tile:
        assert len(plan.positions) == 1


def test_more_than_the_image_is_not_read() -> None:
    plan = plan_tiles(1, 1, tile=512, halo=64, stride=16)
    assert (plan.height, plan.width, plan.keep.tolist()) == (16, 16, [[0, 1, 0, 1]])


def test_a_tile_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 pixel, got 0"):
        plan_tiles(10, 10, tile=0, halo=0, stride=1)


@given(lengths, lengths, st.integers(1, 28))
def test_windows_cover_every_pixel_and_stay_inside(height: int, width: int, window: int) -> None:
    plan = plan_windows(height, width, window=window)
    assert (plan.height, plan.width) == (window, window)
    covered = times_covered(plan, height, width)
    assert covered.min() >= 1
    assert plan.blended == (len(plan.positions) > 1)
    assert (plan.positions >= 0).all()
    assert (plan.positions + window <= np.maximum([height, width], window)).all()
    assert len(np.unique(plan.positions, axis=0)) == len(plan.positions)


def test_windows_overlap_by_half() -> None:
    covered = times_covered(plan_windows(64, 64, window=16), 64, 64)
    assert (covered[8:-8, 8:-8] == 4).all()


@given(st.integers(1, 64))
def test_weights_rise_to_the_middle_and_reach_zero_nowhere(window: int) -> None:
    weights = blend_weights(window)
    assert weights.shape == (window,)
    assert weights.dtype == np.float32
    assert weights.min() > 0
    assert weights.max() <= 1
    assert (weights == weights[::-1]).all()
    assert (np.diff(weights[: (window + 1) // 2]) > 0).all()


def test_tiles_are_alike_and_repeat_little() -> None:
    plan = plan_tiles(3000, 4000, tile=1456, halo=112, stride=16)
    assert (len(plan.positions), plan.height, plan.width) == (6, 1616, 1488)
    assert len(plan.positions) * plan.height * plan.width < 1.21 * 12e6
