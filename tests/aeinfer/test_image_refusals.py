"""Image files that are damaged, of several pages, too large or of odd depths: each is refused as what it is."""

import os
import struct
import threading
import tracemalloc
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import damage
from aeinfer.damage import check_strips
from aeinfer.errors import ImageReadError
from aeinfer.file_format import inspect
from aeinfer.formats import FORMATS
from aeinfer.image import read_image, read_pages
from aeinfer.pnm import pnm_facts
from aeinfer.tiff_tags import Table, Tag, Tree, pack_table
from tests.pictures import _quiet, needs_metadata, pixels_of, saved  # noqa: F401 (a fixture)

cv2 = pytest.importorskip("cv2")


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


def tiff_of(numbers: dict[int, int], more: Tree | None = None, head: bytes = bytes(8)) -> bytes:
    numbers = {256: 8, 257: 8, 258: 8, 262: 1, 273: 256, 277: 1, 278: 8, 279: 64} | numbers
    tree = {number: (4, 1, struct.pack("<I", value)) for number, value in numbers.items()} | (more or {})
    return (b"II*\0\x10\0\0\0" + head + pack_table(tree, "<", 16)).ljust(256) + bytes(range(64))


def canon_raw() -> bytes:
    return tiff_of({}, head=b"CR\2\0" + bytes(4))


def stack_of(said: bytes) -> bytes:
    """One page's tags, and the pixels of two."""
    return tiff_of({}, {270: (2, len(said), said)}) + bytes(64)


def two_colours(*colours: int) -> bytes:
    return tiff_of({258: 1, 262: 3, 279: 8}, {320: (3, 6, struct.pack("<6H", *colours))})


