"""The temporal filter: its loops against their slow twins, and what noise, motion, pans and cuts become."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import temporal_loops as loops
from aeinfer.errors import InputError
from aeinfer.temporal import TAPS, TemporalFilter, _lanczos
from aeinfer.translation import find_gain, find_translation
from tests import reference
from tests.programs import run_python

interpreted = bool(numba.config.DISABLE_JIT)
fewer_in_python = settings(max_examples=40 if not interpreted else 8)
compiled = pytest.mark.skipif(interpreted, reason="NUMBA_DISABLE_JIT is set")
sides, channels, dtypes = st.integers(1, 9), st.sampled_from([1, 3]), st.sampled_from(["uint8", "uint16"])
SIGMA = 10.0


def random_state(height: int, width: int, channels: int, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A frame, an average that is near it in places, and weights."""
    rng = np.random.default_rng(height * width)
    frame = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)
    mean = (frame + rng.normal(0, 5, frame.shape) * rng.integers(0, 3, (height, width, 1))).astype(np.float32)
    return frame, mean, (rng.random((height, width)) * 9).astype(np.float32)


def flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)


@fewer_in_python
@given(sides, sides, channels, dtypes)
def test_energy_equals_its_twin(height: int, width: int, channels: int, dtype: str) -> None:
    frame, mean, _ = random_state(height, width, channels, dtype)
    out, scratch = np.full((height, width), np.nan, np.float32), np.empty((height, width), np.float32)
    loops.energy(flat(frame), flat(mean), scratch, out)
    np.testing.assert_allclose(out, reference.temporal_energy(frame, mean), rtol=2e-3, atol=1e-2)


