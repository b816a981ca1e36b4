"""Camera noise: there and back in light, the mosaic's four phases, and noise that looks like a camera's."""

import numpy as np
import pytest

from train.camera import DEMOSAIC, _develop, _mosaic, add_camera_noise, from_linear, to_linear


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A smooth uint8 picture of three different gradients."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    return np.stack([40 + y * 1.5, 200 - x, 60 + (x + y) / 2], 2).astype(np.uint8)


def test_the_tone_curve_is_undone() -> None:
    x = np.linspace(0, 1, 1001)
    assert np.abs(from_linear(to_linear(x)) - x).max() < 1e-6
    assert np.all(np.diff(to_linear(x)) > 0)


@pytest.mark.parametrize("corner", sorted(DEMOSAIC))
@pytest.mark.parametrize("edge_aware", [0, 1])
def test_a_mosaic_of_smooth_colours_develops_to_the_same_colours(
    photo: np.ndarray, corner: tuple[int, int], edge_aware: int
) -> None:
    """With the wrong phase, red and blue would change places, or green would be taken for either."""
    light = to_linear(photo / np.float32(255)).astype(np.float32)
    developed = _develop(_mosaic(light, corner), DEMOSAIC[corner][edge_aware], np.eye(3))
    assert np.abs(developed - photo / np.float32(255))[4:-4, 4:-4].max() < 0.02


def test_camera_noise_follows_from_the_generator(photo: np.ndarray) -> None:
    first, again, other = (add_camera_noise(photo, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_camera_noise_is_mild_correlated_and_around_the_photograph(photo: np.ndarray) -> None:
    strengths, correlations = [], []
    for seed in range(24):
        noisy = add_camera_noise(photo, np.random.default_rng(seed))
        assert noisy.dtype == np.float32
        assert noisy.shape == photo.shape
        levels = noisy * 255
        assert np.abs(levels - levels.round()).max() < 1e-3
        assert 0 <= levels.min() <= levels.max() <= 255
        noise = (levels - photo)[4:-4, 4:-4]
        assert np.abs(noise.mean((0, 1))).max() < 0.5 + 0.35 * noise.std()  # the tone curve bends strong noise
        strengths.append(noise.std())
        noise = noise - noise.mean((0, 1))
        correlations.append((noise[:, 1:] * noise[:, :-1]).mean() / np.square(noise).mean())
    assert 1 < min(strengths) < 5
    assert 10 < max(strengths) < 60
    assert 0.3 < np.mean(correlations) < 0.75  # white noise has 0, and 1/sqrt(50,000) of error


@pytest.mark.parametrize(("at_edges", "least", "most"), [(1.0, 1.15, 2.0), (3.0, 2.2, 5.0)])
def test_camera_noise_is_strongest_at_edges(at_edges: float, least: float, most: float) -> None:
    """Where the picture is flat, cameras smooth most: of real photographs' noise an edge has four times as much."""
    photo = np.full((96, 128, 3), 70, np.uint8)
    photo[:, 64:] = 170
    at_edge, flat = [], []
    for seed in range(24):
        noise = add_camera_noise(photo, np.random.default_rng(seed), at_edges) * 255 - photo
        at_edge.append(noise[:, 62:66].std())
        flat.append(np.hypot(noise[:, 8:48].std(), noise[:, 80:120].std()) / np.sqrt(2))
    assert least < np.mean(at_edge) / np.mean(flat) < most
