"""Facts to metadata and back; what a file does not state is assumed aloud, what is damaged is refused."""

import warnings
from dataclasses import fields, replace

import pytest

from aeinfer.errors import ModelError
from aeinfer.model_info import ModelInfo, info_from_metadata, metadata_from_info

FREE = ["batch", 3, "height", "width"]
FULL = ModelInfo(
    name="größe",
    architecture="unet",
    channels=3,
    tile=None,
    stride=16,
    code=64,
    halo=48,
    halo_error=0.31,
    precision="int8",
    noise="gaussian, sigma 0-55",
    bytes_per_pixel=512,
    torch_error=3e-6,
    psnr={"kodak 25": 30.1},
    saturates=False,
    calibration="32 tiles",
    training_data="photographs",
    training_license="CC0",
    commit="abc",
    author="someone",
    license="MIT",
)


def read(metadata: dict[str, str], shape: list[int | str | None]) -> ModelInfo:
    return info_from_metadata(metadata, shape, name="file", fingerprint="0123")


def test_every_fact_survives_the_file() -> None:
    defaults = {f.name for f in fields(FULL) if getattr(FULL, f.name) == getattr(ModelInfo(), f.name)}
    assert defaults == {"channels", "tile", "fingerprint"}, "a fact at its default proves nothing"
    metadata = metadata_from_info(FULL)
    assert all(isinstance(value, str) for value in metadata.values())
    assert read(metadata, FREE) == replace(FULL, fingerprint="0123")


def test_onnx_has_keys_of_its_own_for_some_facts() -> None:
    metadata = metadata_from_info(replace(FULL, channels=1))
    assert metadata["model_author"] == "someone"
    assert metadata["model_license"] == "MIT"
    assert metadata["Image.BitmapPixelFormat"] == "Gray8"
    assert metadata["Image.NominalPixelRange"] == "Normalized_0_1"
    assert metadata_from_info(FULL)["Image.BitmapPixelFormat"] == "Rgb8"


def test_facts_of_a_later_minor_version_are_passed_over() -> None:
    assert read(metadata_from_info(FULL) | {"aeinfer.mood": '"good"', "other.key": "{"}, FREE).stride == 16


@pytest.mark.parametrize(
    ("metadata", "shape", "assumed", "expected"),
    [
        ({}, FREE, "channels=3, tile=None, stride=16, halo=64", ModelInfo(stride=16, halo=64)),
        ({}, [None, 1, None, None], "channels=1, tile=None", ModelInfo(channels=1, stride=16, halo=64)),
        ({}, [1, 1, 28, 28], "channels=1, tile=28, stride=1, halo=0", ModelInfo(channels=1, tile=28)),
        (
            {"aeinfer.stride": "4", "aeinfer.tile": "null", "aeinfer.channels": "3", "model_license": "MIT"},
            FREE,
            "halo=64",
            ModelInfo(stride=4, halo=64, license="MIT"),
        ),
    ],
)
def test_what_is_not_stated_is_assumed_with_one_warning(
    metadata: dict[str, str], shape: list[int | str | None], assumed: str, expected: ModelInfo
) -> None:
    with pytest.warns(
        UserWarning, match=f"file does not state all aeinfer facts; assumed from its input: {assumed}"
    ) as w:
        info = read(metadata, shape)
    assert len(w) == 1
    assert info == replace(expected, name="file", fingerprint="0123")


def test_stated_facts_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(metadata_from_info(ModelInfo()), FREE)


@pytest.mark.parametrize(
    "shape", [["batch", 784], [1, 2, "h", "w"], ["n", "c", "h", "w"], [1, 28, 28, 3], [1, 3, 8, 8, 8], []]
)
def test_a_model_of_something_else_is_refused(shape: list[int | str | None]) -> None:
    with pytest.raises(ModelError, match="file: expected a model of images"):
        read(metadata_from_info(FULL), shape)


@pytest.mark.parametrize(
    ("tile", "shape", "message"),
    [
        (None, [4, 3, "h", "w"], "a batch of any size or of 1, but its input has 4"),
        (None, [1, 3, 32, 32], "images of any size, its input has 32x32"),
        (16, ["n", 3, 32, 32], "images of 16, its input has 32x32"),
    ],
)
def test_facts_of_another_input_are_refused(tile: int | None, shape: list[int | str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read(metadata_from_info(ModelInfo(tile=tile)), shape)


@pytest.mark.parametrize("sides", [(28, 30), (28, "w"), ("h", 28)])
def test_half_fixed_sides_cannot_be_assumed(sides: tuple[int | str, int | str]) -> None:
    with pytest.raises(ModelError, match="free sides or a square window, but its input is"):
        read({}, ["batch", 1, *sides])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("aeinfer.stride", "{", "damaged"),
        ("aeinfer.psnr", '{"sigma 25": Infinity}', "damaged .Infinity is no number of JSON"),
        ("aeinfer.psnr", '{"sigma 25": 1e999}', "damaged .1e999 is more than a float holds"),
        ("aeinfer.noise", "[" * 100_000, "damaged"),
        ("aeinfer.stride", '"four"', "stride is 'four'"),
        ("aeinfer.stride", "0", "stride is 0"),
        ("aeinfer.stride", "10000000000", "stride is 10000000000"),
        ("aeinfer.halo", "-1", "halo is -1"),
        ("aeinfer.halo", "1.5", "halo is 1.5"),
        ("aeinfer.tile", "0", "tile is 0"),
        ("aeinfer.bytes_per_pixel", "null", "bytes_per_pixel is None"),
        ("aeinfer.schema", '"x"', "schema is 'x'"),
        ("aeinfer.schema", "2", "of schema 2, newer than 1: update aeinfer"),
        ("aeinfer.channels", "1", "say 1 channels, its input has 3"),
    ],
)
def test_damaged_facts_are_named(key: str, value: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read(metadata_from_info(FULL) | {key: value}, FREE)
    assert str(caught.value).startswith("file: ")
