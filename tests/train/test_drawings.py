"""Drawings are what they are called: flat colours, sharp edges, letters; the same ones from the same numbers."""

import cv2
import numpy as np
import pytest

from train.drawings import FONTS, LETTERS, PAINTERS, drawing, on_stripes, outlines


def test_a_drawing_has_the_side_asked_for_and_follows_from_the_generator() -> None:
    for seed, side in enumerate((16, 33, 128)):
        first, second = (drawing(side, np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == (side, side, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)
    pictures = {drawing(32, np.random.default_rng(seed)).tobytes() for seed in range(40)}
    assert len(pictures) > 30, "a few are of one colour alone"


def test_most_of_a_drawing_is_flat_and_the_rest_is_edges() -> None:
    flat, steepest = [], []
    for seed in range(60):
        luma = cv2.cvtColor(drawing(128, np.random.default_rng(seed)), cv2.COLOR_RGB2GRAY).astype(float)
        slopes = np.abs(np.diff(luma))
        flat.append(np.mean(slopes <= 2))
        steepest.append(slopes.max())
    assert np.median(flat) > 0.6
    assert np.median(steepest) > 80


@pytest.mark.parametrize("painter", PAINTERS[:4])
def test_each_painter_draws_in_the_palette_and_leaves_some_ground(painter) -> None:
    palette = np.array([[10, 20, 30], [200, 100, 50], [250, 250, 250]])
    changed = []
    for seed in range(30):
        canvas = np.full((96, 96, 3), (1, 2, 3), np.uint8)
        painter(canvas, 1, palette, np.random.default_rng(seed))
        colours = set(map(tuple, canvas.reshape(-1, 3).tolist()))
        assert colours <= {(1, 2, 3), *map(tuple, palette.tolist())}
        changed.append(np.mean((canvas != (1, 2, 3)).any(2)))
    assert max(changed) > 0.05
    assert np.median(changed) > 0


@pytest.mark.parametrize("font", FONTS)
def test_letters_have_outlines_with_their_holes(font: str) -> None:
    found = outlines(font)
    assert found.keys() == set(LETTERS)
    canvas = np.zeros((64, 96), np.uint8)
    polygons, width = found["o"]
    assert 20 < width < 60
    cv2.fillPoly(canvas, [np.rint(np.add(polygon, (10, 50))).astype(np.int32) for polygon in polygons], 255)
    middle = int(10 + width / 2)
    column = canvas[:, middle] > 0
    assert np.count_nonzero(np.diff(column.astype(int)) == 1) == 2, "the bowl's top and bottom, and a hole between"


def test_on_a_screen_s_stripes_edges_have_colour() -> None:
    """Of black and white alone: an upright edge is coloured, a level one is not."""
    canvas = np.zeros((48, 48, 3), np.uint8)
    canvas[:, 25:] = 255
    upright, level = on_stripes(canvas), on_stripes(canvas.transpose(1, 0, 2))
    assert upright.shape == (16, 16, 3)
    assert np.ptp(upright, axis=2).max() > 40
    assert np.ptp(level, axis=2).max() <= 1
    assert np.ptp(upright[:, [*range(6), *range(11, 16)]], axis=2).max() == 0, "far from the edge"
    edges = (upright[0] < 128).sum(0) + np.arange(3) / 3
    assert np.ptp(edges) < 1, "each colour's edge lies where its own stripes are"


def test_some_drawings_are_for_a_screen_s_stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing of greys alone has colours then."""
    monkeypatch.setattr("train.drawings._palette", lambda _rng: np.array([[0, 0, 0], [255, 255, 255]]))
    coloured = [np.ptp(drawing(64, np.random.default_rng(seed)), axis=2).max() > 20 for seed in range(120)]
    assert 15 < sum(coloured) < 45, "a quarter"