@fewer_in_python
@given(sides, sides, channels, dtypes, st.sampled_from([0.5, 0.1]))
def test_average_equals_its_twin(height: int, width: int, channels: int, dtype: str, least: float) -> None:
    frame, mean, weight = random_state(height, width, channels, dtype)
    energies = np.random.default_rng(width).random((height, width)).astype(np.float32) * 300
    expected = reference.temporal_average(frame, energies, 60.0, 1.5, least, mean, weight)
    out = np.empty_like(frame)
    loops.average(flat(frame), energies, 60.0, 1.5, least, flat(mean), weight, flat(out))
    np.testing.assert_allclose(mean, expected[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(weight, expected[1], rtol=1e-4)
    np.testing.assert_allclose(out, expected[2], atol=1)  # a half may be rounded either way


@fewer_in_python
@given(sides, sides, channels, st.integers(-10, 10), st.integers(-10, 10), st.sampled_from([0.0, 0.3]))
def test_shift_equals_its_twin(height: int, width: int, channels: int, dy: int, dx: int, fraction: float) -> None:
    _, mean, weight = random_state(height, width, channels, "uint8")
    down, across = _lanczos(fraction), _lanczos(1 - fraction)
    out, new_weight = np.full_like(mean, np.nan), np.full_like(weight, np.nan)
    loops.shift(flat(mean), weight, dy, dx, down, across, flat(out), new_weight)
    expected = reference.shifted(mean, weight, dy, dx, down, across)
    np.testing.assert_allclose(out, expected[0], rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(new_weight, expected[1].astype(np.float32))


@fewer_in_python
@given(st.integers(4, 17), st.integers(4, 17), channels, dtypes)
def test_shrink_is_the_mean_of_squares(height: int, width: int, channels: int, dtype: str) -> None:
    frame, _, _ = random_state(height, width, channels, dtype)
    out = np.empty((height // 4, width // 4), np.float32)
    loops.shrink(flat(frame), channels, out)
    whole = frame[: height // 4 * 4, : width // 4 * 4].reshape(height // 4, 4, width // 4, -1)
    np.testing.assert_allclose(out, whole.mean((1, 3)), rtol=1e-5)


@compiled
def test_loops_release_the_gil_and_start_no_threads_of_their_own() -> None:
    for loop in (loops.energy, loops.average, loops.shift, loops.shrink):
        options = loop.targetoptions  # type: ignore[attr-defined]
        assert options["nogil"]
        assert not options.get("parallel")


def picture(height: int = 96, width: int = 128, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Something to look at: smooth shapes of a few pixels, float, from about 60 to 190."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width, channels)), axes=(0, 1))
    y, x = np.fft.fftfreq(height)[:, None, None], np.fft.rfftfreq(width)[None, :, None]
    smooth = np.fft.irfft2(spectrum * np.exp(-((y**2 + x**2) * 300)), (height, width), axes=(0, 1))
    return 125 + 65 * smooth / np.abs(smooth).max()


def noisy(clean: np.ndarray, frame: int, dtype: str = "uint8", sigma: float = SIGMA) -> np.ndarray:
    scale = np.iinfo(dtype).max / 255
    noise = np.random.default_rng(1000 + frame).normal(0, sigma, clean.shape)
    return np.rint(np.clip((clean + noise) * scale, 0, 255 * scale)).astype(dtype)


def error(frame: np.ndarray, clean: np.ndarray) -> float:
    """Root of the mean squared error in 8-bit levels."""
    return float(np.sqrt(np.mean((frame * (255 / np.iinfo(frame.dtype).max) - clean) ** 2)))


@pytest.mark.parametrize("strength", [0.5, 0.8, 0.9])
@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (3, "uint8"), (3, "uint16")])
def test_noise_of_a_still_picture_falls_as_theory_says(strength: float, channels: int, dtype: str) -> None:
    size = (48, 64) if interpreted else (96, 128)
    clean, steady = picture(*size, channels), TemporalFilter(strength)
    results = [steady(noisy(clean, t, dtype)) for t in range(30)]
    expected = SIGMA * math.sqrt((1 - strength) / (1 + strength))
    assert expected * 0.95 < error(results[-1], clean) < expected * 1.25
    flicker = float(np.std(results[-1].astype(float) - results[-2])) * 255 / np.iinfo(dtype).max
    assert flicker < 0.5 * SIGMA * math.sqrt(2)
    assert steady.sigma == pytest.approx(SIGMA, rel=0.15)


def test_a_moving_square_leaves_no_ghost() -> None:
    clean, steady = picture(), TemporalFilter()
    for t in range(14):
        scene = clean.copy()
        left = 10 + 6 * t
        scene[40:60, left : left + 20] = 240
        result = steady(noisy(scene, t))
    assert error(result[40:60, left - 6 : left], scene[40:60, left - 6 : left]) < 1.5 * SIGMA  # it has just left
    assert error(result[40:60, left : left + 20], scene[40:60, left : left + 20]) < 1.3 * SIGMA
    assert error(result[:30], scene[:30]) < 0.35 * SIGMA  # the rest stands still


def test_a_cut_is_not_blended() -> None:
    before, after, steady = picture(seed=1), picture(seed=2)[::-1] + 60, TemporalFilter()
    for t in range(10):
        steady(noisy(before, t))
    first = steady(noisy(after, 10))
    assert error(first, after) < 1.15 * SIGMA
    assert error(first, np.clip(after, 0, 255)) < 0.3 * error(noisy(before, 9), after)


def test_a_cut_after_the_first_frame_is_not_blended() -> None:
    steady = TemporalFilter()
    steady(noisy(picture(seed=1), 0))
    for t in (1, 2, 3):
        result = steady(noisy(picture(seed=2) + 60, t))
    assert error(result, picture(seed=2) + 60) < 0.9 * SIGMA


@pytest.mark.parametrize("speed", [(0, 3), (2, -1), (0.5, 1.25)])
def test_a_pan_is_followed(speed: tuple[float, float]) -> None:
    wide = picture(192, 256)
    rows, columns = np.fft.fftfreq(192)[:, None, None], np.fft.rfftfreq(256)[None, :, None]
    spectrum, steady = np.fft.rfft2(wide, axes=(0, 1)), TemporalFilter()
    for t in range(14):
        turn = np.exp(2j * np.pi * t * (rows * speed[0] + columns * speed[1]))
        clean = np.fft.irfft2(spectrum * turn, wide.shape[:2], axes=(0, 1))[20:160, 20:220]
        result = steady(noisy(clean, t))
    inside = np.s_[40:-40, 60:-60]  # 13 frames have not brought anything new there
    assert error(result[inside], clean[inside]) < 0.5 * SIGMA


def test_a_still_picture_is_not_shifted() -> None:
    clean = picture().mean(2).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 3, (2, *clean.shape))
    assert find_translation(*(clean + each for each in noise.astype(np.float32))) == (0, 0)
    assert find_translation(np.zeros((40, 40), np.float32), np.full((40, 40), 7, np.float32)) == (0, 0)
    assert find_translation(clean[:15], clean[:15]) == (0, 0)


def test_brightness_is_no_motion() -> None:
    clean = picture().mean(2).astype(np.float32)
    assert np.abs(find_translation(clean, clean * np.float32(0.97))).max() < 0.05


def test_a_fade_is_followed() -> None:
    clean, steady = picture(), TemporalFilter()
    for t in range(15):
        result = steady(noisy(clean * 0.98**t, t))
    assert error(result, clean * 0.98**14) < 0.4 * SIGMA


@pytest.mark.parametrize("fade", [0, 40])
@pytest.mark.parametrize("held", [1, 3, 60])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_picture_comes_back_after_black(fade: int, held: int, dtype: str) -> None:
    clean, steady = picture(), TemporalFilter()
    light = [*[1.0] * 12, *np.linspace(1, 0, fade), *[0.0] * held, *[1.0] * 40]
    for t, factor in enumerate(light):
        frame = noisy(clean * factor, t, dtype, SIGMA * factor)
        with np.errstate(all="raise"):
            result = steady(frame)
        if factor == 0:
            assert not result.any()
    assert error(result, clean) < 0.6 * SIGMA


@pytest.mark.parametrize("part", [0.5, 0.75])
def test_a_part_that_turns_black_leaves_the_rest_as_it_is(part: float) -> None:
    clean, steady = picture(), TemporalFilter()
    dark = int(part * len(clean))
    for t in range(50):
        frame = noisy(clean, t)
        if t > 20:
            frame[:dark] = 0
        result = steady(frame)
    assert not result[:dark].any()
    assert error(result[dark:], clean[dark:]) < 0.6 * SIGMA


def test_gain_is_that_of_most_of_the_picture() -> None:
    clean = picture().mean(2).astype(np.float32)
    after = clean * np.float32(1.1)
    after[:20] = 0
    assert find_gain(clean, after, (0.0, 0.0)) == pytest.approx(1.1)
    assert find_gain(clean[:-3], after[3:], (3.0, 0.0)) == pytest.approx(1.1)
    for dark in (0, 1e-20):
        assert find_gain(clean, clean * np.float32(dark), (0.0, 0.0)) == 1
        assert find_gain(clean * np.float32(dark), clean, (0.0, 0.0)) == 1


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.9])
def test_interpolation_keeps_what_is_even(fraction: float) -> None:
    weights = _lanczos(fraction)
    assert weights.shape == (TAPS,)
    assert weights.sum() == pytest.approx(1)
    if not fraction:
        np.testing.assert_allclose(weights, np.eye(TAPS)[TAPS // 2 - 1], atol=1e-7)


def test_another_size_or_dtype_begins_anew_and_so_does_reset() -> None:
    clean, steady = picture(), TemporalFilter()
    for t in range(3):
        assert (steady(noisy(clean, t)) != noisy(clean, t)).any() == (t > 1)
    for other in (noisy(clean[:64], 3), noisy(clean, 4, "uint16"), noisy(clean, 5)[..., 0]):
        np.testing.assert_array_equal(steady(other), other)
        assert steady.sigma is None
    for t in range(3):
        steady(noisy(clean, t))
    assert steady.sigma is not None
    steady.reset()
    assert steady.sigma is None
    np.testing.assert_array_equal(steady(noisy(clean, 6)), noisy(clean, 6))


def test_views_are_taken_and_the_input_stays_as_it_is() -> None:
    clean = picture()
    plain, strided, in_place = TemporalFilter(), TemporalFilter(), TemporalFilter()
    for t in range(4):
        frame = noisy(clean, t)
        wide = np.zeros((96, 256, 4), np.uint8)
        view, before = wide[:, ::2, 2::-1], frame.copy()
        view[:] = frame
        result = plain(frame)
        np.testing.assert_array_equal(frame, before)
        np.testing.assert_array_equal(strided(view), result)
        assert strided(view[:0:-1, 1:], out=None).shape == (95, 127, 3)
        strided.reset()
        for again in range(t + 1):
            strided(noisy(clean, again))
        assert in_place(view, out=view) is view
        np.testing.assert_array_equal(view, result)
    assert (wide[:, 1::2] == 0).all()


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (1, 1), (1, 40, 3), (33, 2, 3)])
def test_any_shape_comes_back(shape: tuple[int, ...]) -> None:
    steady, rng = TemporalFilter(), np.random.default_rng(0)
    for _ in range(4):
        frame = rng.integers(0, 256, shape).astype(np.uint8)
        result = steady(frame)
        assert (result.shape, result.dtype) == (shape, np.uint8)


def test_frames_without_noise_stay_as_they_are() -> None:
    steady = TemporalFilter()
    frame = np.rint(picture()).astype(np.uint8)
    for each in (frame, frame, frame, frame[:, ::-1], frame[:, ::-1]):
        np.testing.assert_array_equal(steady(each), each)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.int16),
        np.zeros((8, 0, 3), np.uint8),
        np.zeros(8, np.uint8),
        [[1]],
    ],
)
def test_other_frames_are_refused(frame: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"expected|takes uint8|images are"):
        TemporalFilter()(frame)


