"""Views on the pixels of frames, against rows taken apart byte by byte."""

import array
import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer.errors import InputError
from aeinfer.planes import FORMATS, view

LETTERS = {"I420": "Y", "YV12": "Y", "NV12": "Y", "NV21": "Y", "YUY2": "Y_", "UYVY": "_Y", "GRAY8": "Y"}
"""Samples of one pixel in memory; those of other 8-bit formats are their names."""


def slow_view(data: bytes, width: int, height: int, pixel_format: str, stride: int, offset: int) -> np.ndarray:
    if pixel_format.startswith("GRAY16"):
        order = {"LE": "little", "BE": "big"}[pixel_format[-2:]]
        starts = [[offset + y * stride + 2 * x for x in range(width)] for y in range(height)]
        return np.array([[int.from_bytes(data[at : at + 2], order) for at in row] for row in starts], np.uint16)
    letters = LETTERS.get(pixel_format, pixel_format)
    wanted = [letters.index(letter) for letter in ("Y" if "Y" in letters else "RGB")]
    pixels = np.empty((height, width, len(wanted)), np.uint8)
    for y in range(height):
        for x in range(width):
            pixels[y, x] = [data[offset + y * stride + x * len(letters) + which] for which in wanted]
    return pixels[:, :, 0] if len(wanted) == 1 else pixels


@given(st.data(), st.sampled_from(sorted(FORMATS)), st.integers(1, 6), st.integers(1, 5))
def test_the_view_is_what_the_bytes_say(data: st.DataObject, pixel_format: str, width: int, height: int) -> None:
    packing = FORMATS[pixel_format]
    row = width * packing.samples * np.dtype(packing.dtype).itemsize
    stride, offset = row + data.draw(st.integers(0, 5)), data.draw(st.integers(0, 9))
    content = np.random.default_rng(width).bytes(offset + (height - 1) * stride + row)
    pixels = view(content, width, height, pixel_format, stride, offset)
    np.testing.assert_array_equal(pixels, slow_view(content, width, height, pixel_format, stride, offset))
    assert not pixels.flags.writeable  # as bytes are
    with pytest.raises(InputError, match=rf"take {len(content)} bytes, got {len(content) - 1}"):
        view(content[:-1], width, height, pixel_format, stride, offset)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_writing_changes_the_pixels_and_nothing_beside_them(pixel_format: str) -> None:
    size = FORMATS[pixel_format].samples * np.dtype(FORMATS[pixel_format].dtype).itemsize
    content = bytearray(b"\xaa" * 500)
    pixels = view(content, 5, 4, pixel_format, 5 * size + 7, 3)
    pixels[...] = 0
    assert content.count(0) == pixels.size * pixels.itemsize
    assert content[:3] == content[-3:] == b"\xaa" * 3
    assert content[3 + 5 * size : 10 + 5 * size] == b"\xaa" * 7


def test_any_memory_will_do() -> None:
    with mmap.mmap(-1, 100) as mapped:
        for memory in (bytearray(100), array.array("B", bytes(100)), np.zeros(100, np.uint8), mapped):
            view(memory, 4, 5, "BGRx", 20)[1, 2] = 1, 2, 3
            assert bytes(memory)[28:32] == b"\x03\x02\x01\x00"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"pixel_format": "P010"}, "pixel formats are RGB, BGR, .*, got 'P010'"),
        ({"stride": 11}, "at least 12 bytes from row to row, got 4x3 with 11, beginning at 0"),
        ({"width": 0}, "at least one pixel .* got 0x3"),
        ({"height": -1}, "at least one pixel .* got 4x-1"),
        ({"offset": -1}, "beginning at -1"),
        ({"offset": 1}, "4x3 pixels of RGB take 37 bytes, got 36"),
        ({"buffer": [0] * 36}, "expected bytes one after the other, got a list"),
        ({"buffer": np.zeros((6, 12), np.uint8)[::2]}, "expected bytes one after the other, got a ndarray"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], complaint: str) -> None:
    good = {"buffer": bytes(36), "width": 4, "height": 3, "pixel_format": "RGB", "stride": 12, "offset": 0}
    with pytest.raises(InputError, match=complaint):
        view(**(good | change))