BAD = {
    "empty.png": (lambda: b"", "empty"),
    "text.png": (lambda: b"this is not an image at all, only words\n", "text"),
    "pointer.png": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "noise.png": (lambda: b"\x00\x01\x02\x03\xfe\xfc", "not an image"),
    "gif.png": (lambda: b"GIF89a" + bytes(20), "GIF"),
    "clip.mp4": (lambda: b"\0\0\0\x1cftypisom" + bytes(20), "a video file, which `aeinfer video` denoises"),
    "clip.mov": (lambda: b"\0\0\0\x14ftypqt  " + bytes(20), "a video file"),
    "clip.mkv": (lambda: b"\x1a\x45\xdf\xa3" + bytes(20), "a video file"),
    "clip.avi": (lambda: b"RIFF\x98\x78\0\0AVI LIST" + bytes(20), "a video file"),
    "half.jpg": (lambda: saved(pixels_of((64, 64, 3)), "JPEG")[:3000], "truncated"),
    "tail.jpg": (lambda: saved(pixels_of((64, 64, 3)), "JPEG")[:-1], "truncated"),
    "head.jpg": (lambda: saved(pixels_of((64, 64, 3)), "JPEG")[:30], "truncated"),
    "half.png": (lambda: saved(pixels_of((64, 64, 3)), "PNG")[:3000], "truncated"),
    "tail.png": (lambda: saved(pixels_of((64, 64, 3)), "PNG")[:-1], "truncated"),
    "middle.png": (lambda: damaged(saved(pixels_of((64, 64, 3)), "PNG")), "IDAT chunk does not match"),
    "half.webp": (lambda: saved(pixels_of((64, 64, 3)), "WEBP")[:900], "truncated"),
    "half.tif": (lambda: saved(pixels_of((64, 64, 3)), "TIFF")[:3000], "truncated"),
    "os2.bmp": (lambda: b"BM" + bytes(12) + (12).to_bytes(4, "little") + bytes(80), "OS/2"),
    "two.ppm": (lambda: b"P6 1 1 255 abc" * 2, "several images"),
    "canon.tif": (canon_raw, "raw file"),
    "begun.tif": (lambda: b"II*\0" + bytes(4), "truncated: the TIFF has no page"),
    "none.tif": (lambda: tiff_of({}, {273: (4, 0, b"")}), "where 0 of its 1 strips or tiles lie"),
    "fewer.tif": (lambda: tiff_of({278: 4}), "where 1 of its 2 strips or tiles lie"),
    "two.tif": (lambda: two_colours(0, 65535, 0, 0, 9999, 0), "of 1 bits, photometric interpretation 3"),
    "channels.tif": (lambda: tiff_of({277: 3, 279: 192}) + bytes(128), "of 3 samples a pixel .* channels as pages"),
    "imagej.tif": (lambda: stack_of(b"ImageJ=1.54f\nimages=2\nslices=2\n\0"), "its first image alone"),
    "tifffile.tif": (lambda: stack_of(b'{"shape": [2, 8, 8], "truncated": true}\0'), "its first image alone"),
    "half.bmp": (lambda: saved(pixels_of((64, 64, 3)), "BMP")[:3000], "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_as_what_they_are(tmp_path: Path, name: str) -> None:
    make, words = BAD[name]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(ImageReadError, match=words) as caught:
        read_image(tmp_path / name)
    assert name in str(caught.value)


def test_a_page_that_was_taken_out_of_a_stack_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(stack_of(b"ImageJ=1.54f\nimages=3\nslices=3\n\0"))
    assert read_image(tmp_path / "a.tif").pixels.shape == (8, 8)


def test_what_is_no_image_is_not_read_to_its_end(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.touch()
    os.truncate(film, 1 << 26)
    tracemalloc.start()
    with pytest.raises(ImageReadError, match=r"film\.png: not an image"):
        read_image(film)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 22


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_an_image_may_come_through_a_pipe(tmp_path: Path) -> None:
    pixels, pipe = pixels_of((8, 8, 3)), tmp_path / "pipe.png"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[saved(pixels, "PNG")])
    writer.start()
    np.testing.assert_array_equal(read_image(pipe).pixels, pixels)
    writer.join()


def test_two_colours_are_read_where_they_are_grey(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(two_colours(*(0, 65535) * 3))
    expected = np.unpackbits(np.arange(8, dtype=np.uint8)[:, None], axis=1) * 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, expected)


def test_a_stack_of_more_images_than_a_number_may_have_digits_is_one_page() -> None:
    said = b"ImageJ=1.54f\nimages=" + b"9" * 5000 + b"\n\0"
    assert inspect(tiff_of({}, {270: (2, len(said), said)})).size == (8, 8)


def test_a_jpeg_that_ends_in_erased_memory_is_refused_at_once() -> None:
    """Half a minute, were each 0xFF looked at to the end."""
    with pytest.raises(ImageReadError, match="truncated"):
        inspect(saved(pixels_of((64, 64, 3)), "JPEG")[:3000] + b"\xff" * 50_000)


def test_a_jpeg_may_have_fill_bytes_before_its_end(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), 128, np.uint8)  # which makes the end be looked at twice
    whole = saved(pixels, "JPEG")
    (tmp_path / "filled.jpg").write_bytes(whole[:-2] + b"\xff\xff\xff" + whole[-2:])
    np.testing.assert_array_equal(read_image(tmp_path / "filled.jpg").pixels, pixels)


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    """Each of a hundred bytes takes a decoder through the whole picture."""
    whole = saved(pixels_of((16, 16, 3)), "JPEG")
    scan = whole[whole.index(b"\xff\xda") : -2]
    inspect(whole[:-2] + 9 * scan + whole[-2:])
    with pytest.raises(ImageReadError, match="more than 500 scans"):
        inspect(whole[:-2] + 500 * scan + whole[-2:])


def test_numbers_are_counted_in_little_memory() -> None:
    data = b"P2\n500 400 255\n" + b" 12\n7\t" * 100_000
    tracemalloc.start()
    assert pnm_facts(data).size == (400, 500)
    assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    tracemalloc.stop()
    with pytest.raises(ImageReadError, match="holds 199999 of 200000 values"):
        pnm_facts(data[:-2])


def test_a_strip_that_is_all_of_a_page_is_unpacked_once() -> None:
    check_strips(*page_of_strips(zlib.compress(bytes(1 << 20)), 4000, 0), 4000 << 20)


def test_a_strip_holds_no_more_than_its_rows() -> None:
    """Each of thousands that lie over one another was unpacked to all of a page: hours for some kilobytes."""
    with pytest.raises(ImageReadError, match="holds more than it has pixels"):
        check_strips(*page_of_strips(zlib.compress(bytes(1 << 20)), 4000, 1), 1 << 20)


def page_of_strips(strip: bytes, count: int, step: int) -> tuple[bytes, Table]:
    """Rows of one pixel, a strip each: all in one place, each `step` bytes longer than the one before."""
    strip += bytes(count)
    lengths = [len(strip) - count + step * number for number in range(count)]
    data = strip + struct.pack(f"<{2 * count}I4H", *[0] * count, *lengths, 8, 1, count, 1)
    tags = {273: (4, count), 279: (4, count), 259: (3, 1), 256: (3, 1), 257: (3, 1), 278: (3, 1)}
    places = (len(strip), len(strip) + 4 * count, *range(len(data) - 8, len(data), 2))
    return data, Table(
        {number: Tag(data, "<", *tag, at) for (number, tag), at in zip(tags.items(), places, strict=True)}
    )


def test_many_large_pages_in_a_small_file_are_refused(tmp_path: Path) -> None:
    strip, pages = zlib.compress(bytes(160 * 160)), b""
    numbers = {256: 160, 257: 160, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 160, 279: len(strip)}
    for left in reversed(range(50)):  # which share their pixels
        start = 64 + len(pages)
        table = pack_table({number: (4, 1, struct.pack("<I", value)) for number, value in numbers.items()}, "<", start)
        pages += table[:-4] + struct.pack("<I", start + len(table) if left else 0)
    (tmp_path / "a.tif").write_bytes((b"II*\0\x40\0\0\0" + strip).ljust(64) + pages)
    with pytest.raises(ImageReadError, match=r"a\.tif: its 50 pages have 1280000 pixels, .* the limit of 25600"):
        list(read_pages(tmp_path / "a.tif", max_pixels=25600))
    assert len(list(read_pages(tmp_path / "a.tif", max_pixels=1280000))) == 50


def test_as_many_pages_of_a_scan_in_jpeg_are_read(tmp_path: Path) -> None:
    """Of whose paper a byte tells tens of pixels, which is no bomb."""
    paper = pixels_of((16, 16)).repeat(16, 0).repeat(16, 1)
    pages = [pytest.importorskip("PIL.Image").fromarray(paper)] * 8
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="jpeg", quality=75)
    assert 8 * paper.size > 30 * (tmp_path / "a.tif").stat().st_size
    assert len(list(read_pages(tmp_path / "a.tif", max_pixels=2 * paper.size))) == 8


