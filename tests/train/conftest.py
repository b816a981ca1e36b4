"""Small stand-ins for the real training data, made in code."""

import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from train.models import MODELS
from train.photo_networks import PhotoAutoencoder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from a second thread, and lose much where another process has the core."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def narrow_network() -> Iterator[None]:
    """`photo` with a quarter of its channels and fewer blocks: training and export take their time for each."""
    with pytest.MonkeyPatch.context() as patch:
        build = partial(PhotoAutoencoder, (16, 32, 32, 32), (0, 1, 0), 1, (2, 0, 0), separable=True)
        patch.setitem(MODELS, "photo-narrow", build)
        yield


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 640 + 16 images of 28x28: bright bars on black, with IDX files of the usual names."""
    folder = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    for split, count in (("train", 640), ("t10k", 16)):
        images = np.zeros((count, 28, 28), np.uint8)
        for image in images:
            top, left = rng.integers(4, 20, 2)
            image[top : top + 6, 4:24] = 255
            image[4:24, left : left + 4] = 200
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", np.zeros(count, np.uint8))
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four pictures of smooth colour fields, one of them smaller than a shrunk crop."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(300, 400), (288, 272), (120, 110), (280, 300)]):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    return folder
