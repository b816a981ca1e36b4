"""Batches of digits follow from the step alone, and the held-out part is never trained on."""

from pathlib import Path

import numpy as np
import pytest

from aeinfer.errors import InputError
from tests.train.conftest import write_idx
from train.data import Digits


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A folder of 80 digits, each known by its corner; 20 of them are held out."""
    images = np.zeros((80, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(80)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(80, np.uint8))
    return tmp_path


def test_digits_follow_from_the_step(digits: Path) -> None:
    first, second = (Digits(digits, 32, 127.5, seed=3, verify=False) for _ in range(2))
    for step in (0, 5, first.steps_per_epoch):
        for a, b in zip(first.batch(step), second.batch(step), strict=True):
            assert np.array_equal(a, b)
    assert not np.array_equal(first.batch(0)[0], first.batch(1)[0])


def test_an_epoch_sees_each_digit_once(numbered: Path) -> None:
    data = Digits(numbered, 10, 127.5, seed=0, verify=False)
    assert data.steps_per_epoch == 6
    seen = [float(clean[0, 0, 0]) for step in range(12) for clean in data.batch(step)[1]]
    first, second = seen[:60], seen[60:]
    assert len(set(first)) == 60
    assert set(first) == set(second)
    assert first != second


def test_each_epoch_has_fresh_noise(numbered: Path) -> None:
    """Of three, as those that are clipped and rounded are others in the next, and the same in the one after."""
    data = Digits(numbered, 60, 127.5, seed=0, verify=False)
    assert data.steps_per_epoch == 1
    epochs = [
        {float(clean[0, 0, 0]): noisy.tobytes() for noisy, clean in zip(*data.batch(epoch), strict=True)}
        for epoch in range(3)
    ]
    for digit in epochs[0]:
        assert len({noisy[digit] for noisy in epochs}) == 3


def test_half_of_the_digits_are_clipped(digits: Path) -> None:
    data = Digits(digits, 128, 127.5, seed=0, verify=False)
    noisy, clean = data.batch(0)
    clipped = [image.min() >= 0 and image.max() <= 1 for image in noisy]
    assert 40 < sum(clipped) < 88
    levels = noisy[np.array(clipped)] * 255
    assert np.allclose(levels, np.rint(levels), atol=1e-4)
    residual = (noisy - clean)[~np.array(clipped)]
    assert abs(residual.std() - 0.5) < 0.01


def test_sigma_zero_is_the_plain_autoencoder(digits: Path) -> None:
    noisy, clean = Digits(digits, 32, 0, seed=0, verify=False).batch(7)
    assert np.array_equal(noisy, clean)


def test_held_out_digits_are_not_trained_on(numbered: Path) -> None:
    data = Digits(numbered, 10, 0, seed=0, verify=False)
    trained = {float(c[0, 0, 0]) for step in range(data.steps_per_epoch) for c in data.batch(step)[1]}
    held_out = {float(c[0, 0, 0]) for _noisy, clean in data.validation for c in clean}
    assert len(trained) == 60
    assert len(held_out) == 20
    assert not trained & held_out


def test_too_few_digits_are_refused(digits: Path) -> None:
    with pytest.raises(InputError, match="too few"):
        Digits(digits, 4096, 0, seed=0, verify=False)
