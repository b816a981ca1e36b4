"""Dead channels come back to life, and the network gives what it gave."""

import torch

from train.models import MODELS
from train.photo_networks import PhotoAutoencoder, Separable
from train.revive import revive


def network() -> PhotoAutoencoder:
    torch.manual_seed(0)
    model = PhotoAutoencoder((8, 12), encoder=(1,), middle=1, decoder=(1,), separable=True)
    torch.nn.init.normal_(model.tail.weight, std=0.01)
    for block in (model.encoder[0][0], model.middle[0], model.decoder[0][0]):
        torch.nn.init.ones_(block.first.bias)  # all of their channels live
        torch.nn.init.normal_(block.second.weight, std=0.1)
    return model


def active(block: Separable, inputs: torch.Tensor) -> torch.Tensor:
    return (block.first(block.spread(inputs)) > 0).flatten(2).any(2).all(0)


def test_dead_channels_live_again_and_nothing_else_changes() -> None:
    model = network()
    block = model.middle[0]
    assert isinstance(block, Separable)
    with torch.no_grad():
        block.first.bias[[2, 5]] = -1e3
    kept = block.first.weight.detach().clone()
    batches = [torch.rand(2, 3, 32, 32) for _ in range(2)]
    expected = model(batches[0]).detach()
    assert revive(model, batches) == 2
    torch.testing.assert_close(model(batches[0]).detach(), expected)
    seen = torch.randn(4, 12, 8, 8)
    assert active(block, seen).all()
    assert sorted((block.first.weight != kept).flatten(1).any(1).nonzero().flatten().tolist()) == [2, 5]
    loss = (model.train()(batches[0]) - torch.rand(2, 3, 32, 32)).square().mean()
    loss.backward()
    gradient = block.second.weight.grad
    assert gradient is not None
    assert (gradient[:, [2, 5]].abs().amax((0, 2, 3)) > 0).all(), "it learns from there"


def test_a_network_that_lives_is_left_alone() -> None:
    model = network()
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert revive(model, [torch.rand(2, 3, 32, 32)]) == 0
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=0)


def test_blocks_of_one_convolution_are_not_touched() -> None:
    model = MODELS["photo-fast"]()
    with torch.no_grad():
        model.middle[0].first.bias.fill_(-1e3)
    assert revive(model, [torch.rand(1, 3, 32, 32)]) == 0
