"""The metadata of image files: kept from format to format, in step with the pixels; what is lost is named."""

import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from aeinfer.errors import ImageWriteError, InputError
from aeinfer.file_format import inspect
from aeinfer.image import read_image, write_image
from aeinfer.picture import turn, upright
from aeinfer.tiff_tags import read_orientation
from tests.pictures import _quiet, needs_metadata, pixels_of, saved  # noqa: F401 (a fixture)

cv2 = pytest.importorskip("cv2")


XMP = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'


def written(path: Path, pixels: np.ndarray, metadata: Mapping[str, bytes]) -> frozenset[str]:
    try:
        return write_image(path, pixels, metadata=metadata)
    except ImageWriteError as error:
        pytest.skip(f"this OpenCV writes no {path.suffix}: {error}")


def blocks_of(path: Path) -> dict[str, object]:
    pil = pytest.importorskip("PIL.Image")
    with pil.open(path) as opened:
        opened.load()
        xmp = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp", "").encode()
        exif = opened.getexif()
        return {"text": exif.get(270), "orientation": exif.get(274), "icc": opened.info.get("icc_profile"), "xmp": xmp}


@needs_metadata
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "avif"])
def test_metadata_goes_from_format_to_format(tmp_path: Path, source: str, target: str) -> None:
    pil = pytest.importorskip("PIL.Image")
    cms, png = pytest.importorskip("PIL.ImageCms"), pytest.importorskip("PIL.PngImagePlugin")
    exif, info = pil.Exif(), png.PngInfo()
    exif[270], exif[274] = "a caption", 6
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    profile = cms.ImageCmsProfile(cms.createProfile("sRGB")).tobytes()
    path, copy = tmp_path / f"a.{source}", tmp_path / f"b.{target}"
    extra = {"pnginfo": info} if source == "png" else {"xmp": XMP}
    try:
        pil.fromarray(pixels_of((20, 30, 3))).save(path, exif=exif, icc_profile=profile, **extra)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {source}: {error}")

    picture = read_image(path)
    turned = source == "avif"  # which has a box of its own for that, not the tag
    assert picture.pixels.shape == ((30, 20, 3) if turned else (20, 30, 3))  # not turned: the tag still says how to
    assert picture.lost == frozenset()
    assert written(copy, picture.pixels, picture.metadata) == frozenset()
    found = blocks_of(copy)
    assert found["text"] == "a caption"
    assert found["orientation"] in ((None, 1) if turned else (6,))
    assert found["icc"] == profile
    assert found["xmp"] == XMP


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turn_is_what_viewers_do(orientation: int) -> None:
    pil, ops = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    pixels = pixels_of((5, 8, 3))
    picture = pil.fromarray(pixels)
    picture.getexif()[274] = orientation
    np.testing.assert_array_equal(turn(pixels, orientation), np.asarray(ops.exif_transpose(picture)))


@needs_metadata
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("source", ["jpg", "tiff", "avif"])
@pytest.mark.parametrize("target", ["png", "bmp"])
def test_pictures_look_the_same_whatever_can_carry_the_orientation(
    tmp_path: Path, orientation: int, source: str, target: str
) -> None:
    pil, ops = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    pixels = np.kron(pixels_of((3, 5, 3)), np.ones((16, 16, 1), np.uint8))
    exif = pil.Exif()
    exif[274] = orientation
    path, copy = tmp_path / f"a.{source}", tmp_path / f"b.{target}"
    quality = {} if source == "tiff" else {"quality": 100, "subsampling": "4:4:4"}
    try:
        pil.fromarray(pixels).save(path, exif=exif, **quality)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {source}: {error}")
    with pil.open(path) as opened:
        expected = np.asarray(ops.exif_transpose(opened), int)
    picture = read_image(path)
    write_image(copy, picture.pixels, metadata=picture.metadata)
    with pil.open(copy) as opened:
        seen = np.asarray(ops.exif_transpose(opened), int)
    assert seen.shape == expected.shape
    assert np.abs(seen - expected).max() <= 8
    assert np.abs(upright(picture).pixels.astype(int) - expected).max() <= 8


