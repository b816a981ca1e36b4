"""Equalized channels: the network gives what it gave, with ranges that differ less."""

import pytest
import torch
from torch import nn

from train.activations import highest
from train.equalize import equalize
from train.photo_networks import PhotoAutoencoder
from train.quantization import OUTSIDE, calibrate, rounded


def random_network(encoder: int, separable: bool) -> PhotoAutoencoder:
    torch.manual_seed(0)
    blocks = (encoder,)  # the one on the way up
    network = PhotoAutoencoder(
        (6, 8), encoder=(encoder,), middle=1, decoder=(1,), separable=separable, int8_blocks=blocks
    ).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize("separable", [False, True])
def test_ranges_come_nearer_and_nothing_else_changes(separable: bool) -> None:
    network = random_network(encoder=1, separable=separable)
    with torch.no_grad():
        last = network.decoder[0][0].second if separable else network.decoder[0][0].first
        for writer in (network.head, network.up[0], last):
            writer.weight *= torch.logspace(0, -2, 6)[:, None, None, None]
            writer.bias *= torch.logspace(0, -2, 6)
        network.join[0].register_forward_hook(
            lambda _step, _inputs, output: joined.append(output.abs().amax((0, 2, 3)))
        )
        images = [torch.rand(2, 3, 32, 32) for _ in range(2)]
        joined: list[torch.Tensor] = []
        expected = network(images[0])
        equalize(network, images)
        torch.testing.assert_close(network(images[0]), expected)
    before, after = joined[0], joined[-1]
    assert (after.max() / after.min()).log() < 0.7 * (before.max() / before.min()).log()


@pytest.mark.parametrize("separable", [False, True])
def test_at_half_resolution_what_is_rounded_comes_to_fill_the_range(separable: bool) -> None:
    network = random_network(encoder=0, separable=separable)
    images = [torch.rand(2, 3, 32, 32)]
    equalize(network, images)
    rounded(network)
    read: list[torch.Tensor] = []
    for step in network.modules():
        if hasattr(step, "before"):
            step.before.register_forward_hook(lambda _step, inputs, _output: read.append(inputs[0]))
    calibrate(network, images)
    (values,) = read
    peaks = values.abs().amax((0, 2, 3))
    assert peaks.max() < 1.03 * peaks.min()  # the weights below are rounded already, hence the 3 %


def test_within_separable_blocks_ranges_come_to_be_equal() -> None:
    network = random_network(encoder=1, separable=True)
    images = [torch.rand(2, 3, 32, 32)]
    equalize(network, images)
    for block in (network.encoder[0][0], network.middle[0]):
        for peaks in highest(network, [block.spread, block.first], images, OUTSIDE):
            used = peaks[peaks > 1e-3 * peaks.max()]  # a relu may shut a channel
            assert len(used) > 2
            assert used.max() < 1.001 * used.min()


def test_without_dense_blocks_at_half_resolution_that_stays_as_it_is() -> None:
    network = PhotoAutoencoder((6, 8), encoder=(0,), middle=1, decoder=(0,)).eval()
    before = network.head.weight.clone()
    equalize(network, [torch.rand(1, 3, 32, 32)])
    assert network.head.weight.equal(before)


def test_a_channel_that_is_never_used_stays_finite() -> None:
    network = PhotoAutoencoder((6, 8), encoder=(0,), middle=1, decoder=(1,), int8_blocks=(0,)).eval()
    with torch.no_grad():
        for step in (network.head, network.up[0], network.decoder[0][0].first):
            step.weight[2] = 0
            step.bias[2] = 0
    equalize(network, [torch.rand(1, 3, 32, 32)])
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    assert network.tail.weight.abs().max() < 100
