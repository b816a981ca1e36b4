"""The networks are the ones that were promised, layer by layer."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from aeinfer.errors import InputError
from train.digit_networks import WAYS_UP, ConvAutoencoder, DenseAutoencoder, UNet
from train.models import MODELS, macs, parameter_count
from train.resampling import MaxUnpool, MeanHalve, MeanUnpool, max_halve, unpool_portably


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


@pytest.mark.parametrize("way_up", ["transposed", "unpool-max", "unpool-average"])
def test_other_ways_up_pass_the_sizes_of_the_way_down(way_up: str) -> None:
    model, seen = ConvAutoencoder(way_up, code=32), []
    for step in model.decoder:
        step.register_forward_hook(lambda _step, _inputs, output: seen.append(output.shape[2]))
    model(torch.rand(1, 1, 28, 28))
    assert list(dict.fromkeys(seen))[-4:] == [4, 7, 14, 28]


@pytest.mark.parametrize("way_up", WAYS_UP)
def test_the_code_has_as_many_numbers_as_asked_for(way_up: str) -> None:
    model = ConvAutoencoder(way_up, code=24)
    assert model.encoder(torch.rand(2, 1, 28, 28))[0].numel() == 24
    assert model.code == (0 if way_up == "unpool-max" else 24)  # there, what is pooled goes past the code
    assert DenseAutoencoder(7).encoder(torch.rand(2, 1, 28, 28)).shape == (2, 7)


def test_dilation_reaches_as_far_as_pooling_without_losing_resolution() -> None:
    model = ConvAutoencoder(bottleneck="dilated").double()
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    image = torch.zeros(1, 1, 28, 28, dtype=torch.float64)
    image[..., 14, 14] = 1
    with torch.no_grad():
        reached = (model.encoder(image) - model.encoder(torch.zeros_like(image))).abs().amax((0, 1)) > 0
    assert reached.shape == (28, 28)
    assert reached.nonzero().amin(0).tolist() == [0, 0]  # 1 + 2 + 4 + 8 pixels, where 3x3 filters alone reach 4
    assert model.code == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("conv", {"decoder": "sideways"}),
        ("conv", {"bottleneck": "nowhere"}),
        ("conv", {"code": 30}),
        ("conv", {"code": 0}),
        ("conv", {"widths": (1, 2)}),
        ("conv", {"bottleneck": "dilated", "code": 32}),
        ("conv", {"bottleneck": "dilated", "decoder": "transposed"}),
        ("unet", {"widths": ()}),
        ("unet", {"widths": (8, 0)}),
        ("unet", {"widths": (8, 8, 8, 8)}),
    ],
)
def test_what_there_is_not_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        MODELS[name](**options)


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_a_unet_has_up_to_three_scales(scales: int) -> None:
    assert UNet(widths=(4, 6, 8)[:scales])(torch.rand(2, 1, 28, 28)).shape == (2, 1, 28, 28)


@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.integers(1, 3), seed=st.integers(0, 1000))
def test_max_unpooling_is_pytorchs(height: int, width: int, channels: int, seed: int) -> None:
    """The exported form, that of training, and a plain loop; with ties, as relu makes them."""
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.randint(0, 3, (2, channels, height, width), generator=generator).float()
    maxima = max_halve()(pooled)
    x = torch.randn(maxima.shape, generator=generator)
    expected = torch.zeros_like(pooled)
    for n, c, i, j in np.ndindex(*maxima.shape):
        window = pooled[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        row, column = divmod(int(window.argmax()), window.shape[1])
        expected[n, c, 2 * i + row, 2 * j + column] = x[n, c, i, j]
    assert torch.equal(MaxUnpool()(x, pooled), expected)
    assert torch.equal(unpool_portably(x, pooled), expected)


def test_average_unpooling_repeats_the_mean() -> None:
    x = torch.arange(49.0).reshape(1, 1, 7, 7)
    repeated = MeanUnpool(7)(MeanHalve()(x))
    assert repeated.shape == x.shape
    assert repeated[0, 0, 0, 0] == repeated[0, 0, 1, 1] == (0 + 1 + 7 + 8) / 4
    assert repeated[0, 0, 6, 6] == 48  # the window over the corner holds one pixel
    images = torch.rand(2, 3, 7, 10)
    assert torch.allclose(MeanHalve()(images), nn.AvgPool2d(2, ceil_mode=True)(images))


@pytest.mark.parametrize("height", [16, 48])
def test_photo_keeps_the_size_and_starts_as_the_identity(height: int) -> None:
    images = torch.rand(2, 3, height, 64)
    model = MODELS["photo"]().eval()
    with torch.no_grad():
        assert torch.equal(model(images), images)
        assert model(images * 3 - 1).min() >= 0  # clamps when it is not training
        assert torch.equal(model.train()(images * 3 - 1), images * 3 - 1)


@pytest.mark.parametrize(
    ("name", "work"), [("photo-fast", 5_400), ("photo", 15_200), ("photo-camera", 15_200), ("photo-best", 45_000)]
)
def test_the_family_costs_what_it_says(name: str, work: int) -> None:
    assert macs(MODELS[name](), 256, 256) / 256**2 == pytest.approx(work, rel=0.05)


def test_macs_counts_a_known_layer() -> None:
    layer = nn.Conv2d(3, 8, 3, padding=1)
    layer.channels = 3
    assert macs(layer, 10, 20) == 10 * 20 * 8 * 27
    layer = nn.ConvTranspose2d(3, 8, 3, stride=2)
    layer.channels = 3
    assert macs(layer, 10, 20) == 10 * 20 * 3 * 8 * 9  # each value spreads a 3x3 filter over each of 8 channels


@pytest.mark.parametrize("name", sorted(MODELS))
def test_output_is_in_range(name: str) -> None:
    model = MODELS[name]().eval()
    side = model.window or 32
    with torch.no_grad():
        output = model(torch.randn(2, model.channels, side, side))
    assert output.min() >= 0
    assert output.max() <= 1
