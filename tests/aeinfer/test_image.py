"""Image files: what comes back is what was there, and what cannot is refused by name."""

import io
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import atomic, image
from aeinfer.errors import BackendMissingError, ImageReadError, ImageWriteError, InputError
from aeinfer.file_format import FORMATS, inspect
from aeinfer.image import read_image, write_image
from aeinfer.picture import join_alpha, split_alpha, turn, upright

cv2 = pytest.importorskip("cv2")
needs_metadata = pytest.mark.skipif(
    not hasattr(cv2, "imdecodeWithMetadata"), reason="metadata needs OpenCV 5 (imdecodeWithMetadata)"
)


@pytest.fixture(autouse=True)
def _quiet():
    before = cv2.utils.logging.getLogLevel()
    image.quiet_opencv()
    yield
    cv2.utils.logging.setLogLevel(before)


def pixels_of(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.normal(0.5, 1, shape).astype(np.float32)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


LOSSLESS = [
    (name, dtype, channels)
    for name in ("png", "webp", "tiff", "bmp")
    for dtype in FORMATS[name].dtypes
    for channels in ((), (3,), (4,))
    if (name, channels) != ("webp", ())  # WebP knows no grey
]


@pytest.mark.parametrize(("name", "dtype", "channels"), LOSSLESS)
def test_lossless_formats_return_every_bit(tmp_path: Path, name: str, dtype: str, channels: tuple[int, ...]) -> None:
    pixels = pixels_of((13, 17, *channels), dtype)
    if channels == (4,):
        pixels[:5, :, 3] = 0  # colours under full transparency stay too
    path = tmp_path / f"фото 写真.{name}"
    write_image(path, pixels)
    picture = read_image(path)
    assert picture.format == name
    assert picture.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["png", "jpg", "webp", "tiff", "bmp", "avif"])
def test_colour_order_is_rgb(tmp_path: Path, name: str) -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, :, 0] = 200
    path = tmp_path / f"red.{name}"
    try:
        write_image(path, red)
    except ImageWriteError as error:
        if name == "avif":
            pytest.skip(f"this OpenCV has no AVIF: {error}")
        raise
    back = read_image(path).pixels.astype(int)
    assert np.abs(back - red).max() <= 8


