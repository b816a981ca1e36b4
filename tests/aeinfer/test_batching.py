"""How jobs become batches, whatever becomes of the memory meanwhile."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aeinfer.batching import Part, TileJob, batch_shape, fill_batches
from aeinfer.tiling import plan_tiles


def job(height: int, width: int) -> TileJob:
    image = np.zeros((height, width, 1), np.float32)
    return TileJob(image, image, plan_tiles(height, width, tile=8, halo=0, stride=4))


@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=12),
    capacities=st.lists(st.integers(1, 9), min_size=1, max_size=40),
)
def test_each_tile_is_in_one_batch_while_the_capacity_changes(
    sizes: list[tuple[int, int]], capacities: list[int]
) -> None:
    """As it does where another thread is short of memory."""
    jobs = [job(*size) for size in sizes]
    told = itertools.cycle(capacities)
    batches = list(fill_batches(jobs, lambda _plan: next(told)))
    for parts in batches:
        rows = [row for part in parts for row in range(part.rows.start, part.rows.stop)]
        assert rows == list(range(batch_shape(parts, 1)[0]))
        assert 0 < len(rows) <= max(capacities)
        assert len({(part.job.plan.height, part.job.plan.width) for part in parts}) == 1
        assert all(part.last - part.first == part.rows.stop - part.rows.start for part in parts)
    tiles = [(id(part.job), tile) for part in itertools.chain(*batches) for tile in range(part.first, part.last)]
    assert tiles == [(id(each), tile) for each in jobs for tile in range(len(each.plan.positions))]


def test_a_batch_is_full_before_the_next_begins() -> None:
    def rows(batch: list[Part]) -> list[int]:
        return [part.last - part.first for part in batch]

    jobs = [job(8, 24), job(8, 16), job(8, 8)]  # three tiles, two and one
    assert [rows(batch) for batch in fill_batches(jobs, lambda _plan: 4)] == [[3, 1], [1, 1]]
