"""The networks are the ones that were promised, layer by layer."""

import pytest
import torch
from torch import nn

from train.models import MODELS, ConvAutoencoder, DenseAutoencoder, PhotoAutoencoder, macs, parameter_count


def sizes(model: nn.Sequential, images: torch.Tensor) -> list[tuple[int, ...]]:
    """Shapes, without the batch, after each block."""
    shapes = []
    with torch.no_grad():
        for block in model:
            images = block(images)
            shapes.append(tuple(images.shape[1:]))
    return shapes


def test_dense_is_784_784_64_784() -> None:
    layers = [m for m in DenseAutoencoder().modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [(784, 784), (784, 64), (64, 784)]
    assert parameter_count(DenseAutoencoder()) == 784 * 784 + 784 + 784 * 64 + 64 + 64 * 784 + 784


def test_conv_shrinks_to_2_and_comes_back_to_28() -> None:
    model = ConvAutoencoder()
    down = sizes(model.encoder, torch.zeros(1, 1, 28, 28))
    assert down == [
        *((128, 28, 28), (128, 14, 14), (64, 14, 14), (64, 7, 7)),
        *((16, 7, 7), (16, 4, 4), (16, 4, 4), (16, 2, 2)),
    ]
    up = sizes(model.decoder, torch.zeros(1, 16, 2, 2))
    assert up == [
        *((16, 2, 2), (16, 4, 4), (16, 4, 4), (16, 8, 8), (64, 8, 8), (64, 16, 16)),
        *((128, 14, 14), (128, 28, 28), (1, 28, 28), (1, 28, 28)),
    ]


def test_conv_has_the_parameters_of_the_keras_original() -> None:
    channels = [(1, 128), (128, 64), (64, 16), (16, 16), (16, 16), (16, 16), (16, 64), (64, 128), (128, 1)]
    assert parameter_count(ConvAutoencoder()) == sum(9 * a * b + b for a, b in channels)


@pytest.mark.parametrize("height", [16, 48])
def test_photo_keeps_the_size_and_starts_as_the_identity(height: int) -> None:
    images = torch.rand(2, 3, height, 64)
    model = PhotoAutoencoder().eval()
    with torch.no_grad():
        assert torch.equal(model(images), images)
        assert model(images * 3 - 1).min() >= 0  # clamps when it is not training
        assert torch.equal(model.train()(images * 3 - 1), images * 3 - 1)


@pytest.mark.parametrize(("name", "work"), [("photo-fast", 3_600), ("photo", 16_000), ("photo-best", 64_000)])
def test_the_family_costs_what_it_says(name: str, work: int) -> None:
    assert macs(MODELS[name](), 256, 256) / 256**2 == pytest.approx(work, rel=0.05)


def test_macs_counts_a_known_layer() -> None:
    layer = nn.Conv2d(3, 8, 3, padding=1)
    layer.channels = 3
    assert macs(layer, 10, 20) == 10 * 20 * 8 * 27


@pytest.mark.parametrize("name", sorted(MODELS))
def test_output_is_in_range(name: str) -> None:
    model = MODELS[name]().eval()
    side = model.window or 32
    with torch.no_grad():
        output = model(torch.randn(2, model.channels, side, side))
    assert output.min() >= 0
    assert output.max() <= 1