@pytest.mark.parametrize(
    ("cut", "most", "words"),
    [(0, 5000, ""), (9, 5000, "too early"), (5000, 5000, "too early"), (0, 4999, "holds more")],
)
def test_a_strip_is_unpacked_in_pieces(monkeypatch: pytest.MonkeyPatch, cut: int, most: int, words: str) -> None:
    monkeypatch.setattr(damage, "PIECE", 7)
    coded = zlib.compress(bytes(range(250)) * 20)
    with pytest.raises(ImageReadError, match=words) if words else nullcontext():
        damage._check_deflated(coded[: len(coded) - min(cut, len(coded))], most)


def test_boxes_within_boxes_without_end_are_no_picture() -> None:
    nested = b""
    for _ in range(2000):
        nested = (len(nested) + 12).to_bytes(4, "big") + b"meta" + bytes(4) + nested
    assert inspect((20).to_bytes(4, "big") + b"ftypavif" + bytes(4) + b"avif" + nested).size is None


def test_a_thumbnail_inside_does_not_hide_a_truncated_jpeg() -> None:
    whole = saved(pixels_of((64, 64, 3)), "JPEG")
    thumbnail = b"Exif\0\0" + whole[:2000] + b"\xff\xd9"
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    inspect(whole[:2] + segment + whole[2:])
    with pytest.raises(ImageReadError, match="truncated"):
        inspect(whole[:2] + segment + whole[2:-2])


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_several_pages_or_frames_are_refused(tmp_path: Path, name: str) -> None:
    pil = pytest.importorskip("PIL.Image")
    frames = [pil.fromarray(pixels_of((16, 16, 3), seed=seed)) for seed in range(3)]
    path = tmp_path / "many.png"
    try:
        frames[0].save(path, name, save_all=True, append_images=frames[1:])
    except KeyError:
        pytest.skip(f"this Pillow writes no {name}")
    with pytest.raises(ImageReadError, match=r"animated|pages|GIF"):
        read_image(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageReadError, match="cannot be read"):
        read_image(tmp_path)


def test_too_many_pixels_and_odd_depths_are_refused(tmp_path: Path) -> None:
    huge = bytearray(saved(pixels_of((4, 4)), "PNG"))
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(huge)
    with pytest.raises(ImageReadError, match="limit"):
        read_image(tmp_path / "huge.png")
    cv2.imwrite(str(tmp_path / "double.tif"), np.ones((4, 4)))
    with pytest.raises(ImageReadError, match="float64"):
        read_image(tmp_path / "double.tif")


@pytest.mark.parametrize(("told", "fits"), [("1KB", True), ("1Mb", True), ("1000", False)])
def test_opencvs_limit_is_read_as_opencv_does(
    told: str, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(saved(pixels_of((32, 32)), "PNG"))
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", told)  # which OpenCV itself has read long ago
    with nullcontext() if fits else pytest.raises(ImageReadError, match="more than OpenCV reads"):
        read_image(tmp_path / "a.png")


@needs_metadata
def test_deep_avif_is_refused_rather_than_read_too_dark(tmp_path: Path) -> None:
    try:
        done, data = cv2.imencode(".avif", np.full((16, 16, 3), 1023, np.uint16), [cv2.IMWRITE_AVIF_DEPTH, 10])
    except cv2.error as error:
        pytest.skip(f"this OpenCV has no AVIF: {error}")
    assert done
    (tmp_path / "deep.avif").write_bytes(data)
    with pytest.raises(ImageReadError, match="uint16"):
        read_image(tmp_path / "deep.avif")


@settings(max_examples=300)
@given(data=st.data(), name=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF"]))
def test_inspect_never_fails_but_by_its_own_error(data: st.DataObject, name: str) -> None:
    content = bytearray(SAMPLES[name])
    for place in data.draw(st.lists(st.integers(0, min(len(content), 400) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        facts = inspect(bytes(content))
    except ImageReadError:
        return
    assert facts.format in FORMATS


class _Samples(dict[str, bytes]):
    def __missing__(self, name: str) -> bytes:
        exif = pytest.importorskip("PIL.Image").Exif()
        exif[274] = 6
        self[name] = saved(pixels_of((20, 20, 3)), name, **({} if name == "BMP" else {"exif": exif}))
        return self[name]


SAMPLES = _Samples()
