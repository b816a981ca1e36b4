"""Rounding rehearsed: the errors that a network's int8 twin will make at half resolution, while the network is trained.

What makes little of them is learnt over the whole run, not in the short one with rounding.
"""

import torch
from torch import Tensor, nn

from train.photo_networks import PhotoAutoencoder
from train.quantization import ACTIVATION_MAX

SPREAD = 5.0  # standard deviations on either side that 8 bits will have to hold


def rehearse(model: PhotoAutoencoder) -> None:
    """Let the dense blocks at half resolution that the int8 network rounds read and give 8 bits in training.

    Steps follow from the batch: one for each channel of what is read, as their ranges will be made equal, and the same
    ones times what the widest channel needs for what is given.
    """
    for i in model.int8_blocks:
        convolution = model.blocks_at_half[i].first
        convolution.register_forward_pre_hook(_read)
        convolution.register_forward_hook(_give)


def _read(step: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    x = inputs[0]
    return (_rounded(x, _deviations(x) * (2 * SPREAD)),) if step.training else None


def _give(step: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor | None:
    if not step.training:
        return None
    widths = _deviations(inputs[0])
    highest = output.detach().mean((0, 2, 3), dtype=torch.float32) + SPREAD * _deviations(output)
    return _rounded(output, widths * (highest / widths).max())


def _deviations(x: Tensor) -> Tensor:
    """(C,) of each channel of (N, C, H, W), never zero; by sums of squares, in a tenth of the time of `std`."""
    places = x.detach().float().movedim(1, -1).flatten(0, -2)
    return (places.square().mean(0) - places.mean(0).square()).clamp_min(1e-12).sqrt()


def _rounded(x: Tensor, ranges: Tensor) -> Tensor:
    """On steps of which ACTIVATION_MAX make a channel's range, and no end to them; the gradient is that of x."""
    steps = (ranges / ACTIVATION_MAX)[:, None, None]
    values = x.detach().float()
    return x + (values.div(steps).round_().mul_(steps) - values).to(x.dtype)
