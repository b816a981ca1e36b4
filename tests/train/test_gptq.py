"""Weights rounded together: on the steps, and nearer in what they give than each rounded to the nearest step."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from train.gptq import DAMPING, round_weights, rounded_filters
from train.photo_networks import Conv, PhotoAutoencoder
from train.quantization import WEIGHT_MAX, calibrate, rounded


@pytest.fixture
def read() -> torch.Tensor:
    """What neighbouring pixels are: alike, and one of them always zero."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(500, 12, generator=generator, dtype=torch.float64).cumsum(1)
    values[:, 5] = 0
    return values


@pytest.fixture
def filters() -> torch.Tensor:
    return torch.randn(6, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def steps_of(filters: torch.Tensor) -> torch.Tensor:
    return filters.abs().amax(1, keepdim=True) / WEIGHT_MAX


def test_the_result_is_that_of_solving_for_the_weights_that_are_left(filters: torch.Tensor, read: torch.Tensor) -> None:
    """The twin solves the normal equations of the rest anew for each weight that is rounded."""
    products = read.T @ read / len(read)
    damped = products + DAMPING * products.diagonal().mean() * torch.eye(12, dtype=torch.float64)
    expected = filters.clone()
    for row, weights in enumerate(filters):
        scale = steps_of(filters)[row]
        for i in range(12):
            fixed = expected[row, :i] - weights[:i]
            left = weights[i:] - torch.linalg.solve(damped[i:, i:], damped[i:, :i] @ fixed)
            steps = (left[0] / scale).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
            if weights[i].abs() == weights.abs().max():
                steps = weights[i].sign() * WEIGHT_MAX
            expected[row, i] = (steps * scale).item()
    torch.testing.assert_close(rounded_filters(filters, products), expected)


def test_what_comes_out_is_nearer_than_with_the_nearest_steps(filters: torch.Tensor, read: torch.Tensor) -> None:
    result = rounded_filters(filters, read.T @ read / len(read))
    nearest = (filters / steps_of(filters)).round() * steps_of(filters)
    assert (read @ (result - filters).T).square().mean() < 0.4 * (read @ (nearest - filters).T).square().mean()


@pytest.mark.parametrize("separable", [False, True])
def test_the_rounding_network_has_these_weights_and_rounds_them_no_more(separable: bool) -> None:
    torch.manual_seed(0)
    network = PhotoAutoencoder((6, 8), encoder=(1,), middle=1, decoder=(1,), separable=separable, int8_blocks=(0,))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    images = [torch.rand(2, 3, 32, 32)]
    calibrate(rounded(network), images)
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, Conv)}
    layers = {name: layer for name, layer in layers.items() if parametrize.is_parametrized(layer)}
    before = {name: (layer.parametrizations.weight.original.clone(), layer.weight) for name, layer in layers.items()}
    round_weights(network, images)
    assert layers
    for name, layer in layers.items():
        original, nearest = before[name]
        weight = layer.parametrizations.weight.original
        if layer.groups > 1:
            assert weight.equal(original), name
        else:
            torch.testing.assert_close(layer.weight, weight)
            assert not torch.allclose(weight, nearest, atol=1e-4), name
            assert (weight - original).abs().max() < 0.3 * original.abs().max(), name
