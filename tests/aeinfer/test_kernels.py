"""The kernels against their slow twins: every shape, dtype, position and strength gives the twin's bits."""

import sys
from collections.abc import Callable

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import jit, kernels
from aeinfer.errors import BackendMissingError, InputError
from aeinfer.tiling import blend_weights, plan_windows
from tests import reference

DTYPES = ["uint8", "uint16", "float32"]
sides = st.integers(1, 9)
slow_first_call = settings(deadline=None, max_examples=60)


def random_image(draw: st.DrawFn, channels: st.SearchStrategy[int]) -> np.ndarray:
    """An image of any small shape and dtype; its memory may run backwards, as views of BGR images do."""
    shape, dtype = (draw(sides), draw(sides), draw(channels)), draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = rng.uniform(-0.5, 1.5, shape) if dtype == "float32" else rng.integers(0, np.iinfo(dtype).max + 1, shape)
    # always a strided view: one compiled kernel for each dtype
    return np.repeat(image.astype(dtype), 2, 2)[..., :: draw(st.sampled_from([2, -2]))]


@slow_first_call
@given(st.data())
def test_gather_equals_its_twin(data: st.DataObject) -> None:
    image = random_image(data.draw, st.integers(1, 3))
    height, width, _ = image.shape
    corner = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    positions = np.array(data.draw(st.lists(corner, min_size=1, max_size=3)), np.int64)
    out = np.full(
        (len(positions), data.draw(st.integers(1, 3)), data.draw(sides), data.draw(sides)), np.nan, np.float32
    )
    scale = kernels.full_scale(image.dtype)
    before = image.copy()
    kernels.gather_tiles(image, positions, scale, out)
    np.testing.assert_array_equal(out, reference.gather_tiles(image, positions, scale, out.shape))
    np.testing.assert_array_equal(image, before)


@slow_first_call
@given(st.data(), st.sampled_from([0.0, 0.3, 0.8, 1.0]))
def test_place_equals_its_twin(data: st.DataObject, strength: float) -> None:
    source = random_image(data.draw, st.sampled_from([1, 3]))
    height, width, channels = source.shape
    positions, keep = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
        positions.append((data.draw(st.integers(0, y0)), data.draw(st.integers(0, x0))))
        keep.append((y0, y1, x0, x1))
    shape = (len(keep), data.draw(st.sampled_from([channels, 3])), height, width)
    tiles = np.random.default_rng(len(keep)).uniform(-0.5, 1.5, shape).astype(np.float32)
    scale = kernels.full_scale(source.dtype)
    corners, kept = np.array(positions, np.int64), np.array(keep, np.int64)
    expected = reference.place_tiles(tiles, corners, kept, source, strength, scale)
    out = source[:, ::-1].copy()[:, ::-1]  # strided as the source, and apart from it
    kernels.place_tiles(tiles, corners, kept, source, strength, scale, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 100), (0.5, 150), (1.0, 200)])
def test_strength_goes_from_the_input_to_the_result(strength: float, expected: int) -> None:
    source = np.full((2, 2, 1), 100, np.uint8)[::-1]
    out = source.copy()[::-1]
    tile = np.full((1, 1, 2, 2), 200 / 255, np.float32)
    kernels.place_tiles(tile, np.zeros((1, 2), np.int64), np.array([[0, 2, 0, 2]]), source, strength, 255.0, out)
    assert (out == expected).all()


@slow_first_call
@given(st.integers(1, 19), st.integers(1, 19), st.sampled_from([1, 3]), st.sampled_from([2, 3, 8]))
def test_blend_equals_its_twin(height: int, width: int, channels: int, window: int) -> None:
    plan = plan_windows(height, width, window=window)
    tiles = np.random.default_rng(height).random((len(plan.positions), channels, window, window), np.float32)
    weights = blend_weights(window)
    padded = max(height, window), max(width, window)
    sums = [np.zeros(length, np.float32) for length in padded]
    for axis, axis_sums in enumerate(sums):
        for start in set(plan.positions[:, axis].tolist()):
            axis_sums[start : start + window] += weights
    total = np.zeros((channels, *padded), np.float32)
    half = len(tiles) // 2  # in two calls, as two batches do
    for part in (np.s_[:half], np.s_[half:]):
        kernels.blend_tiles(tiles[part], plan.positions[part], weights, *sums, total)
    np.testing.assert_allclose(total, reference.blend_tiles(tiles, plan.positions, weights, *padded), atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_to_float_and_back_keeps_every_value(dtype: str) -> None:
    scale = kernels.full_scale(dtype)
    values = np.arange(scale + 1).astype(dtype) if scale > 1 else np.float32([-1.5, 0, 0.3, 1, 7])
    floats = kernels.to_float(values)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, values.astype(np.float32) / np.float32(scale))
    back = kernels.from_float(floats, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", [0, 128, 255]), ("uint16", [0, 32768, 65535])])
def test_from_float_clips_and_rounds(dtype: str, expected: list[int]) -> None:
    assert kernels.from_float(np.float32([-0.1, 0.501 if dtype == "uint8" else 0.5, 1.1]), dtype).tolist() == expected


def test_full_scale_refuses_other_dtypes() -> None:
    with pytest.raises(InputError, match=r"uint8, uint16 or float32, got float64"):
        kernels.full_scale(np.float64)


def test_jit_without_a_cache_folder_says_so_once_and_compiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    njit: Callable[..., Callable[..., object]] = numba.njit

    def without_cache(**options: object) -> Callable[..., object]:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", without_cache)
    with caplog.at_level("INFO", logger="aeinfer"):
        twice = jit.jit(lambda x: x + x)
    assert [record.getMessage() for record in caplog.records] == [
        "no writable cache folder for compiled kernels: compiling in this process"
    ]
    assert twice(21) == 42
    assert twice.nopython_signatures  # type: ignore[attr-defined] # compiled, not interpreted


def test_kernels_release_the_gil_and_start_no_threads_of_their_own() -> None:
    for kernel in (kernels.gather_tiles, kernels.place_tiles, kernels.blend_tiles):
        options = kernel.targetoptions  # type: ignore[attr-defined]
        assert options["nogil"]
        assert not options.get("parallel")


def test_missing_numba_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "aeinfer.jit")
    with pytest.raises(BackendMissingError, match="pip install numba"):
        import aeinfer.jit  # noqa: F401
