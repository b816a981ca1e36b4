"""Sizes of tiles and batches: the largest that a memory holds, and sensible ones where nobody said any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer.errors import InputError
from aeinfer.sizing import (
    DEFAULT_MEMORY_MB,
    LIBRARIES_MB,
    MODEL_COPIES,
    default_tile,
    pixels_for_memory,
    tile_for_memory,
)


@given(
    st.floats(1, 4000),
    st.integers(0, 64),
    st.sampled_from([1, 4, 16]),
    st.integers(1, 2000),
    st.integers(0, 200_000),
    st.sampled_from([0.0, 2.5]),
)
def test_the_tile_for_a_memory_is_the_largest_that_fits(
    memory: float, halo: int, stride: int, cost: int, row: int, model_mb: float
) -> None:
    context = 2 * (-(-halo // stride) * stride)

    def megabytes(side: int) -> float:
        network = ((side + context) ** 2 * cost + (side + context) * row) / 1e6
        return min(3 * network, network + LIBRARIES_MB + MODEL_COPIES * model_mb)

    def tile(limit: float) -> int:
        return tile_for_memory(
            limit, halo=halo, stride=stride, bytes_per_pixel=cost, bytes_per_row=row, model_mb=model_mb
        )

    try:
        side = tile(memory)
    except InputError as error:
        assert megabytes(stride) > memory - 1e-2
        least = int(str(error).rpartition(" ")[2])  # what the message offers works
        assert tile(least) >= stride
        return
    assert side % stride == 0
    assert side >= stride
    assert megabytes(side) <= memory + 1e-5
    assert megabytes(side + stride) > memory - 1e-2


@pytest.mark.parametrize(
    ("memory", "model_mb", "pixels"),
    [(LIBRARIES_MB + 100, 0, 10**6), (LIBRARIES_MB + 150, 10, 11 * 10**5), (60, 10, 200_000)],
)
def test_the_libraries_and_the_model_are_counted_and_leave_a_third(memory: float, model_mb: float, pixels: int) -> None:
    assert pixels_for_memory(memory, bytes_per_pixel=100, model_mb=model_mb) == pixels


@given(st.integers(0, 200).map(lambda n: 16 * n), st.sampled_from([1, 16]), st.integers(1, 3000))
def test_the_usual_tile_is_a_multiple_of_the_stride_in_bounded_memory(halo: int, stride: int, cost: int) -> None:
    tile = default_tile(halo=halo, stride=stride, bytes_per_pixel=cost)
    assert tile % stride == 0
    assert stride <= tile <= max(16 * halo, 512)
    assert tile == stride or (tile + 2 * halo) ** 2 * cost <= DEFAULT_MEMORY_MB * 1e6
