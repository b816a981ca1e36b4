"""AEInfer: one image or many, whole or in tiles, in place or not: the same result."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer, arrays, kernels
from aeinfer.errors import InputError, ModelError
from aeinfer.model_info import ModelInfo, metadata_from_info
from aeinfer.session import Session
from aeinfer.tiling import blend_weights, plan_windows
from tests import handmade, reference

DTYPES = ["uint8", "uint16", "float32"]
SHAPES = [(13, 18), (13, 18, 1), (13, 18, 2), (13, 18, 3), (13, 18, 4)]


def picture(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape, np.float32)
    return kernels.from_float(values * 1.2 - 0.1, dtype)


@pytest.fixture(scope="module")
def color(tiny_model: Path) -> Iterator[AEInfer]:
    with AEInfer.load(tiny_model, threads=1) as ae:
        yield ae


@pytest.fixture(scope="module")
def grey(tiny_grey: Path) -> Iterator[AEInfer]:
    with AEInfer.load(tiny_grey, threads=1) as ae:
        yield ae


@pytest.fixture(scope="module")
def tiled(tiny_model: Path) -> Iterator[AEInfer]:
    """Keeps 16 pixels a tile, and runs three tiles at once."""
    with AEInfer.load(tiny_model, threads=1, tile=16, batch=3) as ae:
        yield ae


@pytest.fixture(scope="module")
def window(tiny_window: Path) -> Iterator[AEInfer]:
    with AEInfer.load(tiny_window, threads=1) as ae:
        yield ae


# What goes in comes out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", ["color", "grey", "window"])
def test_every_shape_and_dtype_comes_back(
    request: pytest.FixtureRequest, model: str, shape: tuple[int, ...], dtype: str
) -> None:
    ae, image = request.getfixturevalue(model), picture(shape, dtype)
    before = image.copy()
    clean = ae(image)
    assert (clean.shape, clean.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(image, before, "the input is not to be modified")
    assert not np.shares_memory(clean, image)
    colors = {2: 1, 4: 3}.get(shape[-1] if len(shape) == 3 else 1)
    if colors:
        np.testing.assert_array_equal(clean[..., colors:], image[..., colors:], "alpha passes untouched")
        np.testing.assert_array_equal(clean[..., :colors], ae(np.ascontiguousarray(image[..., :colors])))
    assert np.abs(kernels.to_float(clean) - kernels.to_float(image)).mean() > 0.01, "the network did nothing"


def test_the_result_is_the_networks(color: AEInfer, tiny_model: Path) -> None:
    image = picture((16, 24, 3), "float32")
    direct = Session(tiny_model.read_bytes(), "tiny", threads=1).run(image.transpose(2, 0, 1)[None].copy())
    np.testing.assert_array_equal(color(image), direct[0].transpose(1, 2, 0))


@pytest.mark.parametrize("shape", [(13, 18, 3), (1, 1), (1, 1, 3), (1, 50, 3), (50, 1, 4)])
def test_the_edge_is_repeated_up_to_the_stride(color: AEInfer, shape: tuple[int, ...]) -> None:
    height, width, *channels = shape
    image = picture(shape, "float32")
    padded = np.pad(image, [(0, -height % 4), (0, -width % 4), *[(0, 0)] * len(channels)], "edge")
    np.testing.assert_array_equal(color(image), color(padded)[:height, :width])


@pytest.mark.parametrize(("dtype", "most"), [("uint16", 255), ("float32", 255.0)])
def test_no_value_tells_the_range(color: AEInfer, dtype: str, most: float) -> None:
    """An image of 8-bit values in a wider type is a dark one, or one that is far too bright."""
    image = (picture((16, 24, 3), "float32") * most).astype(dtype)
    expected = kernels.from_float(color(kernels.to_float(image)), dtype)
    np.testing.assert_allclose(color(image).astype(float), expected, atol=1 if dtype == "uint16" else 0)


def test_a_color_image_on_a_grey_model_goes_channel_by_channel(grey: AEInfer) -> None:
    image = picture((21, 18, 3))
    expected = np.stack([grey(image[..., c].copy()) for c in range(3)], 2)
    np.testing.assert_array_equal(grey(image), expected)


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_grey_image_on_a_color_model_is_repeated_and_averaged(color: AEInfer, strength: float) -> None:
    image = picture((21, 18), "float32")
    repeated = color(np.repeat(image[..., None], 3, 2), strength=strength)
    np.testing.assert_allclose(color(image, strength=strength), repeated.mean(2), atol=1e-6)


@pytest.mark.parametrize("channels", [3, 4])
def test_bgr_is_rgb_flipped(color: AEInfer, tiny_model: Path, channels: int) -> None:
    image = picture((21, 18, channels))
    swap = [2, 1, 0, 3][:channels]
    with AEInfer.load(tiny_model, threads=1, color="bgr") as bgr:
        np.testing.assert_array_equal(bgr(image[..., swap].copy()), color(image)[..., swap])


@pytest.mark.parametrize(
    "view", [lambda a: a[::-1], lambda a: a[:, ::2], lambda a: a.transpose(1, 0, 2), lambda a: a[..., ::-1]]
)
def test_views_of_any_strides_are_taken(color: AEInfer, view: Callable[[np.ndarray], np.ndarray]) -> None:
    image = view(picture((21, 18, 3)))
    np.testing.assert_array_equal(color(image), color(image.copy()))


def test_an_image_that_may_only_be_read_is_taken(color: AEInfer) -> None:
    image = picture((21, 18, 3))
    expected = color(image)
    image.flags.writeable = False
    np.testing.assert_array_equal(color(image), expected)


# Strength


@pytest.mark.parametrize("dtype", DTYPES)
def test_strength_blends_between_input_and_result(color: AEInfer, dtype: str) -> None:
    image = picture((21, 18, 3), dtype)
    np.testing.assert_array_equal(color(image, strength=0), image)
    full, part = kernels.to_float(color(image)), kernels.to_float(color(image, strength=0.25))
    expected = 0.75 * kernels.to_float(image) + 0.25 * full
    np.testing.assert_allclose(part, expected, atol={"uint8": 0.7 / 255, "uint16": 0.7 / 65535, "float32": 1e-6}[dtype])


# Tiles


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(150, 130), (97, 101)])
def test_tiled_equals_whole_bit_for_bit(color: AEInfer, tiled: AEInfer, size: tuple[int, int], dtype: str) -> None:
    image = picture((*size, 3), dtype)
    assert len(tiled._limits.plan(*size).positions) >= 4
    assert len(color._limits.plan(*size).positions) == 1
    np.testing.assert_array_equal(tiled(image), color(image))


def test_a_grey_model_tiles_too(grey: AEInfer, tiny_grey: Path) -> None:
    image = picture((150, 130, 4))
    with AEInfer.load(tiny_grey, threads=1, tile=20) as tiled:
        np.testing.assert_array_equal(tiled(image), grey(image))


def test_memory_bounds_the_tile_and_the_batch(tiny_model: Path, tiny_window: Path, color: AEInfer) -> None:
    image = picture((150, 130, 3))
    sizes: list[int] = []

    def recording(ae: AEInfer) -> AEInfer:
        run = ae._open_session().run
        ae._session.run = lambda batch: sizes.append(batch.size // batch.shape[1]) or run(batch)  # type: ignore
        return ae

    with recording(AEInfer.load(tiny_model, threads=1, max_memory_mb=12, batch=64)) as ae:
        np.testing.assert_array_equal(ae(image), color(image))
    assert len(sizes) >= 4
    assert max(sizes) * ae.info.bytes_per_pixel <= 4e6
    sizes.clear()
    with recording(AEInfer.load(tiny_window, threads=1, max_memory_mb=0.3)) as ae:
        ae(image)
    assert max(sizes) * ae.info.bytes_per_pixel <= 1e5
    with pytest.raises(InputError, match=r"max_memory_mb=0\.5 is too small for this model: give at least"):
        AEInfer.load(tiny_model, max_memory_mb=0.5)


# Windows


def test_windows_are_blended_as_their_twin_blends_them(window: AEInfer, tiny_window: Path) -> None:
    image = picture((21, 18), "float32")
    plan = plan_windows(21, 18, window=8)
    tiles = np.stack([image[None, top : top + 8, left : left + 8] for top, left in plan.positions])
    result = Session(tiny_window.read_bytes(), "window", threads=1).run(tiles)
    expected = reference.blend_tiles(result, plan.positions, blend_weights(8), 21, 18)[0]
    np.testing.assert_allclose(window(image), expected, atol=1e-6)
    colored = picture((21, 18, 3), "float32")
    for c in range(3):
        np.testing.assert_array_equal(window(colored)[..., c], window(colored[..., c].copy()))


@pytest.mark.parametrize("size", [(5, 3), (8, 8), (5, 30), (21, 8), (33, 31)])
def test_the_weights_of_windows_sum_to_one(size: tuple[int, int]) -> None:
    facts = metadata_from_info(ModelInfo(channels=1, tile=8))
    with AEInfer.load(handmade.model(["N", 1, 8, 8], facts=facts), batch=3) as unchanged:
        for dtype in ("uint8", "uint16"):
            image = picture(size, dtype)
            np.testing.assert_array_equal(unchanged(image), image)


def test_a_window_larger_than_the_image_repeats_its_edge(window: AEInfer) -> None:
    image = picture((5, 3), "float32")
    np.testing.assert_array_equal(window(image), window(np.pad(image, [(0, 3), (0, 5)], "edge"))[:5, :3])


# Batches


@pytest.mark.parametrize("model", ["color", "grey", "tiled", "window"])
def test_a_batch_of_any_sizes_equals_single_images(request: pytest.FixtureRequest, model: str) -> None:
    ae = request.getfixturevalue(model)
    shapes = [(13, 18, 3), (13, 18, 3), (97, 101, 3), (13, 18), (1, 1), (97, 101, 4), (14, 17, 2), (13, 18)]
    images = [picture(shape, dtype, i) for i, shape in enumerate(shapes) for dtype in ("uint8", "float32")]
    cleans = ae.denoise_batch(images, strength=0.9)
    assert isinstance(cleans, list)
    for image, clean in zip(images, cleans, strict=True):
        np.testing.assert_array_equal(clean, ae(image, strength=0.9))


@pytest.mark.parametrize("shape", [(7, 13, 18), (7, 13, 18, 1), (7, 13, 18, 3), (7, 13, 18, 4), (0, 13, 18, 3)])
def test_an_array_of_images_comes_back_as_one(color: AEInfer, shape: tuple[int, ...]) -> None:
    images = picture(shape)
    cleans = color.denoise_batch(images)
    assert isinstance(cleans, np.ndarray)
    assert (cleans.shape, cleans.dtype) == (images.shape, images.dtype)
    for image, clean in zip(images, cleans, strict=True):
        np.testing.assert_array_equal(clean, color(image))
    out = np.empty_like(images)
    assert color.denoise_batch(images, out=out) is out
    np.testing.assert_array_equal(out, cleans)


@pytest.mark.parametrize("model", ["color", "grey", "tiled", "window"])
@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 3, 5), (5, 97, 101), (5, 97, 50, 3), (5, 1, 1, 4), (1, 97, 101)])
def test_an_array_equals_its_images_however_it_lies(
    request: pytest.FixtureRequest, model: str, shape: tuple[int, ...]
) -> None:
    ae, images = request.getfixturevalue(model), picture(shape)
    expected = np.stack([ae(image, strength=0.7) for image in images])
    wider = np.concatenate([images, images], 2)[:, :, : shape[2]]
    every_second = np.repeat(images, 2, 0)[::2]
    for batch in (images, wider, every_second, images[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(ae.denoise_batch(batch, strength=0.7), expected)
    assert ae.denoise_batch(images, strength=0.7, out=images) is images
    np.testing.assert_array_equal(images, expected)


def test_no_images_are_no_error(color: AEInfer) -> None:
    assert color.denoise_batch([]) == []


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_the_size_of_batches_changes_no_bit(color: AEInfer, tiny_model: Path, batch: int) -> None:
    images = picture((7, 21, 18, 3), "float32")
    with AEInfer.load(tiny_model, threads=1, batch=batch) as ae:
        np.testing.assert_array_equal(ae.denoise_batch(images), color.denoise_batch(images))


def test_nothing_is_written_before_every_image_passed(color: AEInfer) -> None:
    images = [picture((21, 18, 3)), np.zeros((3, 3), np.int64)]
    out = [np.full((21, 18, 3), 7, np.uint8), np.zeros((3, 3), np.int64)]
    with pytest.raises(InputError, match="int64"):
        color.denoise_batch(images, out=out)
    assert (out[0] == 7).all()


# In place


@pytest.mark.parametrize("model", ["color", "grey", "tiled", "window"])
@pytest.mark.parametrize("shape", [(97, 101), (97, 101, 3), (97, 101, 4)])
def test_in_place_equals_not_in_place(request: pytest.FixtureRequest, model: str, shape: tuple[int, ...]) -> None:
    ae, image = request.getfixturevalue(model), picture(shape)
    expected = ae(image, strength=0.6)
    assert ae(image, strength=0.6, out=image) is image
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("model", ["color", "grey", "tiled"])
def test_an_output_may_overlap_its_image(request: pytest.FixtureRequest, model: str) -> None:
    ae, buffer = request.getfixturevalue(model), picture((98, 101, 4))
    expected = ae(buffer[1:].copy(), strength=0.6)
    ae(buffer[1:], strength=0.6, out=buffer[:-1])
    np.testing.assert_array_equal(buffer[:-1], expected)
    image = picture((97, 101, 4))
    expected = ae(image, strength=0.6)
    ae(image, strength=0.6, out=image[::-1, :, ::-1])
    np.testing.assert_array_equal(image[::-1, :, ::-1], expected)


def test_batches_in_place_equal_those_that_are_not(tiled: AEInfer) -> None:
    images = picture((3, 97, 30, 3))
    expected = tiled.denoise_batch(images)
    listed = list(images.copy())
    results = tiled.denoise_batch(listed, out=listed)
    assert all(a is b for a, b in zip(results, listed, strict=True))
    np.testing.assert_array_equal(np.stack(listed), expected)
    backwards = images.copy()
    tiled.denoise_batch(backwards, out=backwards[::-1])
    np.testing.assert_array_equal(backwards[::-1], expected)
    np.testing.assert_array_equal(tiled.denoise_batch(images, out=images), expected)
    np.testing.assert_array_equal(images, expected)


def test_an_output_of_any_strides_is_written_and_nothing_beside_it(color: AEInfer) -> None:
    image, out = picture((21, 18, 3)), np.zeros((42, 18, 5), np.uint8)
    color(image, out=out[::2, :, 1:4])
    np.testing.assert_array_equal(out[::2, :, 1:4], color(image))
    out[::2, :, 1:4] = 0
    assert not out.any()


# The door


def test_the_advice_on_infinity_holds(color: AEInfer) -> None:
    image = np.array([[0.5, np.nan], [np.inf, -np.inf]], np.float32)
    with pytest.raises(InputError) as caught:
        color(image)
    advice = re.search(r"numpy\.(nan_to_num\(.*?\))", str(caught.value))
    assert advice
    assert color(eval(advice[1], {"nan_to_num": np.nan_to_num, "image": image})).shape == (2, 2)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_its_array(color: AEInfer) -> None:
    np.testing.assert_array_equal(color(np.matrix(picture((21, 18)))), color(picture((21, 18))))


ZEROS = np.zeros((4, 4, 3), np.uint8)
BAND = np.zeros((4, arrays.AT_ONCE // 4), np.float32)
REFUSED = {
    "list": (lambda ae: ae([[1, 2]]), "expected a numpy array, got list"),
    "picture of PIL": (lambda ae: ae(SimpleNamespace(__array_interface__={})), "Namespace: numpy.asarray makes one"),
    "tensor of torch": (lambda ae: ae(SimpleNamespace(__array__=0)), "Namespace: numpy.asarray makes one of it"),
    "one of several": (lambda ae: ae.denoise_batch([ZEROS, None]), r"^images\[1\]: expected .* got NoneType$"),
    "out of one of several": (lambda ae: ae.denoise_batch([ZEROS] * 2, out=[ZEROS[:1], ZEROS]), r"images\[0\]: out"),
    "one axis": (lambda ae: ae(np.zeros(4, np.uint8)), r"got an array of shape \(4,\)"),
    "five channels": (lambda ae: ae(np.zeros((4, 4, 5), np.uint8)), r"shape \(4, 4, 5\)"),
    "no channels": (lambda ae: ae(np.zeros((4, 4, 0), np.uint8)), r"shape \(4, 4, 0\)"),
    "no rows": (lambda ae: ae(np.zeros((0, 4, 3), np.uint8)), "at least one pixel"),
    "float64": (lambda ae: ae(np.zeros((4, 4))), "uint8, uint16, float32 .*got float64"),
    "bool": (lambda ae: ae(np.zeros((4, 4), bool)), "got bool"),
    "other byte order": (lambda ae: ae(np.zeros((4, 4), ">u2")), "byte order, got >u2"),
    "nan": (lambda ae: ae(np.full((4, 4), np.nan, np.float32)), "NaN or infinity"),
    "masked": (lambda ae: ae(np.ma.masked_equal(np.eye(4, dtype=np.float32), 1)), "masked pixels.* image.filled"),
    "masked in a batch": (lambda ae: ae.denoise_batch(np.ma.masked_equal(np.eye(4, dtype=np.uint8)[None], 1)), "mask"),
    "stack": (lambda ae: ae(np.zeros((5, 4, 6), np.uint8)), r"shape \(5, 4, 6\); several images.* denoise_batch"),
    "infinity": (lambda ae: ae(np.full((4, 4), -np.inf, np.float32)), "NaN or infinity"),
    "beyond what a network can compute with": (lambda ae: ae(np.full((4, 4), -3e38, np.float32)), r"beyond 1e\+30"),
    "last row": (lambda ae: ae(np.pad(BAND, ((0, 1), (0, 0)), constant_values=np.nan)), "NaN or infinity"),
    "strength": (lambda ae: ae(ZEROS, strength=1.5), "between 0 .* and 1 .*got 1.5"),
    "strength nan": (lambda ae: ae(ZEROS, strength=float("nan")), "got nan"),
    "out shape": (lambda ae: ae(ZEROS, out=ZEROS[:2].copy()), r"out must be like the image, .*shape \(2, 4, 3\)"),
    "out dtype": (lambda ae: ae(ZEROS, out=np.zeros((4, 4, 3), np.uint16)), "got uint16"),
    "out list": (lambda ae: ae(ZEROS, out=[0]), "got list"),
    "out read-only": (lambda ae: ae(ZEROS, out=np.broadcast_to(np.uint8(0), (4, 4, 3))), "out is read-only"),
    "out count": (lambda ae: ae.denoise_batch([ZEROS], out=[]), "0 outputs for 1 images"),
    "out of an array": (
        lambda ae: ae.denoise_batch(ZEROS[None], out=[ZEROS]),
        "out must be like the images, .*got list",
    ),
    "out of another shape": (
        lambda ae: ae.denoise_batch(ZEROS[None], out=ZEROS),
        r"\(1, 4, 4, 3\), got uint8 of shape \(4, 4, 3\)",
    ),
    "out of another dtype": (
        lambda ae: ae.denoise_batch(ZEROS[None], out=np.zeros((1, 4, 4, 3), np.float32)),
        r"uint8 of shape \(1, 4, 4, 3\), got float32 of shape \(1, 4, 4, 3\)",
    ),
    "strength of no number": (lambda ae: ae(ZEROS, strength="0.5"), "strength is a number .*got '0.5'"),  # type: ignore[arg-type]
    "batch of one axis": (lambda ae: ae.denoise_batch(np.zeros(4, np.uint8)), r"expected \(N, H, W\)"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused(color: AEInfer, call: Callable[[AEInfer], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(color)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "precision is one of auto, fp32, fp16, int8, got 'int4'"),
        ({"color": "cmyk"}, "'rgb' or 'bgr', got 'cmyk'"),
        ({"threads": 0}, "threads is a whole number from 1 to 1024, got 0"),
        ({"threads": 10**10}, "threads is a whole number from 1 to 1024, got 10000000000"),
        ({"tile": -1}, "tile is a whole number from 1 to .*, got -1"),
        ({"batch": 1.5}, "batch is a whole number from 1 to .*, got 1.5"),
        ({"max_memory_mb": "x"}, "max_memory_mb is a number above 0, up to 1000000000, got 'x'"),
        ({"device": None}, "device is a text such as 'cpu', got None"),
        ({"max_memory_mb": 10**400}, "max_memory_mb is a number above 0, up to 1000000000, got 10"),
        ({"spinning": "x"}, "spinning is True, False or None, got 'x'"),
        ({"spinning": 0}, "spinning is True, False or None, got 0"),
        ({"session_options": 5}, "session_options is an onnxruntime.SessionOptions, got int"),
        ({"session_options": {}}, "session_options is an onnxruntime.SessionOptions, got dict"),
    ],
)
def test_impossible_options_are_refused(tiny_model: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AEInfer.load(tiny_model, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["x" * 300 + ".onnx", Path()])
def test_a_path_that_cannot_be_a_file_is_no_model(model: str | Path) -> None:
    for precision in ("auto", "int8"):
        with pytest.raises(ModelError):
            AEInfer.load(model, precision=precision)


@pytest.mark.parametrize("strength", [np.float16(0.5), Fraction(1, 2), np.longdouble(0.5)])
def test_any_number_is_a_strength(color: AEInfer, strength: Any) -> None:
    kernels.load_loops()
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    np.testing.assert_array_equal(color(image, strength=strength), color(image, strength=0.5))


@pytest.mark.parametrize("model", [None, 5, ["photo"]])
def test_what_is_no_model_at_all_is_refused(model: object) -> None:
    with pytest.raises(InputError, match="a model is a packaged name, a path or the bytes of a file"):
        AEInfer.load(model)  # type: ignore[arg-type]


def test_a_name_that_no_file_can_have_is_said() -> None:
    with pytest.raises(ModelError, match="cannot read the model file"):
        AEInfer.load("\0.onnx")


def test_bytes_of_any_kind_are_a_model(tiny_model: Path) -> None:
    content = tiny_model.read_bytes()
    for given in (content, bytearray(content), memoryview(content)):
        with AEInfer.load(given) as ae:  # type: ignore[arg-type]
            assert ae(ZEROS).shape == ZEROS.shape


def test_large_values_stay_finite(color: AEInfer) -> None:
    image = np.zeros((40, 40, 3), np.float32)
    image[20, 20] = -1e30
    assert np.isfinite(color(image)).all()
    np.testing.assert_array_equal(color(image, strength=0), image)
