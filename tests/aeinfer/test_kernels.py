"""The kernels against their slow twins: every shape, dtype, position and strength gives the twin's bits."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import jit, kernels, loops
from aeinfer.errors import BackendMissingError, InputError
from aeinfer.tiling import blend_weights, plan_tiles, plan_windows
from tests import reference

DTYPES = ["uint8", "uint16", "float32"]
sides = st.integers(1, 9)
fewer_in_python = settings(max_examples=60 if not numba.config.DISABLE_JIT else 20)
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT is set")
both_ways = pytest.mark.parametrize("way", ["numpy", "loops"])


@contextmanager
def by(way: str) -> Iterator[None]:
    """Let the kernels work by numpy or by the compiled loops."""
    with mock.patch.object(kernels, "_loops_by_now", return_value=loops if way == "loops" else None):
        yield


def random_image(draw: st.DrawFn, channels: st.SearchStrategy[int]) -> np.ndarray:
    """An image of any small shape and dtype, in memory as whole images, parts of wider ones and BGR views are."""
    shape, dtype = (draw(sides), draw(sides), draw(channels)), draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = rng.uniform(-0.5, 1.5, shape) if dtype == "float32" else rng.integers(0, np.iinfo(dtype).max + 1, shape)
    image = image.astype(dtype)
    lies = draw(st.sampled_from(["alone", "in a wider image", "beside alpha", "backwards", "upside down"]))
    if lies == "alone":
        return image
    if lies == "in a wider image":
        return np.concatenate([image, image], 1)[:, : shape[1]]
    if lies == "beside alpha":
        return np.concatenate([image, image[..., :1]], 2)[..., : shape[2]]
    axis = 2 if lies == "backwards" else 0
    return np.flip(np.flip(image, axis).copy(), axis)


def test_the_loops_take_what_cameras_and_files_give_and_nothing_that_runs_backwards() -> None:
    image = np.zeros((4, 6, 4), np.uint8)
    taken = (image, image[..., :3], image[..., 2::-1], image[1:3, 2:5], image[..., 1:2], image[::2])
    refused = (image[::-1], image[:, ::-1], image[..., ::2])
    assert all(kernels._memory(view) is not None for view in taken)
    assert all(kernels._memory(view) is None for view in refused)


@both_ways
@fewer_in_python
@given(st.data())
def test_gather_equals_its_twin(way: str, data: st.DataObject) -> None:
    image = random_image(data.draw, st.integers(1, 3))
    height, width, _ = image.shape
    corner = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    positions = np.array(data.draw(st.lists(corner, min_size=1, max_size=3)), np.int64)
    out = np.full(
        (len(positions), data.draw(st.integers(1, 3)), data.draw(sides), data.draw(sides)), np.nan, np.float32
    )
    scale = kernels.full_scale(image.dtype)
    bottoms = np.array([data.draw(st.integers(top + 1, height)) for top, _ in positions], np.int64)
    before = image.copy()
    with by(way):
        kernels.gather_tiles(image, positions, out, bottoms)
    np.testing.assert_array_equal(out, reference.gather_tiles(image, positions, bottoms, scale, out.shape))
    np.testing.assert_array_equal(image, before)


@both_ways
@fewer_in_python
@given(st.data(), st.sampled_from([0.0, 0.3, 0.8, 1.0]))
def test_place_equals_its_twin(way: str, data: st.DataObject, strength: float) -> None:
    source = random_image(data.draw, st.sampled_from([1, 3]))
    height, width, channels = source.shape
    positions, keep = [], []
    for _ in range(
        data.draw(st.integers(1, 3)) if strength == 1 else 1
    ):  # in place, a second blend would see the first
        y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
        positions.append((data.draw(st.integers(0, y0)), data.draw(st.integers(0, x0))))
        keep.append((y0, y1, x0, x1))
    shape = (len(keep), data.draw(st.sampled_from([channels, 3])), height, width)
    tiles = np.random.default_rng(len(keep)).uniform(-0.5, 1.5, shape).astype(np.float32)
    scale = kernels.full_scale(source.dtype)
    corners, kept = np.array(positions, np.int64), np.array(keep, np.int64)
    expected = reference.place_tiles(tiles, corners, kept, source, strength, scale)
    out = source.copy() if data.draw(st.booleans()) else source  # apart from it, or in place
    with by(way):
        kernels.place_tiles(tiles, corners, kept, source, strength, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 100), (0.5, 150), (1.0, 200)])
def test_strength_goes_from_the_input_to_the_result(strength: float, expected: int) -> None:
    source = np.full((2, 2, 1), 100, np.uint8)[::-1]
    out = source.copy()[::-1]
    tile = np.full((1, 1, 2, 2), 200 / 255, np.float32)
    kernels.place_tiles(tile, np.zeros((1, 2), np.int64), np.array([[0, 2, 0, 2]]), source, strength, out)
    assert (out == expected).all()


@both_ways
@fewer_in_python
@given(st.integers(1, 19), st.integers(1, 19), st.sampled_from([1, 3]), st.sampled_from([2, 3, 8]))
def test_blend_equals_its_twin(way: str, height: int, width: int, channels: int, window: int) -> None:
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
        with by(way):
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


@compiled
def test_jit_without_a_cache_folder_says_so_once_and_compiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_folder(_: object) -> object:
        raise RuntimeError("cannot cache function: no locator available")

    jit._say_uncached.cache_clear()
    monkeypatch.setattr(jit, "_Cache", without_folder)
    with caplog.at_level("INFO", logger="aeinfer"):
        twice = jit.jit(lambda x: x + x)
        assert twice(21) == 42
    assert [record.getMessage() for record in caplog.records] == [
        "no writable folder to keep compiled kernels in: compiling in this process; NUMBA_CACHE_DIR names another"
    ]
    assert twice.nopython_signatures  # type: ignore[attr-defined] # compiled, not interpreted


@compiled
def test_jit_without_a_source_file_compiles() -> None:
    """As where the bytecode alone was installed: numba knows no place for its machine code."""
    program = compile("def twice(x):\n    return x + x\n", "gone.py", "exec")
    names: dict[str, Any] = {}
    exec(program, names)
    assert jit.jit(names["twice"])(21) == 42


@compiled
def test_kernels_release_the_gil_and_start_no_threads_of_their_own() -> None:
    for kernel in (loops.gather, loops.place, loops.blend):
        options = kernel.targetoptions  # type: ignore[attr-defined]
        assert options["nogil"]
        assert not options.get("parallel")


@both_ways
def test_both_ways_give_the_same_bits_on_a_whole_image(way: str) -> None:
    image = np.random.default_rng(0).integers(0, 65536, (70, 90, 3)).astype(np.uint16)
    plan = plan_tiles(70, 90, tile=32, halo=8, stride=8)
    tiles = np.empty((len(plan.positions), 3, plan.height, plan.width), np.float32)
    out = np.zeros_like(image)
    with by(way):
        kernels.gather_tiles(image, plan.positions, tiles)
        kernels.place_tiles(tiles, plan.positions, plan.keep, image, 1.0, out)
    np.testing.assert_array_equal(out, image)


def test_numpy_serves_the_first_pixels_and_the_loops_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_gathered", 0)
    monkeypatch.setattr(kernels, "NUMPY_PIXELS", 6)
    monkeypatch.setattr(kernels, "_loops_missing", False)
    monkeypatch.delitem(sys.modules, "aeinfer.loops")
    image, out = np.zeros((2, 3, 1), np.uint8), np.empty((1, 1, 2, 3), np.float32)
    kernels.gather_tiles(image, np.zeros((1, 2), np.int64), out)
    assert "aeinfer.loops" not in sys.modules
    kernels.gather_tiles(image, np.zeros((1, 2), np.int64), out)
    assert "aeinfer.loops" in sys.modules


def test_without_numba_numpy_goes_on_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernels, "_loops_missing", False)
    for room in ("aeinfer.loops", "aeinfer.jit"):
        monkeypatch.delitem(sys.modules, room)
    monkeypatch.setitem(sys.modules, "numba", None)
    assert kernels.load_loops() is None
    assert kernels.load_loops() is None
    (record,) = caplog.records
    assert "pip install numba" in record.getMessage()


def refuse_import(monkeypatch: pytest.MonkeyPatch, module: str, error: BaseException) -> None:
    """Let the import of a module fail, as if it had not been imported yet."""

    class Refused:
        def find_spec(self, name: str, *_: object) -> None:
            if name == module:
                raise error

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refused(), *sys.meta_path])


def test_no_memory_for_the_loops_is_met_with_numpy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernels, "_loops_missing", False)
    monkeypatch.delattr(sys.modules["aeinfer"], "loops", raising=False)
    refuse_import(monkeypatch, "aeinfer.loops", MemoryError())
    assert kernels.load_loops() is None
    assert kernels.load_loops() is None
    assert ["no memory for numba" in record.getMessage() for record in caplog.records] == [True]


def test_numba_without_memory_for_its_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aeinfer.jit")
    refuse_import(monkeypatch, "numba", OSError("libllvmlite.so: cannot allocate memory"))
    with pytest.raises(BackendMissingError, match="cannot allocate memory"):
        import aeinfer.jit  # noqa: F401


def test_missing_numba_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "aeinfer.jit")
    with pytest.raises(BackendMissingError, match="pip install numba"):
        import aeinfer.jit  # noqa: F401
