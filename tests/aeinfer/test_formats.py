"""What formats keep beside pixels, PNM, limits that hold before decoding, damage that decoders pass over, the list."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from aeinfer.cli import main
from aeinfer.errors import ImageReadError, ImageWriteError
from aeinfer.file_format import inspect
from aeinfer.formats import FORMATS
from aeinfer.image import carried_metadata, read_image, write_image
from aeinfer.inputs import list_images
from aeinfer.resolution import Resolution
from tests.pictures import _quiet, pixels_of, saved  # noqa: F401 (a fixture)

cv2 = pytest.importorskip("cv2")
pil = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("source", ["jpg", "png", "bmp"])
@pytest.mark.parametrize("target", ["jpg", "png", "bmp"])
@pytest.mark.parametrize("dpi", [72, 300, 2400])
def test_resolution_goes_from_format_to_format(tmp_path: Path, source: str, target: str, dpi: int) -> None:
    path, copy = tmp_path / f"a.{source}", tmp_path / f"b.{target}"
    pil.fromarray(pixels_of((8, 8, 3))).save(path, dpi=(dpi, dpi))
    picture = read_image(path)
    assert write_image(copy, picture.pixels, metadata=picture.metadata) == frozenset()
    with pil.open(copy) as opened:
        assert tuple(round(value) for value in opened.info["dpi"]) == (dpi, dpi)
        opened.load()
    assert read_image(copy).pixels.shape == (8, 8, 3)


def test_a_ratio_without_unit_stays_a_ratio(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", pixels_of((8, 8)), metadata={"resolution": b"2 1 none"})
    picture = read_image(tmp_path / "a.jpg")
    assert picture.metadata["resolution"] == b"2 1 none"
    write_image(tmp_path / "a.png", picture.pixels, metadata=picture.metadata)
    assert read_image(tmp_path / "a.png").metadata["resolution"] == b"2 1 none"
    write_image(tmp_path / "b.jpg", picture.pixels)
    assert "resolution" not in read_image(tmp_path / "b.jpg").metadata


@pytest.mark.parametrize("block", [b"", b"300", b"300 300 ell", b"0 1 inch", b"1/0 1 inch", b"-1 1 cm", b"\xff 1 cm"])
def test_what_is_no_resolution_is_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match="300 300 inch"):
        Resolution.parse(block)


def bmp(value: int, masks: list[int], head: int = 40, bits: int = 32) -> bytes:
    """A BMP of one pixel, its masks in the header, or behind one that is too short for them."""
    facts = struct.pack("<IiiHHIIiiII", head, 1, 1, 1, bits, 3, 0, 0, 0, 0, 0)
    front = (facts + struct.pack(f"<{len(masks)}I", *masks)).ljust(head, b"\0")
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(front)) + front + struct.pack("<I", value)


RED, GREEN, BLUE, ALPHA = (0xFF << shift for shift in (16, 8, 0, 24))


@pytest.mark.parametrize(
    ("masks", "head", "expected"),
    [
        ([RED, GREEN, BLUE], 40, [0x22, 0x33, 0x44]),
        ([RED, GREEN, BLUE], 52, [0x22, 0x33, 0x44]),
        ([RED, GREEN, BLUE, 0], 108, [0x22, 0x33, 0x44]),
        ([BLUE, GREEN, RED, 0], 108, [0x44, 0x33, 0x22]),
        ([RED, GREEN, BLUE, ALPHA], 108, [0x22, 0x33, 0x44, 0x11]),
    ],
)
def test_the_fourth_byte_of_a_bmp_is_alpha_where_a_mask_says_so(
    tmp_path: Path, masks: list[int], head: int, expected: list[int]
) -> None:
    (tmp_path / "a.bmp").write_bytes(bmp(0x11223344, masks, head))
    assert read_image(tmp_path / "a.bmp").pixels.tolist() == [[expected]]


@pytest.mark.parametrize(
    ("masks", "head", "bits"),
    [
        ([BLUE, GREEN, RED], 40, 32),
        ([0x3FF << 20, 0x3FF << 10, 0x3FF], 40, 32),
        ([0x3FF << 20, 0x3FF << 10, 0x3FF, 0], 108, 32),
        ([0xF800, 0x7E0, 0x1F], 40, 16),
    ],
)
def test_a_bmp_that_opencv_reads_in_other_colours_is_refused(masks: list[int], head: int, bits: int) -> None:
    with pytest.raises(ImageReadError, match="channels"):
        inspect(bmp(0, masks, head, bits))


def test_a_bmps_profile_is_named_as_lost(tmp_path: Path) -> None:
    data = bytearray(bmp(0, [RED, GREEN, BLUE, 0], 124))
    (tmp_path / "a.bmp").write_bytes(data)
    assert read_image(tmp_path / "a.bmp").lost == frozenset()
    data[70:74] = b"DEBM"
    (tmp_path / "a.bmp").write_bytes(data)
    assert read_image(tmp_path / "a.bmp").lost == {"icc"}


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
@pytest.mark.parametrize("pixels", ["4294967295", "1/4294967295", "99999999999999999999", "4000000000/3"])
def test_a_resolution_beyond_what_a_format_holds_is_bounded(tmp_path: Path, suffix: str, pixels: str) -> None:
    if suffix == "tif":
        pytest.importorskip("tifffile")
    path = tmp_path / f"a.{suffix}"
    write_image(path, pixels_of((8, 8, 3)), metadata={"resolution": f"{pixels} 300 inch".encode()})
    picture = read_image(path)
    x, y = Resolution.parse(picture.metadata["resolution"]).per("inch")
    assert float(y) == pytest.approx(300, rel=1e-4)
    assert 0 < x <= 1 if pixels.startswith("1/") else x >= 65535


def test_inks_are_converted_and_said(tmp_path: Path) -> None:
    smooth = np.kron(pixels_of((2, 2, 3)), np.ones((16, 16, 1), np.uint8))
    pil.fromarray(smooth).convert("CMYK").save(tmp_path / "a.jpg", quality=100, icc_profile=bytes(16) + b"CMYK" * 40)
    picture = read_image(tmp_path / "a.jpg")
    assert "cmyk" in picture.lost
    assert "icc" not in picture.metadata
    assert np.abs(picture.pixels.astype(int) - smooth).max() <= 8


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("suffix", "shape"), [(".pgm", (5, 7)), (".ppm", (5, 7, 3)), (".pnm", (5, 7)), (".pnm", (5, 7, 3))]
)
def test_pnm_keeps_every_bit(tmp_path: Path, suffix: str, shape: tuple[int, ...], dtype: str) -> None:
    pixels = pixels_of(shape, dtype)
    path = tmp_path / f"a{suffix}"
    write_image(path, pixels)
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
    if dtype == "uint8":
        with pil.open(path) as opened:
            np.testing.assert_array_equal(np.asarray(opened), pixels)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ImageReadError, match="truncated: the PNM"):
        read_image(path)


PNM = {
    b"P1\n# c\n3 1\n1 0 1\n": [[0, 255, 0]],
    b"P4\n3 1\n\xa0": [[0, 255, 0]],
    b"P2\n2 1\n255\n1 2\n": [[1, 2]],
    b"P3 1 1 255 1 2 3": [[[1, 2, 3]]],
}


@pytest.mark.parametrize("data", PNM)
def test_bitmaps_and_numbers_are_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pnm").write_bytes(data)
    assert read_image(tmp_path / "a.pnm").pixels.tolist() == PNM[data]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5\n2 1\n100\nab", "largest value"),
        (b"P5\n2", "header"),
        (b"P2 2 1 255 1", "1 of 2"),
        (b"P4 9 1 a", "1 of 2"),
    ],
)
def test_odd_and_short_pnm_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(ImageReadError, match=words):
        inspect(data)


@pytest.mark.parametrize(
    ("name", "shape"), [("a.pbm", (4, 4)), ("a.pgm", (4, 4, 3)), ("a.ppm", (4, 4)), ("a.pnm", (4, 4, 4))]
)
def test_pnm_holds_what_its_suffix_says(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageWriteError, match=r"only|alpha"):
        write_image(tmp_path / name, pixels_of(shape))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "lossless", "alpha", "TIFF", "BMP", "AVIF", "PPM"])
def test_every_format_says_how_large_it_is_before_it_is_decoded(tmp_path: Path, name: str) -> None:
    kinds = {"lossless": ("WEBP", {"lossless": True}), "alpha": ("WEBP", {"exif": b"Exif\0\0II*\0" + bytes(8)})}
    kind, options = kinds.get(name, (name, {}))
    try:
        data = saved(pixels_of((21, 34, 4 if name == "alpha" else 3)), kind, **options)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {name}: {error}")
    assert inspect(data).size == (21, 34)
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ImageReadError, match="34 x 21 is more than the limit of 713 pixels"):
        read_image(tmp_path / "a", max_pixels=713)
    assert read_image(tmp_path / "a", max_pixels=714).pixels.shape[:2] == (21, 34)


@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("part", [0.4, 0.9])
def test_a_jpeg_that_was_cut_and_closed_is_damaged(tmp_path: Path, options: dict[str, object], part: float) -> None:
    whole = saved(pixels_of((64, 64, 3)), "JPEG", **options)
    for behind in (b"", saved(pixels_of((16, 16, 3)), "JPEG")):  # as in files of two pictures, which are read for one
        (tmp_path / "a.jpg").write_bytes(whole + behind)
        assert read_image(tmp_path / "a.jpg").pixels.shape == (64, 64, 3)
        (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * part)] + b"\xff\xd9" + behind)
        with pytest.raises(ImageReadError, match="damaged"):
            read_image(tmp_path / "a.jpg")


def test_a_jpeg_without_one_of_its_parts_is_damaged() -> None:
    whole = saved(pixels_of((64, 64, 3)), "JPEG", restart_marker_rows=1)
    inspect(whole)
    first, second = whole.index(b"\xff\xd0"), whole.index(b"\xff\xd1")
    with pytest.raises(ImageReadError, match="restart markers"):
        inspect(whole[:first] + whole[second:])
    with pytest.raises(ImageReadError, match="broken off"):
        inspect(whole[: first + 5] + b"\xff\x05" + whole[first + 7 :])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_middle_grey_in_the_corner_is_no_damage(
    tmp_path: Path, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    grey = pixels_of((48, 48, 3))
    grey[24:] = 128
    (tmp_path / "a.jpg").write_bytes(saved(grey, "JPEG", **options))
    assert read_image(tmp_path / "a.jpg").pixels.shape == (48, 48, 3)
    if "progressive" not in options:  # where the decoder needs an end behind what the check adds, and speaks of it
        assert capfd.readouterr().err == ""


def test_a_jpeg_as_browsers_on_windows_name_it_is_one_of_a_folders_images(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jfif", pixels_of((8, 8, 3)))
    assert [path.name for path in list_images(tmp_path)] == ["a.jfif"]
    assert read_image(tmp_path / "a.jfif").format == "jpg"


def test_the_list_of_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == FORMATS.keys()
    assert rows["png"]["dtypes"] == ["uint8", "uint16"]
    assert rows["tiff"]["metadata"] == sorted(carried_metadata("a.tif"))
    assert not rows["jpg"]["alpha"]
    assert main(["formats"]) == 0
    said = capsys.readouterr().out
    assert all(suffix in said for known in FORMATS.values() for suffix in known.suffixes)
