"""Pictures in few levels have few, and a mean that is the shade they stand for."""

import cv2
import numpy as np
import pytest

from train.screens import WAYS, bayer, diffused, on_screen


def test_colours_have_two_to_five_levels_and_keep_the_picture() -> None:
    ramp = np.linspace(0, 255, 96).astype(np.uint8)
    photo = np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp[::-1]), axis=2)
    counts, colourless = [], 0
    for seed in range(60):
        shown = on_screen(photo, np.random.default_rng(seed))
        assert shown.shape == photo.shape
        assert shown.dtype == np.uint8
        assert all({0, 255} <= set(np.unique(colour)) for colour in cv2.split(shown))
        counts.append(len(np.unique(shown[..., 0])))
        grey = np.ptp(shown, axis=2).max() == 0
        colourless += grey
        meant = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) if grey else photo[..., 0]
        blurred = cv2.GaussianBlur(shown[..., 0].astype(np.float32), (0, 0), 8)
        assert np.corrcoef(blurred.ravel(), meant.ravel())[0, 1] > 0.9
    assert set(counts) == {2, 3, 4, 5}
    assert 20 < colourless < 40


@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_shown_one_by_one_or_enlarged(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.screens.WAYS", {way: 1.0})
    photo = np.random.default_rng(0).integers(0, 256, (50, 66, 3), dtype=np.uint8)
    monkeypatch.setattr("train.screens.ONE_PIXEL", 0.0)
    monkeypatch.setattr("train.screens.LARGEST_PIXEL", 2)
    large = on_screen(photo, np.random.default_rng(1))
    np.testing.assert_array_equal(large, large[::2, ::2].repeat(2, 0).repeat(2, 1))
    monkeypatch.setattr("train.screens.ONE_PIXEL", 1.0)
    single = on_screen(photo, np.random.default_rng(1))
    assert (single[::2] != single[1::2]).any()


def test_the_second_bayer_matrix_is_that_of_its_paper() -> None:
    paper = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]
    np.testing.assert_allclose(bayer(2) * 16 - 0.5, paper)


def test_what_rounding_loses_is_handed_on() -> None:
    """A naive twin, and means of flat pictures."""
    plane = np.random.default_rng(2).random((9, 7), np.float32) * 3
    padded = np.zeros((10, 9))  # one column at either side and one row below take what falls off
    padded[:-1, 1:-1] = plane
    for y in range(9):
        for x in range(1, 8):
            error = padded[y, x] - np.rint(padded[y, x])
            padded[y, x] -= error
            for dy, dx, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                padded[y + dy, x + dx] += error * share / 16
    np.testing.assert_array_equal(diffused(plane), padded[:-1, 1:-1])
    for shade in (0.1, 0.5, 1.7):
        assert abs(diffused(np.full((64, 64), shade, np.float32)).mean() - shade) < 0.02
