"""TIFF through tifffile: pages, layouts and tags as an independent reader sees them."""

import io
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer, cli, tiff
from aeinfer.codec import _from_page, decode
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.file_format import inspect_pages
from aeinfer.image import read_image, read_pages, write_image, write_pages
from aeinfer.picture import Picture, straight
from aeinfer.tiff_tags import read_tables
from tests.pictures import _quiet, needs_metadata, pixels_of  # noqa: F401 (a fixture)

pytest.importorskip("cv2")
pil = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
cms = pytest.importorskip("PIL.ImageCms")
ICC = cms.ImageCmsProfile(cms.createProfile("sRGB")).tobytes()


def exif_with(orientation: int = 1) -> "pil.Exif":
    exif = pil.Exif()
    exif[270], exif[271], exif[274], exif[282] = "a caption", "Acme", orientation, 72.0
    exif.get_ifd(34665).update({33434: 0.5, 37500: b"maker's own", 36867: "2024:01:02 03:04:05"})
    exif.get_ifd(34853)[1] = "N"
    return exif


def seen(path: Path) -> dict[str, object]:
    with pil.open(path) as opened:
        exif = opened.getexif()
        tags = {number: exif.get(number) for number in (270, 271, 274)}
        own, gps = exif.get_ifd(34665), exif.get_ifd(34853)
        return {
            **{str(number): value for number, value in tags.items()},
            "time": float(own.get(33434, 0)),
            "maker": own.get(37500),
            "date": own.get(36867),
            "gps": gps.get(1),
            "icc": opened.info.get("icc_profile"),
            "dpi": tuple(round(float(value), 2) for value in opened.info.get("dpi", ())),
        }


WHOLE = {
    "270": "a caption", "271": "Acme", "274": 1, "time": 0.5, "maker": b"maker's own",
    "date": "2024:01:02 03:04:05", "gps": "N", "icc": ICC, "dpi": (300.0, 150.0),
}  # fmt: skip


@needs_metadata
@pytest.mark.parametrize("target", ["tif", "jpg", "png"])
def test_all_tags_go_into_tiff_and_out_of_it(tmp_path: Path, target: str) -> None:
    path, middle, copy = tmp_path / "a.jpg", tmp_path / "b.tif", tmp_path / f"c.{target}"
    pil.fromarray(pixels_of((20, 30, 3))).save(path, exif=exif_with(), icc_profile=ICC, dpi=(300, 150))
    picture = read_image(path)
    assert picture.lost == frozenset()
    assert picture.metadata["resolution"] == b"300 150 inch"
    assert write_image(middle, picture.pixels, metadata=picture.metadata) == frozenset()
    assert seen(middle) == WHOLE
    scan = read_image(middle)
    assert scan.metadata.keys() == picture.metadata.keys()
    assert write_image(copy, scan.pixels, metadata=scan.metadata) == frozenset()
    found = seen(copy)
    if target == "png":  # which counts by the metre
        found["dpi"] = tuple(float(round(value)) for value in found["dpi"])
    assert found == WHOLE


def test_pages_beyond_4_gb_become_a_big_tiff_with_all_their_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"exif": exif_with().tobytes().removeprefix(b"Exif\0\0"), "icc": ICC, "resolution": b"300 150 inch"}
    pages = [Picture(pixels_of((8, 6, 3), seed=seed), "tiff", metadata) for seed in range(2)]
    write_pages(tmp_path / "a.tif", pages)
    monkeypatch.setattr(tiff, "MOST_CLASSIC", 0)
    write_pages(tmp_path / "b.tif", pages)
    with tifffile.TiffFile(tmp_path / "a.tif") as small, tifffile.TiffFile(tmp_path / "b.tif") as big:
        assert (small.is_bigtiff, big.is_bigtiff) == (False, True)
        for name in ("ExifTag", "GPSTag"):
            assert len(values := [page.tags[name].value for file in (small, big) for page in file.pages]) == 4
            assert all(value and value == values[0] for value in values)
    for page, small, big in zip(pages, read_pages(tmp_path / "a.tif"), read_pages(tmp_path / "b.tif"), strict=True):
        np.testing.assert_array_equal(big.pixels, page.pixels)
        assert big.metadata == small.metadata


@needs_metadata
def test_a_profile_that_a_format_refuses_is_named_and_the_picture_written(tmp_path: Path) -> None:
    assert write_image(tmp_path / "a.png", pixels_of((4, 4, 3)), metadata={"icc": bytes(range(200))}) == {"icc"}
    assert read_image(tmp_path / "a.png").metadata == {}


