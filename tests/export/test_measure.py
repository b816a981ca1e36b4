"""The facts that are measured: the halo, how far a network looks, the memory that it takes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from aeinfer import InputError, ModelError, noise
from aeinfer.session import Session
from export.measure import measure_bytes_per_pixel, measure_halo, receptive_radius
from tests.export.make_tiny_models import HALO, tiny_networks


def test_the_measured_halo_is_the_networks(tiny_model: Path) -> None:
    """Random weights look as far as the receptive field: 32 pixels suffice, and less than half of it does not."""
    session = Session(tiny_model.read_bytes(), "tiny", "cpu")
    image = noise.add_gaussian(np.full((1, 3, 160, 160), 0.5, np.float32), 50.0)
    halo, error = measure_halo(session, [image], stride=4, limit=64)
    assert HALO // 2 < halo <= HALO
    assert error < 0.5


class Looking:
    """In a session's place: each pixel is the one that lies (y, x) pixels away, and 0 where none does."""

    def __init__(self, y: int, x: int) -> None:
        self.y, self.x = y, x

    def run(self, image: np.ndarray) -> np.ndarray:
        far = max(abs(self.y), abs(self.x))
        height, width = image.shape[2:]
        padded = np.pad(image, ((0, 0), (0, 0), (far, far), (far, far)))
        return padded[..., far + self.y :, far + self.x :][..., :height, :width]


@pytest.mark.parametrize(("y", "x"), [(0, 1), (1, 0), (0, -1), (-1, 0)])
def test_the_halo_is_measured_on_all_sides(y: int, x: int) -> None:
    image = np.random.default_rng(0).random((1, 3, 160, 160), np.float32)
    assert measure_halo(Looking(52 * y, 52 * x), [image], stride=4, limit=64) == (56, 0.0)
    with pytest.raises(InputError, match="looks further"):
        measure_halo(Looking(62 * y, 62 * x), [image], stride=4, limit=64)


def test_the_receptive_radius_is_what_cutting_shows() -> None:
    """Beyond it nothing changes a bit; a stride less changes something."""
    network = tiny_networks()["tiny"]
    radius = receptive_radius(network)
    halo = -(-radius // network.stride) * network.stride
    assert halo <= HALO
    image = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        whole = network(image)[..., 64:68, 64:68]
        errors = [
            (network(image[..., 64 - h : 68 + h, 64 - h : 68 + h])[..., h : h + 4, h : h + 4] - whole)
            .abs()
            .max()
            .item()
            for h in (halo, halo - network.stride)
        ]
    assert errors[0] < 1e-6 < errors[1]


def test_memory_per_pixel_is_measured(tiny_model: Path) -> None:
    measured = measure_bytes_per_pixel(tiny_model.read_bytes(), 3)
    assert 24 <= measured < 400  # at least input and output


def test_memory_per_pixel_of_windows_is_that_of_a_batch_of_them(tiny_window: Path) -> None:
    measured = measure_bytes_per_pixel(tiny_window.read_bytes(), 1, 8)
    assert 4 <= measured < 100


def test_a_measurement_that_ends_early_is_an_error_of_ours() -> None:
    with pytest.raises(ModelError, match=r"could not be measured: .*measured is an empty file"):
        measure_bytes_per_pixel(b"", 3)
