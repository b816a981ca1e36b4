"""A larger network that begins with what a smaller one of the same design has learnt; nothing is trained here."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.photo_networks import PhotoAutoencoder

FAINT = 0.1  # what a new block that is dense starts with of its weights: x + relu(0) has no gradient, ever


def can_grow(model: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether `weights` are those of a network with as many scales, and no more channels or blocks at any of them.

    Its images have as many channels: a colour cannot begin with what was learnt of grey.
    """
    grown = model.state_dict()
    missing = [name for name in grown if name not in weights]
    blocks = ("encoder.", "middle.", "decoder.")
    return (
        isinstance(model, PhotoAutoencoder)
        and all(name in grown and _is_within(old.shape, grown[name].shape) for name, old in weights.items())
        and all(name.startswith(blocks) for name in missing)
        and weights["head.weight"].shape[1] == model.channels
    )


@torch.no_grad()
def grow(model: nn.Module, weights: Mapping[str, Tensor]) -> int:
    """Set a fresh `model` to compute what a smaller one with these weights computes.

    The channels of the smaller one read none of the new channels, which start as they were drawn. The blocks that it
    lacks start as the identity if they are separable, as all such do, and close to it if they are dense. After Chen et
    al., "Net2Net" (ICLR 2016). Returns how many parameters are new.
    """
    grown = model.state_dict()
    if not model.separable:
        for name in grown.keys() - weights.keys():
            grown[name] *= FAINT
    for name, old in weights.items():
        grown[name][: len(old)] = 0
        grown[name][tuple(slice(length) for length in old.shape)] = old
    return sum(value.numel() for value in grown.values()) - sum(value.numel() for value in weights.values())


def _is_within(shape: torch.Size, larger: torch.Size) -> bool:
    return len(shape) == len(larger) and all(map(int.__le__, shape, larger))
