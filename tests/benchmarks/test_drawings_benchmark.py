"""The drawings to measure on are made in code: the same ones every time, of the kinds that the table shows."""

import cv2
import numpy as np
import pytest

from benchmarks import bench_drawings
from benchmarks.noisy import SIGMAS, Images

pytestmark = pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="OpenCV brings fonts from version 5 on")


@pytest.fixture(scope="module")
def drawings() -> dict[str, Images]:
    return bench_drawings.drawings()


def test_drawings_are_the_same_every_time_and_no_two_alike(drawings: dict[str, Images]) -> None:
    first, second = drawings, bench_drawings.drawings()
    assert list(first) == ["text", "charts", "cartoons"]
    pictures = [image for kind in first.values() for _, image in kind]
    for image, again in zip(pictures, (image for kind in second.values() for _, image in kind), strict=True):
        assert image.shape == (bench_drawings.SIDE, bench_drawings.SIDE, 3)
        np.testing.assert_array_equal(image, again)
    assert len({image.tobytes() for image in pictures}) == len(pictures)


def test_a_page_is_full_of_letters() -> None:
    for page in bench_drawings.PAGES:
        _, _, ink, paper = page
        written = bench_drawings.text(*page, np.random.default_rng(0))
        near_ink = np.abs(written - np.array(ink, float)).max(2) < 40
        assert (written == paper).all(2).mean() > 0.5
        assert near_ink.mean() > 0.02
        assert all(near_ink[:, third].any() for third in np.array_split(np.arange(bench_drawings.SIDE), 3))


def test_a_peer_has_no_row_without_noise(drawings: dict[str, Images]) -> None:
    parts = {kind: [(index, image[::4, ::4]) for index, image in pictures] for kind, pictures in drawings.items()}
    rows = list(bench_drawings.measurements(lambda image, _sigma: image, parts))
    assert [(row["set"], row["sigma"]) for row in rows] == [
        (kind, sigma) for kind in ("text", "charts", "cartoons") for sigma in SIGMAS
    ]
    assert all(15 < row["psnr"] < 27 for row in rows)
