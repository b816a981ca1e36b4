"""Noise: the bits follow from (seed, index, position) alone, and have the distribution that their name promises."""

import math
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer.errors import InputError
from aeinfer.noise import add_gaussian, add_poisson_gaussian, add_salt_and_pepper
from tests import reference

Noise = Callable[..., np.ndarray]
N = 20_000 if numba.config.DISABLE_JIT else 200_000  # values of a distribution


def gaussian(images: np.ndarray, **which: object) -> np.ndarray:
    return add_gaussian(images, 25.0, **which)  # type: ignore[arg-type]


def poisson(images: np.ndarray, **which: object) -> np.ndarray:
    return add_poisson_gaussian(images, 5.0, 40.0, **which)  # type: ignore[arg-type]


def salt_and_pepper(images: np.ndarray, **which: object) -> np.ndarray:
    return add_salt_and_pepper(images, 0.3, **which)  # type: ignore[arg-type]


every_noise = pytest.mark.parametrize("noise", [gaussian, poisson, salt_and_pepper])


def normals(count: int = N, seed: int = 0, index: int = 0) -> np.ndarray:
    """Values of standard deviation 1."""
    return add_gaussian(np.zeros(count, np.float32), 255.0, seed=seed, index=index).astype(np.float64)


def grey(count: int = N, value: float = 0.5) -> np.ndarray:
    return np.full(count, value, np.float32)


# The same bits


GOLDEN = {
    gaussian: [-0.19750579, 0.29487947, 0.23973185, 0.34825182, 0.582263, 0.8860757, 0.9845134],
    poisson: [-0.03950116, 0.20064256, 0.3062797, 0.74465036, 0.48311928, 0.91054845, 0.8219027],
    salt_and_pepper: [0.0, 0.16666667, 0.33333334, 0.5, 0.6666667, 0.0, 1.0],
}
CHECKSUMS = {gaussian: 0xD09C06EC, poisson: 0xBCC365B2, salt_and_pepper: 0x74F8C32B}


@every_noise
def test_the_bits_never_change(noise: Noise) -> None:
    """A figure measured today is measured again with the same noise in any later version."""
    image = np.linspace(0, 1, 7, dtype=np.float32)
    np.testing.assert_array_equal(noise(image, seed=2024, index=3), np.float32(GOLDEN[noise]))
    ramp = np.linspace(0, 1, 10_000, dtype=np.float32)
    assert zlib.crc32(noise(ramp, seed=2024, index=3).astype("<f4").tobytes()) == CHECKSUMS[noise]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(1, 9))
def test_gaussian_equals_its_twin(seed: int, index: int, count: int) -> None:
    key = reference.image_key(seed, index)
    expected = [reference.normal(key, position) for position in range(count)]
    np.testing.assert_allclose(normals(count, seed, index), expected, rtol=2e-6, atol=2e-6)


@every_noise
def test_batch_order_and_neighbours_change_no_bit(noise: Noise) -> None:
    images = np.random.default_rng(1).random((5, 6, 7, 3), np.float32)
    indices = [4, 0, 9, 2, 2**40]
    batch = noise(images, seed=5, index=indices)
    assert batch.shape == images.shape
    assert batch.dtype == np.float32
    order = [3, 1, 4, 0, 2]
    shuffled = noise(images[order], seed=5, index=np.array(indices)[order])
    np.testing.assert_array_equal(shuffled, batch[order])
    for image, index, expected in zip(images, indices, batch, strict=True):
        np.testing.assert_array_equal(noise(image, seed=5, index=index), expected)
    np.testing.assert_array_equal(noise(images[:, ::-1].copy()[:, ::-1], seed=5, index=indices), batch)


@every_noise
def test_threads_change_no_bit(noise: Noise) -> None:
    image = grey(N // 40)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda index: noise(image, seed=1, index=index % 4), range(64)))
    for index, result in enumerate(results):
        np.testing.assert_array_equal(result, noise(image, seed=1, index=index % 4))


@every_noise
def test_seeds_and_images_differ_and_the_input_stays(noise: Noise) -> None:
    image = grey(2000)
    results = [noise(image, seed=seed, index=index) for seed in (0, 1, 2**63) for index in (0, 1)]
    for i, a in enumerate(results):
        for b in results[:i]:
            assert (a != b).mean() > 0.3
    assert (image == 0.5).all()


@pytest.mark.parametrize("seed", [np.int64(7), np.uint64(7), np.int32(7)])
def test_numpy_integers_are_seeds(seed: np.integer) -> None:
    np.testing.assert_array_equal(gaussian(grey(9), seed=seed, index=np.int32(2)), gaussian(grey(9), seed=7, index=2))


# The distributions


def test_gaussian_moments() -> None:
    values = normals()
    assert abs(values.mean()) < 4 / math.sqrt(N)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / N)
    assert abs((values**3).mean()) < 4 * math.sqrt(15 / N)
    assert abs((values**4).mean() - 3) < 4 * math.sqrt(96 / N)


def test_gaussian_follows_the_normal_distribution() -> None:
    values = np.sort(normals())
    expected = np.array([0.5 + 0.5 * math.erf(value / math.sqrt(2)) for value in values])
    steps = np.arange(N + 1) / N
    largest = max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max())
    assert largest < 1.95 / math.sqrt(N)  # Kolmogorov and Smirnov, at 0.1 %


