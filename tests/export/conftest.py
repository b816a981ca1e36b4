"""Checkpoints of a dense and a narrow photo network after a few steps, and the small data they were trained on."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.train.conftest import digits, one_thread, photos  # noqa: F401 - fixtures
from train.data import Data, Digits
from train.fit import fit
from train.models import MODELS
from train.photo_networks import PhotoAutoencoder
from train.photos import Photos
from train.recipes import RECIPES


@pytest.fixture(scope="session", autouse=True)
def narrow_network() -> Iterator[None]:
    """`photo` with a quarter of its channels and fewer blocks: PyTorch's exporter takes its time for each."""
    with pytest.MonkeyPatch.context() as patch:
        build = partial(PhotoAutoencoder, (16, 32, 32, 32), (0, 1, 0), 1, (2, 0, 0), separable=True)
        patch.setitem(MODELS, "photo-narrow", build)
        yield


@pytest.fixture(scope="session")
def digits_data(digits: Path) -> Data:  # noqa: F811
    return Digits(digits, 32, 127.5, seed=0, verify=False)


@pytest.fixture(scope="session")
def dense_checkpoint(digits_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = replace(RECIPES["dense", "default"], sigma=127.5, batch=32, epochs=8, loss="bce", learning_rate=5e-3)
    return fit(recipe, digits_data, tmp_path_factory.mktemp("dense"))


@pytest.fixture(scope="session")
def photos_data(photos: Path) -> Data:  # noqa: F811
    data = Photos(photos, 2, 32, 55, seed=0, camera=0.2)
    data.steps_per_epoch = 10
    return data


@pytest.fixture(scope="session")
def photo_checkpoint(photos_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = replace(RECIPES["photo", "default"], model="photo-narrow", batch=2, crop=32, epochs=1)
    return fit(recipe, photos_data, tmp_path_factory.mktemp("photo"))


@pytest.fixture(scope="session")
def rounding_checkpoint(photo_checkpoint: Path, photos_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network after a few steps with rounding."""
    recipe = replace(RECIPES["photo", "int8"], model="photo-narrow", batch=2, crop=32, epochs=1)
    return fit(recipe, photos_data, tmp_path_factory.mktemp("photo-int8"), start=photo_checkpoint)