def test_jpeg_keeps_full_colour_resolution_and_quality_works(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pixels = pixels_of((64, 64, 3))
    write_image(tmp_path / "a.jpg", pixels)
    write_image(tmp_path / "b.jpg", pixels, quality=30)
    with pil.open(tmp_path / "a.jpg") as opened:
        assert [component[1:3] for component in opened.layer] == [(1, 1)] * 3
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size / 2


def test_grey_with_alpha_comes_back_as_two_channels_and_is_written_as_rgba(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pixels = pixels_of((9, 7, 2))
    pil.fromarray(pixels, "LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, pixels)
    write_image(tmp_path / "b.png", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").pixels, pixels[:, :, [0, 0, 0, 1]])


def test_one_transparent_grey_becomes_alpha(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pixels = pixels_of((9, 7)) // 16
    pil.fromarray(pixels).save(tmp_path / "a.png", transparency=3)
    back = read_image(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(back[:, :, 0], pixels)
    np.testing.assert_array_equal(back[:, :, 1], np.where(pixels == 3, 0, 255))


def test_straight_alpha_in_tiff_leaves_the_colours_alone(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pixels = pixels_of((9, 7, 4))
    pil.fromarray(pixels, "RGBA").save(tmp_path / "a.tif")
    assert inspect((tmp_path / "a.tif").read_bytes()).straight_alpha
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def saved(pixels: np.ndarray, name: str, **options: object) -> bytes:
    pil = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pil.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


BAD = {
    "empty.png": (lambda: b"", "empty"),
    "text.png": (lambda: b"this is not an image at all, only words\n", "text"),
    "pointer.png": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "noise.png": (lambda: b"\x00\x01\x02\x03\xfe\xfc", "not an image"),
    "gif.png": (lambda: b"GIF89a" + bytes(20), "GIF"),
    "half.jpg": (lambda: saved(pixels_of((64, 64, 3)), "JPEG")[:3000], "truncated"),
    "tail.jpg": (lambda: saved(pixels_of((64, 64, 3)), "JPEG")[:-1], "truncated"),
    "head.jpg": (lambda: saved(pixels_of((64, 64, 3)), "JPEG")[:30], "truncated"),
    "half.png": (lambda: saved(pixels_of((64, 64, 3)), "PNG")[:3000], "truncated"),
    "tail.png": (lambda: saved(pixels_of((64, 64, 3)), "PNG")[:-1], "truncated"),
    "middle.png": (lambda: damaged(saved(pixels_of((64, 64, 3)), "PNG")), "IDAT chunk does not match"),
    "half.webp": (lambda: saved(pixels_of((64, 64, 3)), "WEBP")[:900], "truncated"),
    "half.tif": (lambda: saved(pixels_of((64, 64, 3)), "TIFF")[:3000], "truncated"),
    "half.bmp": (lambda: saved(pixels_of((64, 64, 3)), "BMP")[:3000], "damaged"),
    "grey-alpha.tif": (lambda: saved(pixels_of((8, 8, 2)), "TIFF"), "samples"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_as_what_they_are(tmp_path: Path, name: str) -> None:
    make, words = BAD[name]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(ImageReadError, match=words) as caught:
        read_image(tmp_path / name)
    assert name in str(caught.value)


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


def test_missing_file_and_folder(tmp_path: Path) -> None:
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


@settings(max_examples=300, deadline=None)
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


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "words"),
    [
        ("a.jpg", (4, 4, 3), "uint16", "uint16"),
        ("a.jpg", (4, 4, 4), "uint8", "alpha"),
        ("a.webp", (4, 4, 3), "float32", "float32"),
        ("a.png", (4, 4), "float32", "tiff"),
        ("a.bmp", (4, 4), "uint16", "png"),
        ("a.xyz", (4, 4), "uint8", "suffix"),
        ("a", (4, 4), "uint8", "suffix"),
        ("a.webp", (2, 20000, 3), "uint8", "webp"),  # more than WebP's 16383
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], dtype: str, words: str
) -> None:
    with pytest.raises(ImageWriteError, match=words):
        write_image(tmp_path / name, np.zeros(shape, dtype))
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments_are_input_errors(tmp_path: Path) -> None:
    for bad in (np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(InputError, match="shape"):
            write_image(tmp_path / "a.png", bad)
    for quality in (0, 101):
        with pytest.raises(InputError, match="quality"):
            write_image(tmp_path / "a.jpg", np.zeros((4, 4), np.uint8), quality=quality)
    with pytest.raises(InputError, match="format"):
        write_image(tmp_path / "a.png", np.zeros((4, 4), np.uint8), format="jxl")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException | type[BaseException]
) -> None:
    target = tmp_path / "a.png"
    write_image(target, np.full((4, 4), 7, np.uint8))

    def half(file: IO[bytes], data: bytes) -> None:
        file.write(data[: len(data) // 2])
        raise stop

    monkeypatch.setattr(atomic, "_write_all", half)
    with pytest.raises((KeyboardInterrupt, ImageWriteError)) as caught:
        write_image(target, np.full((4, 4), 9, np.uint8))
    if not isinstance(caught.value, KeyboardInterrupt):
        assert "No space left" in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    assert (read_image(target).pixels == 7).all()


def test_a_target_whose_folder_is_a_file_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(ImageWriteError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", np.zeros((4, 4), np.uint8))


def test_missing_opencv_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(BackendMissingError, match=r"aeinfer\[cpu\]"):
        read_image(tmp_path / "a.png")


XMP = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'


def blocks_of(path: Path) -> dict[str, object]:
    pil = pytest.importorskip("PIL.Image")
    with pil.open(path) as opened:
        opened.load()
        xmp = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp", "").encode()
        exif = opened.getexif()
        return {"text": exif.get(270), "orientation": exif.get(274), "icc": opened.info.get("icc_profile"), "xmp": xmp}


@needs_metadata
@pytest.mark.parametrize("source", ["jpg", "png", "webp"])
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
    pil.fromarray(pixels_of((20, 30, 3))).save(path, exif=exif, icc_profile=profile, **extra)

    picture = read_image(path)
    assert picture.pixels.shape == (20, 30, 3)  # not turned: the tag still says how to
    assert picture.lost == frozenset()
    try:
        assert write_image(copy, picture.pixels, metadata=picture.metadata) == frozenset()
    except ImageWriteError as error:
        pytest.skip(f"this OpenCV writes no {target}: {error}")
    found = blocks_of(copy)
    assert found["text"] == "a caption"
    assert found["orientation"] == 6
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


def test_without_opencv_5_losses_are_named_and_the_picture_stands_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pil = pytest.importorskip("PIL.Image")
    monkeypatch.delattr(cv2, "imdecodeWithMetadata", raising=False)
    monkeypatch.delattr(cv2, "imencodeWithMetadata", raising=False)
    exif = pil.Exif()
    exif[274] = 6
    pil.fromarray(pixels_of((20, 30, 3))).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"x" * 200)
    picture = read_image(tmp_path / "a.jpg")
    assert picture.lost == {"exif", "icc"}
    assert picture.metadata == {}
    assert picture.pixels.shape == (30, 20, 3)
    assert write_image(tmp_path / "b.jpg", picture.pixels, metadata={"icc": b"x"}) == {"icc"}


def test_formats_without_metadata_say_so(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pil.fromarray(pixels_of((4, 4, 3))).save(tmp_path / "a.tif", icc_profile=b"x" * 200)
    assert read_image(tmp_path / "a.tif").lost == {"icc"}
    assert write_image(tmp_path / "b.tif", pixels_of((4, 4, 3)), metadata={"icc": b"x"}) == {"icc"}


@given(st.sampled_from([(3, 5), (3, 5, 2), (3, 5, 3), (3, 5, 4)]), st.integers(0, 99))
def test_alpha_parts_and_joins(shape: tuple[int, ...], seed: int) -> None:
    pixels = pixels_of(shape, seed=seed)
    colour, alpha = split_alpha(pixels)
    assert (alpha is None) == (shape[2:] in ((), (3,)))
    np.testing.assert_array_equal(join_alpha(colour, alpha), pixels)


def test_caption_strip_is_as_wide_as_asked_and_has_ink() -> None:
    strip = image.caption_strip("20.17 dB", 300)
    assert strip.shape[1:] == (300, 3)
    assert strip.min() < 64
    assert image.caption_strip("a long caption", 10).shape[1] > 10