@pytest.mark.parametrize("power", [1, 2])  # the values of one Box-Muller pair share a radius
def test_neighbours_are_not_correlated(power: int) -> None:
    side = int(0.9 * math.sqrt(N)) // 2 * 2
    values = normals(side * side).reshape(side, side) ** power
    others = [normals(side * side, seed=1), normals(side * side, index=1)]
    pairs = [(values[:, :-lag], values[:, lag:]) for lag in (1, 2, 3)]
    pairs += [(values[:, ::2], values[:, 1::2]), (values[:-1], values[1:])]
    pairs += [(values, other.reshape(side, side) ** power) for other in others]
    for a, b in pairs:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / math.sqrt(a.size)


def test_noises_of_one_seed_are_independent() -> None:
    hit = add_salt_and_pepper(grey(), 0.5, seed=3) != 0.5
    shot = add_poisson_gaussian(grey(), 0.0, 100.0, seed=3)
    values = normals(seed=3)
    for other in (hit, shot, hit[N // 2 :].repeat(2), shot[: N // 2].repeat(2)):
        for mine in (values, np.abs(values)):
            assert abs(np.corrcoef(mine, other)[0, 1]) < 4.5 / math.sqrt(N / 2)


def test_sigma_is_in_8_bit_levels_and_may_differ_by_image() -> None:
    noisy = add_gaussian(np.zeros((3, N), np.float32), [0.0, 25.5, 127.5], index=[0, 1, 2])
    np.testing.assert_allclose(noisy.std(axis=1), [0, 0.1, 0.5], rtol=0.01)
    assert noisy.min() < 0  # not clipped


@pytest.mark.parametrize("mean", [0.05, 0.7, 3.0, 9.99, 10.01, 37.0, 1000.0, 1e5])
def test_poisson_mean_and_variance(mean: float) -> None:
    counts = add_poisson_gaussian(grey(value=0.5), 0.0, 2 * mean).astype(np.float64) * 2 * mean
    np.testing.assert_allclose(counts, np.rint(counts), atol=max(1e-6, 1e-6 * mean))
    assert counts.min() >= 0
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / N)
    assert abs(counts.var() - mean) < 4 * math.sqrt((mean + 2 * mean**2) / N)


@pytest.mark.parametrize("mean", [0.5, 8.0, 12.0, 40.0])
def test_poisson_probabilities(mean: float) -> None:
    counts = np.rint(add_poisson_gaussian(grey(value=1.0), 0.0, mean, seed=1) * mean).astype(int)
    found = np.bincount(counts, minlength=120) / N
    for k, share in enumerate(found):
        probability = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
        assert abs(share - probability) < 5 * math.sqrt(probability / N) + 3 / N


def test_darkness_sends_no_photons() -> None:
    assert (add_poisson_gaussian(np.float32([0, -0.5] * 500), 0.0, 100.0) == 0).all()


def test_poisson_gaussian_adds_the_read_noise() -> None:
    noisy = add_poisson_gaussian(grey(), 25.5, 50.0)
    assert noisy.var() == pytest.approx(0.5 / 50 + 0.1**2, rel=0.02)


@pytest.mark.parametrize("amount", [0.0, 0.1, 1.0])
def test_salt_and_pepper_hits_its_share_half_each(amount: float) -> None:
    noisy = add_salt_and_pepper(grey(), amount)
    assert set(np.unique(noisy)) <= {0.0, 0.5, 1.0}
    for value in (0.0, 1.0):
        assert abs((noisy == value).mean() - amount / 2) <= 4 * math.sqrt(amount / 2 / N)
    assert (noisy == 0.5).all() == (amount == 0)
    assert (noisy == 0.5).any() == (amount < 1)


# The door


@every_noise
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3, 4, 3)])
def test_any_shape_comes_back(noise: Noise, shape: tuple[int, ...]) -> None:
    assert noise(np.zeros(shape, np.float32)).shape == shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add_gaussian(np.zeros(3, np.uint8), 1), "float32 arrays, got uint8"),
        (lambda: add_gaussian(np.zeros(3), 1), "float32 arrays, got float64"),
        (lambda: add_gaussian(grey(3), -1), "sigma must be finite and not negative, got -1"),
        (lambda: add_gaussian(grey(3), math.nan), "sigma must be finite"),
        (lambda: add_gaussian(grey(3), [1, 2]), r"one for each of the 1 images, got shape \(2,\)"),
        (lambda: add_gaussian(grey(3), 1, index=[0, 1]), r"2 indices for images of shape \(3,\)"),
        (lambda: add_gaussian(np.zeros((), np.float32), 1, index=[0]), r"1 indices for images of shape \(\)"),
        (lambda: add_gaussian(grey(1), 1, index=[[0]]), "one integer or one for each image"),
        (lambda: add_gaussian(grey(1), 1, index=0.5), "one integer or one for each image"),
        (lambda: add_poisson_gaussian(grey(3), 1, 0), "above 0, got 0"),
        (lambda: add_poisson_gaussian(grey(3), 1, math.inf), "peak must be finite"),
        (lambda: add_poisson_gaussian(grey(3), -1, 9), "sigma must be finite"),
        (lambda: add_gaussian(grey(3, math.nan), 1), "NaN or infinity"),
        (lambda: add_poisson_gaussian(grey(3, math.inf), 1, 9), "NaN or infinity"),
        (lambda: add_salt_and_pepper(grey(3, 3e38), 0.1), "values beyond"),
        (lambda: add_salt_and_pepper(grey(3), 1.1), "0 to 1, got 1.1"),
        (lambda: add_salt_and_pepper(grey(3), -0.1), "not negative"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
