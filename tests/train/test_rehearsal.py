"""Rounding rehearsed: errors of 8 bits where the int8 network will make them, in training and nowhere else."""

import numpy as np
import pytest
import torch

from train.photo_networks import PhotoAutoencoder
from train.rehearsal import SPREAD, _rounded, rehearse


@pytest.fixture
def network() -> PhotoAutoencoder:
    torch.manual_seed(0)
    network = PhotoAutoencoder((4, 8), encoder=(0,), middle=1, decoder=(1,), int8_blocks=(0,))
    rehearse(network)
    return network


def naively_rounded(x: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Each channel of (N, C, H, W) to the nearest multiple of a 255th of its range."""
    steps = (ranges / 255)[:, None, None]
    return np.round(x / steps) * steps


def test_what_a_block_reads_and_gives_lies_on_steps(network: PhotoAutoencoder) -> None:
    block, seen = network.decoder[0][0], {}
    network.join[0].register_forward_hook(lambda _step, _inputs, output: seen.update(joined=output))
    block.first.register_forward_hook(lambda _step, inputs, output: seen.update(read=inputs[0], given=output))
    network.train()(torch.rand(2, 3, 32, 32))
    joined, read, given = (seen[name].detach().numpy() for name in ("joined", "read", "given"))
    widths = joined.std((0, 2, 3))
    np.testing.assert_allclose(read, naively_rounded(joined, widths * 2 * SPREAD), rtol=1e-6, atol=1e-6)

    with torch.no_grad():
        exact = torch.relu(torch.nn.functional.conv2d(seen["read"], block.first.weight, block.first.bias, padding=1))
    widths = read.std((0, 2, 3))
    highest = exact.numpy().mean((0, 2, 3)) + SPREAD * exact.numpy().std((0, 2, 3))
    expected = naively_rounded(exact.numpy(), widths * (highest / widths).max())
    np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-6)
    assert np.abs(given - exact.numpy()).max() > 1e-4  # it is rounded


def test_a_network_in_use_gives_what_it_gave(network: PhotoAutoencoder) -> None:
    plain = PhotoAutoencoder((4, 8), encoder=(0,), middle=1, decoder=(1,), int8_blocks=(0,)).eval()
    plain.load_state_dict(network.state_dict())
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(network.eval()(images), plain(images))


def test_gradients_pass_as_if_nothing_were_rounded(network: PhotoAutoencoder) -> None:
    x, gradient = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4)
    _rounded(x, torch.tensor([1.0, 2.0, 30.0])).backward(gradient)
    assert torch.equal(x.grad, gradient)
    network.train()(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert network.tail.weight.grad.abs().max() > 0
    torch.nn.init.normal_(network.tail.weight)
    network(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(network.head.weight.grad.flatten(1).abs().amax(1) > 0)
