"""YUV to BGR and back: the values of BT.601 in both ranges, and what a way there and back leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer.rawvideo import Layout
from aeinfer.yuv import from_bgr, to_bgr

pytest.importorskip("cv2", reason="colours are converted by OpenCV")

SIDES = st.integers(1, 20)


def inside(layout: Layout, seed: int) -> np.ndarray:
    """A frame whose colours all exist in BGR, with chroma near grey."""
    random = np.random.default_rng(seed)
    buffer = np.zeros(layout.size, np.uint8)
    layout.pixels(buffer)[:] = random.integers(60, 190, (layout.height, layout.width))
    for plane in layout.chroma(buffer):
        plane[:] = random.integers(110, 146, plane.shape)
    return buffer


@given(SIDES, SIDES, st.sampled_from(["yuv420p", "nv12"]), st.sampled_from([1, 4]), st.booleans(), st.integers(0, 9))
def test_there_and_back_is_nearly_the_same(
    width: int, height: int, pixel_format: str, align: int, full: bool, seed: int
) -> None:
    layout = Layout(width, height, pixel_format, align, full)
    frame = inside(layout, seed)
    bgr = to_bgr(frame, layout)
    assert bgr.shape == (height, width, 3)
    back = np.zeros_like(frame)
    from_bgr(bgr, back, layout)
    change = np.abs(back.astype(int) - frame)
    assert change.max() <= 4  # chroma is rounded twice
    assert change.mean() < 1


@pytest.mark.parametrize(("full", "black", "white"), [(False, 16, 235), (True, 0, 255)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12"])
def test_black_white_and_red_are_those_of_the_standard(pixel_format: str, full: bool, black: int, white: int) -> None:
    layout = Layout(6, 2, pixel_format, full_range=full)
    buffer = np.full(layout.size, 128, np.uint8)
    luma = layout.pixels(buffer)
    luma[:, :2], luma[:, 2:4], luma[:, 4:] = black, white, 76 if full else 81  # red, from ITU-R BT.601
    for plane, red in zip(layout.chroma(buffer), (85, 255) if full else (90, 240), strict=True):
        plane[:, 2] = red
    bgr = to_bgr(buffer, layout)[0, ::2].astype(int)
    np.testing.assert_allclose(bgr, [[0, 0, 0], [255, 255, 255], [0, 0, 255]], atol=2)


def test_padding_is_left_alone() -> None:
    layout = Layout(5, 3, "yuv420p", 4)
    buffer = np.full(layout.size, 7, np.uint8)
    from_bgr(np.full((3, 5, 3), 200, np.uint8), buffer, layout)
    assert (layout.pixels(buffer) > 100).all()
    assert (buffer == 7).sum() == layout.size - 15 - 2 * 6