@needs_metadata
@pytest.mark.parametrize("length", [1, 65519, 65520, 200_000, 17_000_000])
def test_a_jpeg_has_a_profile_in_as_many_pieces_as_it_takes(tmp_path: Path, length: int) -> None:
    icc, exif, target = bytes(length), b"II*\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, 6, 0), tmp_path / "a.jpg"
    lost = write_image(target, pixels_of((4, 6)), metadata={"icc": icc, "exif": exif, "resolution": b"300 300 inch"})
    assert lost == ({"icc"} if length == 17_000_000 else set())
    assert read_image(target).metadata.get("icc", icc) == icc
    with pytest.importorskip("PIL.Image").open(target) as opened:
        assert opened.info.get("icc_profile", icc) == icc
        assert (opened.getexif()[274], opened.info["dpi"]) == (6, (300, 300))


def test_without_opencv_5_losses_are_named_and_the_picture_stands_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pil = pytest.importorskip("PIL.Image")
    monkeypatch.delattr(cv2, "imdecodeWithMetadata", raising=False)
    monkeypatch.delattr(cv2, "imencodeWithMetadata", raising=False)
    exif = pil.Exif()
    exif[274] = 6
    pil.fromarray(pixels_of((20, 30, 3))).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"x" * 200)
    picture = read_image(tmp_path / "a.jpg")  # whose blocks are read from its bytes
    assert write_image(tmp_path / "b.jpg", picture.pixels, metadata=picture.metadata) == {"exif", "icc"}
    assert read_image(tmp_path / "b.jpg").pixels.shape == (30, 20, 3)
    pil.fromarray(pixels_of((20, 30, 3))).save(tmp_path / "a.png", exif=exif, icc_profile=b"x" * 200)
    picture = read_image(tmp_path / "a.png")
    assert picture.lost == {"exif", "icc"}
    assert picture.metadata == {}
    assert picture.pixels.shape == (30, 20, 3)


