"""A grown network: it gives what the smaller one gave, and all of it learns."""

import pytest
import torch
from torch import nn

from train.grow import can_grow, grow
from train.models import MODELS, parameter_count
from train.photo_networks import PhotoAutoencoder


def network(
    widths: tuple[int, ...],
    encoder: int = 0,
    middle: int = 1,
    decoder: int = 1,
    separable: bool = True,
    channels: int = 3,
) -> PhotoAutoencoder:
    return PhotoAutoencoder(widths, (encoder,), middle, (decoder,), separable, channels)


@pytest.fixture
def small() -> PhotoAutoencoder:
    torch.manual_seed(0)
    small = network((8, 12))
    for parameter in small.parameters():
        nn.init.normal_(parameter, std=0.2)
    return small


@pytest.mark.parametrize(
    "larger",
    [
        network((8, 12)),
        network((10, 12)),
        network((8, 16)),
        network((12, 14), encoder=2, middle=2, decoder=3),
    ],
)
def test_it_gives_what_the_smaller_one_gave(small: PhotoAutoencoder, larger: PhotoAutoencoder) -> None:
    images = torch.rand(2, 3, 32, 32)
    assert can_grow(larger, small.state_dict())
    assert grow(larger, small.state_dict()) == parameter_count(larger) - parameter_count(small)
    with torch.no_grad():
        torch.testing.assert_close(larger.train()(images), small.train()(images))


def test_dense_blocks_more_change_little_and_learn() -> None:
    torch.manual_seed(0)
    small, larger = (network((8, 12), middle=blocks, decoder=blocks, separable=False) for blocks in (1, 2))
    nn.init.normal_(small.tail.weight, std=0.2)
    images = torch.rand(2, 3, 32, 32)
    gives, fresh = small.train()(images), larger.train()(images)
    grow(larger, small.state_dict())
    grown = larger(images)
    assert (grown - gives).abs().mean() < 0.1 * (fresh - gives).abs().mean()
    grown.square().mean().backward()
    new = [parameter for name, parameter in larger.named_parameters() if name not in small.state_dict()]
    assert len(new) == 4
    assert all(parameter.grad.any() for parameter in new)


def test_all_of_it_learns(small: PhotoAutoencoder) -> None:
    """The first step sets what reads the new channels and blocks, the next ones what makes them."""
    larger = network((12, 14), encoder=1, middle=2, decoder=2)
    grow(larger, small.state_dict())
    optimizer = torch.optim.SGD(larger.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        (larger(torch.rand(2, 3, 32, 32)) - torch.rand(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    for name, parameter in larger.named_parameters():
        new = parameter.grad.clone()
        if name in small.state_dict():
            new[tuple(slice(length) for length in small.state_dict()[name].shape)] = 0
        assert new.any() or new.shape == small.state_dict()[name].shape, name


COLOUR, GREY = network((8, 12)), network((8, 12), channels=1)


@pytest.mark.parametrize(
    ("smaller", "other"),
    [
        (COLOUR, network((6, 12))),
        (COLOUR, network((8, 12), middle=0)),
        (COLOUR, network((8, 12), decoder=0)),
        (COLOUR, PhotoAutoencoder((8, 12, 16), (0, 0), 1, (1, 1), separable=True)),
        (COLOUR, network((8, 12), separable=False)),
        (COLOUR, GREY),
        (GREY, COLOUR),
        (GREY, network((10, 16), middle=2)),
        (COLOUR, MODELS["dense"]()),
    ],
)
def test_what_has_no_room_for_it_does_not_grow(smaller: PhotoAutoencoder, other: nn.Module) -> None:
    assert not can_grow(other, smaller.state_dict())


def test_weights_without_a_spread_are_not_those_of_a_smaller_one(small: PhotoAutoencoder) -> None:
    dense = network((6, 12), separable=False)
    assert not can_grow(small, dense.state_dict())
