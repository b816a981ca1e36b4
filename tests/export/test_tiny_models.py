"""The committed tiny models are what make_tiny_models.py makes, and every implementation of one agrees with PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from aeinfer import AEInfer, kernels
from aeinfer.session import Session
from export.quantize import quantize
from tests.export.make_tiny_models import FOLDER, example, tiny_networks

NETWORKS = tiny_networks()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_committed_file_is_the_network(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    batch = example(name, NETWORKS[name])
    with torch.no_grad():
        expected = NETWORKS[name](batch).numpy()
    assert np.abs(Session(path.read_bytes(), name, "cpu").run(batch.numpy()) - expected).max() < 1e-5


Implementation = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module", params=["torch", "fp32", "int8"])
def implementation(request: pytest.FixtureRequest, tiny_window: Path) -> tuple[Implementation, float]:
    """The tiny window network on (N, 8, 8) images in [0, 1], and how far it may be from PyTorch."""
    network = NETWORKS["tiny_window"]
    if request.param == "torch":
        return lambda images: network(torch.from_numpy(images[:, None])).detach().numpy()[:, 0], 0.0
    if request.param == "fp32":
        return AEInfer.load(tiny_window, precision="fp32").denoise_batch, 1e-5
    calibration = np.random.default_rng(1).integers(0, 256, (32, 1, 1, 8, 8)).astype(np.float32) / 255
    quantized = quantize(onnx.load(tiny_window), calibration)
    return AEInfer.load(quantized.SerializeToString()).denoise_batch, 0.03


def test_implementations_agree(implementation: tuple[Implementation, float]) -> None:
    run, tolerance = implementation
    images = kernels.to_float(np.random.default_rng(2).integers(0, 256, (20, 8, 8), dtype=np.uint8))
    with torch.no_grad():
        expected = NETWORKS["tiny_window"](torch.from_numpy(images[:, None])).numpy()[:, 0]
    assert np.abs(run(images) - expected).max() <= tolerance
