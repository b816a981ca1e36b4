"""White noise after an edit: what of it changes, and that the picture does not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from train import edits
from train.edits import Edit, edited

Image = NDArray[np.float32]


def noisy_and_clean(seed: int, grey: bool = False) -> tuple[Image, Image]:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.1, 0.9, 96, dtype=np.float32)
    clean = np.stack([np.tile(ramp, (96, 1)), np.tile(ramp[:, None], (1, 96)), np.full((96, 96), 0.5, np.float32)])
    noise = rng.normal(0, 0.1, clean.shape).astype(np.float32)
    if grey:
        clean, noise = (np.repeat(image[:1], 3, axis=0) for image in (clean, noise))
    return clean + noise, clean


def noise_after(edit: Edit, seed: int) -> Image:
    noisy, clean = edit(*noisy_and_clean(seed), np.random.default_rng(seed))
    assert noisy.dtype == clean.dtype == np.float32
    assert noisy.shape == clean.shape == (3, 96, 96)
    return noisy - clean


def likeness(a: Image, b: Image) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_colours_share_a_part_of_the_noise_from_hardly_any_to_nearly_all() -> None:
    found = [likeness(*noise_after(edits._shared, seed)[:2]) for seed in range(60)]
    assert min(found) < 0.1
    assert max(found) > 0.9


def test_noise_is_stronger_in_one_colour() -> None:
    found = [noise_after(edits._unequal, seed).std((1, 2)) for seed in range(30)]
    assert np.median([strengths.max() / strengths.min() for strengths in found]) > 1.5


def test_noise_is_stronger_here_than_there() -> None:
    for seed in range(10):
        strengths = noise_after(edits._uneven, seed).reshape(3, 4, 24, 4, 24).std((2, 4))
        assert strengths.max() > 1.5 * strengths.min()


def test_an_island_has_less_noise_than_what_is_around_it_or_more() -> None:
    found = []
    for seed in range(10):
        strengths = np.sort(noise_after(edits._island, seed).reshape(3, 12, 8, 12, 8).std((0, 2, 4)).ravel())
        found.append(strengths[0] < 0.5 * strengths[-1])
    assert np.mean(found) > 0.8


def test_neighbours_are_alike_when_enlarged() -> None:
    found = []
    for seed in range(10):
        noise = noise_after(edits._enlarged, seed)
        found.append(likeness(noise[..., 1:], noise[..., :-1]))
    assert max(found) > 0.3


@pytest.mark.parametrize("edit", [edits._shared, edits._unequal, edits._uneven, edits._island])
def test_only_the_noise_is_edited(edit: Edit) -> None:
    noisy, clean = noisy_and_clean(0)
    after, same = edit(noisy, clean, np.random.default_rng(0))
    np.testing.assert_array_equal(same, clean)
    assert np.abs(after - noisy).max() > 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_stays_grey(channels: int) -> None:
    for seed in range(20):
        pair = (image[:channels, :64] for image in noisy_and_clean(seed, grey=True))
        for image in edited(*pair, True, np.random.default_rng(seed)):
            assert image.shape == (channels, 64, 96)
            assert (image == image[:1]).all()