def test_formats_without_metadata_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    pil = pytest.importorskip("PIL.Image")
    pil.fromarray(pixels_of((4, 4, 3))).save(tmp_path / "a.tif", icc_profile=b"x" * 200)
    assert read_image(tmp_path / "a.tif").metadata["icc"] == b"x" * 200
    assert write_image(tmp_path / "b.tif", pixels_of((4, 4, 3)), metadata={"icc": b"x"}) == {"icc"}


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    png = saved(pixels_of((4, 4, 3)), "PNG")
    coded = b"".join(struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    return png[:33] + coded + png[33:]


def gamma(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


PRIMARIES = b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
OTHERS = b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


@pytest.mark.parametrize(
    ("chunks", "kinds"),
    [
        ([(b"tEXt", b"Author\0somebody")], {"text"}),
        ([(b"zTXt", b"Author\0\0" + zlib.compress(b"somebody"))], {"text"}),
        ([(b"iTXt", b"Title\0\0\0\0\0a picture")], {"text"}),
        ([(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)], {"xmp"}),
        ([(b"zTXt", b"Raw profile type iptc\0\0")], {"iptc"}),
        ([(b"tEXt", b"Software\0a program"), (b"tEXt", b"date:create\0today")], set()),
        ([gamma(100000)], {"gamma"}),
        ([gamma(45455)], set()),
        ([gamma(45454), PRIMARIES], set()),
        ([gamma(45455), OTHERS], {"primaries"}),
        ([OTHERS], {"primaries"}),
        ([(b"sRGB", b"\0"), gamma(100000), OTHERS], set()),
        ([(b"cICP", b"\1\r\0\1"), gamma(100000)], {"cicp"}),
        ([(b"gAMA", b"")], set()),
    ],
)
def test_what_a_png_says_is_found_unless_it_goes_without_saying(
    chunks: list[tuple[bytes, bytes]], kinds: set[str]
) -> None:
    assert inspect(png_with(*chunks)).metadata == kinds


def test_what_nobody_carries_is_named(tmp_path: Path) -> None:
    jpeg = saved(pixels_of((4, 4, 3)), "JPEG", comment=b"hello")
    iptc = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0" + struct.pack(">I", 6) + b"\x1c\2\x78\0\1a"
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + jpeg[2:])
    assert read_image(tmp_path / "a.jpg").lost == {"comment", "iptc"}
    (tmp_path / "a.png").write_bytes(png_with(gamma(100000), OTHERS, (b"tEXt", b"Author\0somebody")))
    assert read_image(tmp_path / "a.png").lost == {"gamma", "primaries", "text"}


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def exif_with(orientation: int) -> bytes:
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIII", 8, 1, 274, 3, 1, orientation << 16, 0)


PROFILE = bytes(range(256)) * 3
PIECES = [b"ICC_PROFILE\0" + bytes([number, 2]) + part for number, part in ((1, PROFILE[:500]), (2, PROFILE[500:]))]
STRANGE = b"MPF\0MM\0*" + bytes(60)  # where the other pictures of a file are: OpenCV takes it for a profile


@pytest.mark.parametrize(
    ("segments", "blocks", "lost"),
    [
        ([(0xE2, PIECES[0]), (0xE2, PIECES[1])], {"icc": PROFILE}, set()),
        ([(0xE2, PIECES[1]), (0xE2, STRANGE), (0xE2, PIECES[0])], {"icc": PROFILE}, set()),
        ([(0xE2, STRANGE)], {}, set()),
        ([(0xE2, b"FPXR\0" + bytes(80))], {}, set()),
        ([(0xE2, PIECES[0])], {}, {"icc"}),
        ([(0xE2, PIECES[0]), (0xE2, PIECES[0])], {}, {"icc"}),
        ([(0xE2, b"ICC_PROFILE\0")], {}, {"icc"}),
        (
            [(0xE1, exif_with(6)), (0xE1, exif_with(1))],
            {"exif": exif_with(6).removeprefix(b"Exif\0\0")},
            {"second exif"},
        ),
        (
            [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), (0xE1, b"http://ns.adobe.com/xmp/extension/\0more")],
            {"xmp": XMP},
            {"xmp extension"},
        ),
    ],
)
def test_blocks_of_a_jpeg_are_its_own(
    tmp_path: Path, segments: list[tuple[int, bytes]], blocks: dict[str, bytes], lost: set[str]
) -> None:
    jpeg = saved(pixels_of((4, 4, 3)), "JPEG")
    (tmp_path / "a.jpg").write_bytes(jpeg[:20] + b"".join(segment(*each) for each in segments) + jpeg[20:])
    picture = read_image(tmp_path / "a.jpg")
    assert {kind: block for kind, block in picture.metadata.items() if kind != "resolution"} == blocks
    assert picture.lost == lost


def test_a_second_picture_in_a_jpeg_is_said_to_be_lost(tmp_path: Path) -> None:
    jpeg = saved(pixels_of((4, 4, 3)), "JPEG")
    (tmp_path / "a.jpg").write_bytes(jpeg + jpeg)
    assert read_image(tmp_path / "a.jpg").lost == {"second picture"}
    (tmp_path / "a.jpg").write_bytes(jpeg + bytes(9))
    assert read_image(tmp_path / "a.jpg").lost == frozenset()


def test_a_film_behind_a_jpeg_is_said_to_be_lost(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(pixels_of((4, 4, 3)), "JPEG") + b"\0\0\0\x18ftypmp42" + bytes(50))
    assert read_image(tmp_path / "a.jpg").lost == {"film"}


