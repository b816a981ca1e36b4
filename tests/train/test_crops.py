"""What crops go through is what it is called, and nothing else."""

import cv2
import numpy as np

from train.camera import LUMA
from train.crops import (
    FAINTEST_SPECK,
    in_two_colours,
    sharpened,
    through_mesh,
    with_grain,
    with_soft_colour,
    with_vivid_colours,
)


def test_a_mesh_repeats_itself_and_keeps_the_mean() -> None:
    grey = np.full((96, 96, 3), 100, np.uint8)
    for seed in range(20):
        meshed = through_mesh(grey, np.random.default_rng(seed)).astype(float)[..., 0]
        spectrum = np.abs(np.fft.rfft2(meshed - meshed.mean()))
        frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96)[None])
        assert spectrum[frequency < 1 / 96].max() < spectrum.max() / 4
        assert np.sort(spectrum.ravel())[-60:].sum() > spectrum.sum() / 8, "a few frequencies hold most of it"
        assert abs(meshed.mean() - 100) < 3
        assert 2 < meshed.std() < 95


def test_grain_is_alike_in_all_colours_fine_and_not_everywhere() -> None:
    brown = np.full((96, 96, 3), (120, 80, 40), np.uint8)
    flat = []
    for seed in range(20):
        grain = with_grain(brown, np.random.default_rng(seed)).astype(float) / brown - 1
        red, green = (colour[np.abs(grain).max(2) < 0.9] for colour in (grain[..., 0], grain[..., 1]))
        assert abs(red - green).max() < 0.04, "but for rounding"
        assert 0.01 < grain.std() < 0.5
        neighbours = grain[:, 1:, 0].ravel(), grain[:, :-1, 0].ravel()
        assert abs(np.corrcoef(*neighbours)[0, 1]) < 0.8
        tiles = grain[..., 0].reshape(6, 16, 6, 16).std((1, 3))
        flat.append(tiles.min() / tiles.max())
    assert np.median(flat) < 0.1


def test_what_is_sharpened_has_edges_that_overshoot() -> None:
    edge = np.full((32, 32, 3), 60, np.uint8)
    edge[:, 16:] = 180
    result = sharpened(edge, 1.0, 1.0)
    assert result[:, 16].min() > 190
    assert result[:, 15].max() < 50
    np.testing.assert_array_equal(result[:, :8], edge[:, :8])
    np.testing.assert_array_equal(sharpened(edge, 0.0, 1.0), edge)


def test_soft_colour_leaves_the_luma() -> None:
    photo = np.random.default_rng(0).integers(60, 196, (64, 64, 3), dtype=np.uint8)
    result = with_soft_colour(photo, 2.0)
    before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(float) for image in (photo, result))
    assert abs(before[..., 0] - after[..., 0]).max() <= 2
    assert after[..., 1:].std() < before[..., 1:].std() / 4


def test_two_colours_leave_the_luma() -> None:
    grey = np.full((96, 96, 3), 128, np.uint8)
    specks = 0
    for seed in range(40):
        result = in_two_colours(grey, np.random.default_rng(seed)).astype(float) - 128
        assert abs(result @ LUMA).max() < 1, "but for rounding"
        strongest = abs(result).max()
        assert 9 <= strongest <= 121
        of_flat = (result == 0).all(2).mean()
        specks += of_flat > 0.7
        assert of_flat < 0.7 or strongest >= FAINTEST_SPECK - 1, "weak specks are a camera's noise"
    assert 2 <= specks <= 16


def test_vivid_colours_are_cut_off_at_either_end_each_by_itself() -> None:
    photo = np.random.default_rng(0).integers(60, 196, (64, 64, 3), dtype=np.uint8)
    ends = set()
    for seed in range(40):
        vivid = with_vivid_colours(photo, np.random.default_rng(seed))
        for colour in range(3):
            order = np.argsort(photo[..., colour].ravel(), kind="stable")
            assert (np.diff(vivid[..., colour].ravel()[order].astype(int)) >= 0).all(), "brighter stays brighter"
        at_ends = [((vivid == end).mean((0, 1)) > 0.2).tolist() for end in (0, 255)]
        ends |= {(end, colour) for end in (0, 1) for colour in range(3) if at_ends[end][colour]}
    assert len(ends) == 6
