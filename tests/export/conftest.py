"""Checkpoints of a dense and a narrow photo network after a few steps, their data, and the files exported of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from export import __main__ as command
from tests.train.conftest import digits, narrow_network, one_thread, photos  # noqa: F401 - fixtures
from train.data import Data, Digits
from train.fit import fit
from train.photos import Photos
from train.recipes import RECIPES


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


@pytest.fixture(scope="session")
def dense(dense_checkpoint: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    target = tmp_path_factory.mktemp("exported") / "dense.onnx"
    arguments = [str(dense_checkpoint), "-o", str(target), "--data", str(digits), "--no-verify", "--gate", "1"]
    assert command.main(arguments) == 0
    return target


@pytest.fixture(scope="session")
def photo(
    photo_checkpoint: Path,
    rounding_checkpoint: Path,
    photos: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A photo model, with its files of half precision and of 8 bits beside it."""
    target = tmp_path_factory.mktemp("exported") / "photo.onnx"
    arguments = [str(photo_checkpoint), "-o", str(target), "--data", str(photos), "--int8", str(rounding_checkpoint)]
    assert command.main([*arguments, "--fp16", "--gate", "1"]) == 0
    return target
