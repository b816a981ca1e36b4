"""Image files: what comes back is what was there, and what cannot be written is refused by name."""

from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np
import pytest

from aeinfer import atomic
from aeinfer.errors import BackendMissingError, ImageWriteError, InputError
from aeinfer.file_format import inspect
from aeinfer.formats import FORMATS
from aeinfer.image import read_image, write_image
from aeinfer.opencv import caption_strip, quiet_opencv
from aeinfer.picture import join_alpha, split_alpha
from tests.pictures import _quiet, pixels_of  # noqa: F401 (a fixture)

cv2 = pytest.importorskip("cv2")

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


def test_jpeg_keeps_full_colour_resolution_at_quality_95_unless_told(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pixels = pixels_of((64, 64, 3))
    write_image(tmp_path / "a.jpg", pixels)
    write_image(tmp_path / "b.jpg", pixels, quality=30)
    write_image(tmp_path / "c.jpg", pixels, quality=95)
    with pil.open(tmp_path / "a.jpg") as opened:
        assert [component[1:3] for component in opened.layer] == [(1, 1)] * 3
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size / 2
    assert (tmp_path / "c.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()


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
    assert inspect((tmp_path / "a.tif").read_bytes()).extra == 2
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


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

    monkeypatch.setattr(atomic, "write_all", half)
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


@pytest.mark.parametrize("version", [4, 5])
def test_opencv_is_silenced_wherever_it_has_its_levels(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    levels: list[int] = []
    logging = SimpleNamespace(setLogLevel=levels.append)
    stand_in = logging if version == 4 else SimpleNamespace(utils=SimpleNamespace(logging=logging))
    monkeypatch.setattr("aeinfer.opencv.load_opencv", lambda: stand_in)
    quiet_opencv()
    assert levels == [0]


def test_missing_opencv_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(BackendMissingError, match=r"aeinfer\[cpu\]"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("shape", "colours", "has_alpha"),
    [((3, 5), np.s_[:], False), ((3, 5, 3), np.s_[:], False), ((3, 5, 2), 0, True), ((3, 5, 4), np.s_[:3], True)],
)
def test_alpha_parts_and_joins(shape: tuple[int, ...], colours: int | slice, has_alpha: bool) -> None:
    pixels = pixels_of(shape)
    colour, alpha = split_alpha(pixels)
    np.testing.assert_array_equal(colour, pixels[..., colours])
    assert (alpha is not None) == has_alpha
    if has_alpha:
        np.testing.assert_array_equal(alpha, pixels[..., -1])
    np.testing.assert_array_equal(join_alpha(colour, alpha), pixels)


def test_caption_strip_is_as_wide_as_asked_and_has_ink() -> None:
    strip = caption_strip("20.17 dB", 300)
    assert strip.shape[1:] == (300, 3)
    assert strip.min() < 64
    assert caption_strip("a long caption", 10).shape[1] > 10
    np.testing.assert_array_equal(caption_strip("caf\udce9", 99), caption_strip("caf?", 99))


@pytest.mark.parametrize("step", ["imdecodeWithMetadata", "imencode", "cvtColor"])
def test_too_little_memory_for_opencv_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def refuse(*_arguments: object) -> None:
        error = cv2.error("Failed to allocate 192000000 bytes")
        error.code, error.err = cv2.Error.StsNoMem, str(error)
        raise error

    write_image(tmp_path / "good.png", pixels_of((4, 6, 3)))
    monkeypatch.setattr(cv2, step, refuse, raising=False)
    with pytest.raises(MemoryError, match="192000000"):
        write_image(tmp_path / "other.png", read_image(tmp_path / "good.png").pixels)


@pytest.mark.parametrize("name", ["jpg", "webp", "avif"])
def test_as_many_pixels_along_a_side_as_a_format_holds(tmp_path: Path, name: str) -> None:
    side = FORMATS[name].side
    with pytest.raises(ImageWriteError, match=f"holds up to {side} pixels along a side, not 1 x {side + 1}"):
        write_image(tmp_path / "a", np.zeros((side + 1, 1), np.uint8), format=name)
    if name != "avif":  # which takes a second
        write_image(tmp_path / "b", np.zeros((side, 1), np.uint8), format=name)
        assert read_image(tmp_path / "b").pixels.shape[:2] == (side, 1)