def test_xmp_and_tags_of_others_survive_from_tiff_to_tiff(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    extra = [(700, 1, len(XMP), XMP, False), (33550, 12, 3, (1.5, 2.5, 0.0), False)]
    pixels = pixels_of((9, 7), "uint16")
    with tifffile.TiffWriter(buffer, byteorder=">") as writer:
        writer.write(pixels, extratags=extra, metadata=None, resolution=((3937, 100), (10, 1)), resolutionunit=3)
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())
    picture = read_image(tmp_path / "a.tif")
    assert picture.metadata["resolution"] == b"3937/100 10 cm"
    assert write_image(tmp_path / "b.tif", picture.pixels, metadata=picture.metadata) == frozenset()
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages[0].tags
        assert tags[700].value == XMP
        assert tags[33550].value == (1.5, 2.5, 0.0)
        assert Fraction(*tags[282].value) == Fraction(3937, 100)
        assert tags[296].value == 3
        np.testing.assert_array_equal(file.pages[0].asarray(), pixels)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_page_is_turned_once(tmp_path: Path, orientation: int) -> None:
    pixels = pixels_of((5, 8, 3))
    pil.fromarray(pixels).save(tmp_path / "a.tif", exif=exif_with(orientation))
    picture = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", picture.pixels, metadata=picture.metadata)
    np.testing.assert_array_equal(picture.pixels, np.rot90(pixels, {3: 2, 6: 3}[orientation]))
    assert seen(tmp_path / "b.tif")["274"] == 1
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, picture.pixels)


