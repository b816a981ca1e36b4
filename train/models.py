"""The networks by name, and how large one is; each takes and gives float32 (N, C, H, W) in [0, 1]."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from train.digit_networks import ConvAutoencoder, DenseAutoencoder, UNet
from train.photo_networks import photo, photo_best, photo_fast, photo_fast_grey

MODELS: dict[str, Callable[[], nn.Module]] = {
    "dense": DenseAutoencoder,
    "conv": ConvAutoencoder,
    "unet": UNet,
    "photo": photo,
    "photo-camera": photo,  # the same network, which saw other noise
    "photo-fast": photo_fast,
    "photo-fast-grey": photo_fast_grey,
    "photo-best": photo_best,
}


def parameter_count(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of the convolutions and dense layers for one image of that size."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, model.channels, height, width))
    return counter.get_total_flops() // 2
