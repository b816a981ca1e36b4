"""The networks by name and by recipe, and how large one is; each takes and gives float32 (N, C, H, W) in [0, 1]."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aeinfer.errors import InputError
from train.digit_networks import ConvAutoencoder, DenseAutoencoder, UNet
from train.photo_networks import photo, photo_best, photo_fast, photo_fast_grey
from train.quantization import rounded

MODELS: dict[str, Callable[..., nn.Module]] = {
    "dense": DenseAutoencoder,
    "conv": ConvAutoencoder,
    "unet": UNet,
    "photo": photo,
    "photo-camera": photo,  # the same network, which saw other noise
    "photo-fast": photo_fast,
    "photo-fast-grey": photo_fast_grey,
    "photo-best": photo_best,
}


def build_model(recipe: Mapping[str, Any]) -> nn.Module:
    """Return the untrained network of a recipe; the int8 one rounds.

    Raises
    ------
    InputError
        The network has no such variant.
    """
    options = recipe.get("options", {})
    try:
        model = MODELS[recipe["model"]](**options)
    except TypeError as error:
        raise InputError(f"{recipe['model']} has no variant with {', '.join(options)}") from error
    return rounded(model) if recipe.get("int8") else model


def parameter_count(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of the convolutions and dense layers for one image of that size."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, model.channels, height, width))
    return counter.get_total_flops() // 2
