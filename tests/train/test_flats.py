"""Where there is no picture: along sides, all around, in corners and in boxes."""

import numpy as np

from train.flats import flat_part


def test_flat_parts_lie_everywhere_and_leave_something() -> None:
    drawn = [flat_part((64, 64), np.random.default_rng(seed)) for seed in range(400)]
    where = np.stack([part for part, _ in drawn])
    assert 0.15 < where.mean() < 0.45
    assert (where.mean((1, 2)) > 0.95).mean() < 0.05
    sides = [where[:, 0].all(1), where[:, -1].all(1), where[:, :, 0].all(1), where[:, :, -1].all(1)]
    assert all(0.15 < side.mean() < 0.5 for side in sides)
    assert 0.05 < np.logical_and.reduce(sides).mean() < 0.2, "frames"
    assert 0.05 < (~where[:, [0, -1]].any((1, 2)) & where.any((1, 2))).mean() < 0.25, "boxes"


def test_most_are_black_some_white_and_some_of_any_colour() -> None:
    colours = np.stack([flat_part((8, 8), np.random.default_rng(seed))[1] for seed in range(400)])
    assert colours.dtype == np.float32
    black, white = (np.mean((colours == value).all(1)) for value in (0, 1))
    assert 0.4 < black < 0.6
    assert 0.1 < white < 0.3
    assert len(np.unique(colours, axis=0)) > 50