SHAPES = [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pages_of_all_kinds_come_back_as_they_were(tmp_path: Path, dtype: str) -> None:
    pages = [Picture(pixels_of(shape, dtype, index), "tiff") for index, shape in enumerate(SHAPES)]
    pages[1] = Picture(pages[1].pixels, "tiff", {"icc": ICC, "resolution": b"100 100 cm"})
    path = tmp_path / "a.tif"
    assert write_pages(path, pages) == frozenset()
    with tifffile.TiffFile(path) as file:
        for page, written in zip(file.pages, pages, strict=True):
            np.testing.assert_array_equal(page.asarray(), written.pixels)
        assert [34675 in page.tags for page in file.pages] == [False, True, False, False]
        assert [page.tags[338].value for page in file.pages if 338 in page.tags] == [(2,), (2,)]
    back = list(read_pages(path))
    for page, written in zip(back, pages, strict=True):
        assert page.pixels.dtype == dtype
        np.testing.assert_array_equal(page.pixels, written.pixels)
        assert page.metadata == written.metadata
    with pytest.raises(ImageReadError, match="4 pages"):
        read_image(path)


@pytest.mark.parametrize(("shape", "predictor"), [((9, 7), 1), ((9, 7, 3), 2)])
def test_grey_has_no_predictor_which_imagej_may_overlook(
    tmp_path: Path, shape: tuple[int, ...], predictor: int
) -> None:
    write_image(tmp_path / "a.tif", pixels_of(shape, "uint16"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].predictor == predictor


def test_many_pages_take_one_copy_of_the_file(tmp_path: Path) -> None:
    pages = [Picture(pixels_of((30, 40, 3 + index % 2), "uint8", index), "tiff") for index in range(30)]
    write_pages(tmp_path / "a.tif", pages)
    data = (tmp_path / "a.tif").read_bytes()
    spare = bytearray(data)
    for facts, page in zip(inspect_pages(data), pages, strict=True):
        np.testing.assert_array_equal(decode(data, facts, spare)[0], page.pixels)
    assert spare != data


def test_exif_of_each_page_stays_with_it(tmp_path: Path) -> None:
    order = b"II*\0" + struct.pack("<I", 8)
    blocks = [order + struct.pack("<HHHII", 1, 34665, 4, 1, 26) + bytes(4) + struct.pack(
        "<HHHIHHI", 1, 34855, 3, 1, speed, 0, 0) for speed in (100, 800)]  # fmt: skip
    pages = [Picture(pixels_of((4, 4)), "tiff", {"exif": block}) for block in blocks]
    assert write_pages(tmp_path / "a.tif", pages) == frozenset()
    assert [page.metadata["exif"] for page in read_pages(tmp_path / "a.tif")] == blocks
    with pil.open(tmp_path / "a.tif") as opened:
        for index, speed in enumerate((100, 800)):
            opened.seek(index)
            assert opened.getexif().get_ifd(34665)[34855] == speed


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_planes_are_read_as_channels(tmp_path: Path, dtype: str) -> None:
    pixels = pixels_of((9, 7, 3), dtype)
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    for options in ({"compression": "zlib"}, {"tile": (16, 16)}):
        tifffile.imwrite(tmp_path / "a.tif", planes, planarconfig="separate", photometric="rgb", **options)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_pages_that_tifffile_decodes_are_parsed_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not with all that lie before, each time: minutes for a stack of a thousand."""
    pages = [pixels_of((9, 7, 2), seed=seed) for seed in range(8)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", extrasamples=[2], planarconfig="contig")
    parsed, parse = [], tifffile.TiffPage.__init__

    def count(self: tifffile.TiffPage, *args: Any, **options: Any) -> None:
        parsed.append(self)
        parse(self, *args, **options)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", count)
    for picture, page in zip(read_pages(tmp_path / "a.tif"), pages, strict=True):
        np.testing.assert_array_equal(picture.pixels, page)
    assert len(parsed) <= 2 * len(pages)  # tifffile itself parses the first of a file


@pytest.mark.parametrize(
    "error",
    [
        ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"),
        ModuleNotFoundError("No module named 'compression'"),  # of Zstandard, before Python 3.14
    ],
)
def test_a_tiff_that_needs_another_package_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    pixels = pixels_of((9, 7, 2))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", extrasamples=[2], planarconfig="contig")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)

    def refuse(_self: tifffile.TiffPage, **_options: int) -> None:
        raise error

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    with pytest.raises(ImageReadError, match=r"a\.tif: tifffile cannot unpack this tiff .*; save it uncompressed"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("code", "kind"), [(0, "unspecified alpha"), (1, "premultiplied")])
def test_an_alpha_that_is_not_the_usual_one_is_written_back_as_such_or_named(
    tmp_path: Path, code: int, kind: str
) -> None:
    pixels = pixels_of((9, 7, 4))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[code])
    picture = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert write_image(tmp_path / "b.tif", pixels, metadata=picture.metadata) == frozenset()
    assert read_tables((tmp_path / "b.tif").read_bytes())[0][338].values == (code,)
    made_straight = kind == "premultiplied"
    assert write_image(tmp_path / "b.png", pixels, metadata=picture.metadata) == (set() if made_straight else {kind})


def test_premultiplied_colours_are_no_metadata_to_strip(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "a.tif", pixels_of((9, 7, 4)), metadata={"premultiplied": b"1", "resolution": b"3 3 cm"})
    job = ["denoise", str(tmp_path / "a.tif"), "-m", str(tiny_model), "--metadata", "strip", "-o"]
    assert cli.main([*job, str(tmp_path / "b.tif")]) == 0
    assert read_image(tmp_path / "b.tif").metadata == {"premultiplied": b"1"}
    assert cli.main([*job, str(tmp_path / "b.png")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_premultiplied_colours_are_made_straight_where_a_format_has_no_others(
    tmp_path: Path, tiny_model: Path, dtype: str, channels: int
) -> None:
    seen = pixels_of((9, 7, channels), dtype) | 1
    whole = np.iinfo(dtype).max
    alpha = seen[..., -1:] | (whole // 2 + 1)  # less of it leaves little to get back
    alpha[0], alpha[1] = 0, whole
    held = np.dstack([np.rint(seen[..., :-1] * (alpha / whole)).astype(dtype), alpha])
    metadata = {"premultiplied": b"1"}
    write_image(tmp_path / "a.tif", held, metadata=metadata)
    assert write_image(tmp_path / "b.png", held, metadata=metadata) == frozenset()
    result = read_image(tmp_path / "b.png").pixels
    np.testing.assert_array_equal(result[..., -1], alpha[..., 0])
    np.testing.assert_allclose(result[1:, :, 0].astype(float), seen[1:, :, 0], atol=1)
    assert (result[0, :, 0] == 0).all(), "there is nothing to divide by"
    job = ["denoise", str(tmp_path / "a.tif"), "-m", str(tiny_model), "-q", "--metadata", "require", "-o"]
    assert cli.main([*job, str(tmp_path / "c.png")]) == 0


def test_straight_leaves_float32_beyond_its_range_and_what_has_no_alpha() -> None:
    half = Picture(np.array([[[1.5, 0.5, 0, 0.5]]], np.float32), "tiff", {"premultiplied": b"1"})
    np.testing.assert_array_equal(straight(half).pixels, [[[3, 1, 0, 0.5]]])
    assert straight(half).metadata == {}
    plain = Picture(np.zeros((2, 3), np.uint8), "png", {"premultiplied": b"1"})
    assert straight(plain) is plain


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 64)])
def test_a_damaged_strip_is_noticed(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for page in (pixels_of(shape), pixels_of(shape, "uint16")):
        write_image(tmp_path / "a.tif", page)
        data = bytearray((tmp_path / "a.tif").read_bytes())
        strip = read_tables(bytes(data))[0][273].values[0]
        data[strip + 50] ^= 255
        (tmp_path / "a.tif").write_bytes(data)
        with pytest.raises(ImageReadError, match="strip"):
            read_image(tmp_path / "a.tif")


def test_without_tifffile_what_cannot_be_done_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [Picture(pixels_of((4, 4)), "tiff")] * 2
    pil.fromarray(pixels_of((8, 8, 2)), "LA").save(tmp_path / "la.tif")
    write_pages(tmp_path / "two.tif", pages)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageReadError, match=r"aeinfer\[tiff\]"):
        read_image(tmp_path / "la.tif")
    with pytest.raises(ImageWriteError, match=r"aeinfer\[tiff\]"):
        write_pages(tmp_path / "c.tif", pages)
    assert write_image(tmp_path / "c.tif", pages[0].pixels, metadata={"icc": ICC}) == {"icc"}
    assert len(list(read_pages(tmp_path / "two.tif"))) == 2


def test_several_pages_need_a_format_that_holds_them(tmp_path: Path) -> None:
    with pytest.raises(ImageWriteError, match="png cannot hold 2 pages"):
        write_pages(tmp_path / "a.png", [Picture(pixels_of((4, 4)), "png")] * 2)
    with pytest.raises(InputError, match="no page"):
        write_pages(tmp_path / "a.tif", [])
    write_pages(tmp_path / "a.png", [Picture(pixels_of((4, 4)), "png")])
    assert len(list(read_pages(tmp_path / "a.png"))) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_tables_that_go_round_or_overlap_are_damaged(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", pixels_of((4, 4)))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    offset = struct.unpack_from("<I", data, 4)[0]
    (count,) = struct.unpack_from("<H", data, offset)
    struct.pack_into("<I", data, offset + 2 + 12 * count, offset)
    with pytest.raises(ValueError, match="overlap"):
        read_tables(bytes(data))


def test_the_command_denoises_every_page(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [Picture(pixels_of((20, 30, 3)), "tiff"), Picture(pixels_of((16, 10), "uint16"), "tiff")]
    write_pages(tmp_path / "scan.tiff", pages)
    assert cli.main(["denoise", str(tmp_path / "scan.tiff"), "-o", str(tmp_path / "out/"), "-m", str(tiny_model)]) == 0
    results = list(read_pages(tmp_path / "out" / "scan.tiff"))
    with AEInfer.load(tiny_model) as model:
        for page, result in zip(pages, results, strict=True):
            assert np.array_equal(result.pixels, model.denoise(page.pixels))
    arguments = ["-o", str(tmp_path / "png"), "-m", str(tiny_model), "--format", "png"]
    assert cli.main(["denoise", str(tmp_path / "scan.tiff"), *arguments]) == 1
    assert "pages" in capsys.readouterr().err
    assert not (tmp_path / "png" / "scan.png").exists()


def test_a_page_that_is_refused_is_named(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = np.full((3, 9, 7), 0.5, np.float32)
    pages[1, 4, 4] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    assert cli.main(["denoise", str(tmp_path / "a.tif"), "-m", str(tiny_model), "-o", str(tmp_path / "out")]) == 1
    assert "a.tif, page 2: the image holds NaN" in capsys.readouterr().err


def test_every_page_has_a_noise_of_its_own_and_the_first_that_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flat = Picture(np.full((20, 30), 128, np.uint8), "tiff")
    for place in ("one", "many"):
        for name in ("a.tif", "b.tif"):
            write_pages(f"{place}/{name}", [flat] * (3 if place == "many" else 1))
        assert cli.main(["noise", place, "--sigma", "10", "-q"]) == 0
    pages = {name: [page.pixels for page in read_pages(f"many-noisy/{name}")] for name in ("a.tif", "b.tif")}
    for name, noisy in pages.items():
        np.testing.assert_array_equal(noisy[0], read_image(f"one-noisy/{name}").pixels)
    assert len({page.tobytes() for noisy in pages.values() for page in noisy}) == 6


@pytest.mark.parametrize("big", [False, True])
def test_a_page_in_hand_is_the_last_so_that_none_behind_it_are_counted(big: bool) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        for value in range(3):
            writer.write(np.full((4, 6), value, np.uint8), contiguous=False)
    data = file.getvalue()
    spare = bytearray(data)
    for page in read_tables(data)[1:]:
        (table,) = read_tables(bytes(_from_page(data, page, 0, spare)))
        assert table.offset == page.offset