def test_another_out_or_strength_is_refused() -> None:
    with pytest.raises(InputError, match="out must be like"):
        TemporalFilter()(np.zeros((8, 8), np.uint8), out=np.zeros((8, 9), np.uint8))
    for strength in (0, 1, -1, float("nan")):
        with pytest.raises(InputError, match="above 0 and below 1"):
            TemporalFilter(strength)


@compiled
def test_python_gives_what_machine_code_gives() -> None:
    code = """if True:
        import numpy as np
        from aeinfer.temporal import TemporalFilter
        steady, rng = TemporalFilter(), np.random.default_rng(0)
        base = np.kron(rng.integers(60, 200, (12, 12, 3)), np.ones((4, 4, 1)))
        for t in range(4):
            result = steady(np.uint8(base[:24, t : 24 + t] + rng.normal(0, 5, (24, 24, 3))))
        print(result.tobytes().hex())
    """
    frames = []
    for disabled in ("0", "1"):
        (told,) = run_python(code, NUMBA_DISABLE_JIT=disabled)
        frames.append(np.frombuffer(bytes.fromhex(told), np.uint8).astype(int))
    np.testing.assert_allclose(*frames, atol=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_passes_untouched(channels: int) -> None:
    rng, clean = np.random.default_rng(1), picture(channels=channels)
    plain, steady, in_place = TemporalFilter(), TemporalFilter(), TemporalFilter()
    for _ in range(4):
        alpha = rng.integers(0, 256, (*clean.shape[:2], 1), dtype=np.uint8)
        frame = np.clip(
            clean.reshape(*alpha.shape[:2], channels) + rng.normal(0, SIGMA, (*alpha.shape[:2], channels)), 0, 255
        )
        frame = frame.astype(np.uint8)
        both = np.concatenate([frame, alpha], 2)
        expected = np.concatenate([plain(frame), alpha], 2)
        np.testing.assert_array_equal(steady(both), expected)
        assert in_place(both, out=both) is both
        np.testing.assert_array_equal(both, expected)