def test_the_layers_of_a_tiff_are_said_to_be_lost(tmp_path: Path) -> None:
    tags = {37724: b"Adobe Photoshop Document Data Block\0" + bytes(40)}
    (tmp_path / "a.tif").write_bytes(saved(pixels_of((4, 4, 3)), "TIFF", tiffinfo=tags))
    assert read_image(tmp_path / "a.tif").lost == {"layers"}


@needs_metadata
@pytest.mark.parametrize(("primaries", "transfer", "known"), [(12, 13, True), (9, 16, True), (2, 2, False)])
def test_the_colours_that_an_avif_tells_of_go_where_they_can(
    tmp_path: Path, primaries: int, transfer: int, known: bool
) -> None:
    try:
        data = saved(pixels_of((16, 16, 3)), "AVIF")
    except (KeyError, ValueError) as error:
        pytest.skip(f"this Pillow has no AVIF: {error}")
    at = data.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])
    picture = read_image(tmp_path / "a.avif")
    assert picture.metadata == ({"cicp": bytes([primaries, transfer, 0, 1])} if known else {})
    lost = write_image(tmp_path / "b.avif", picture.pixels, metadata=picture.metadata)
    assert lost == ({"cicp"} if known else frozenset())
    write_image(tmp_path / "c.png", picture.pixels, metadata=picture.metadata)
    assert read_image(tmp_path / "c.png").metadata == picture.metadata


@needs_metadata
@pytest.mark.parametrize("keyword", [b"Raw profile type exif", b"Raw profile type APP1"])
def test_exif_in_a_text_of_a_png_is_no_text_that_is_lost(tmp_path: Path, keyword: bytes) -> None:
    exif = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 270, 2, 2, 0x61000000, 0)
    profile = f"\nexif\n{len(exif) + 6:8}\n{(b'Exif' + bytes(2) + exif).hex()}\n".encode()
    (tmp_path / "a.png").write_bytes(png_with((b"zTXt", keyword + b"\0\0" + zlib.compress(profile))))
    picture = read_image(tmp_path / "a.png")
    assert picture.metadata == {"exif": exif}
    assert picture.lost == frozenset()


def profile(length: int) -> bytes:
    """The smallest colour profile that libpng accepts, a header without tags, which says that it is so long."""
    header = bytearray(max(length, 132))
    header[:4] = length.to_bytes(4, "big")
    header[8:24] = b"\x02\0\0\0mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[68:80] = bytes.fromhex("0000f6d6000100000000d32d")  # the D50 white that every profile names
    return bytes(header[:length])


@pytest.mark.parametrize("suffix", ["avif", "png", "webp", "jpg", "tiff"])
def test_damaged_blocks_do_not_cost_the_picture(suffix: str, tmp_path: Path) -> None:
    blocks = {"exif": b"no EXIF", "icc": b"no profile", "xmp": b"\xff\x00"}
    lost = written(tmp_path / f"picture.{suffix}", pixels_of((4, 6, 3)), blocks)
    assert lost <= blocks.keys()
    assert read_image(tmp_path / f"picture.{suffix}").pixels.shape == (4, 6, 3)


def test_a_resolution_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="300 300 inch"):
        write_image(tmp_path / "picture.png", pixels_of((4, 6, 3)), metadata={"resolution": b"much"})
    assert not list(tmp_path.iterdir())


def test_an_orientation_counts_whatever_its_table_says_of_a_next() -> None:
    """OpenCV and viewers read the first table alone: a picture was turned twice."""
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\xfe\0"
    assert read_orientation(exif) == 6


@needs_metadata
def test_an_avif_that_opencv_would_not_know_again_is_written_without_a_block(tmp_path: Path) -> None:
    """It looks at the first 500 bytes, and takes boxes that end just there for no AVIF."""
    for length in range(128, 148, 4):
        blocks = {"icc": profile(length), "xmp": b"<x:xmpmeta/>"}
        lost = written(tmp_path / "picture.avif", pixels_of((4, 6, 3)), blocks)
        assert lost < {"icc", "xmp"}
        assert len(read_image(tmp_path / "picture.avif").metadata) == 2 - len(lost)
