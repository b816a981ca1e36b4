"""Weights rounded so that their errors cancel in what a convolution gives, not each to the nearest step.

After Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (ICLR 2023).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from train.activations import watch
from train.photo_networks import Conv
from train.quantization import WEIGHT_MAX, weight_steps

DAMPING = 0.01  # of the mean square of what is read, added to all: what is never read may not grow without limit
SAMPLES = 2_000  # places looked at in a batch


@torch.no_grad()
def round_weights(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Put the weights of a rounding network on the steps that suit what its convolutions read of these noisy images.

    They are the steps that RoundedWeight has, so that it changes them no more. Depthwise filters stay as they are.
    """
    convolutions = [layer for layer in model.modules() if isinstance(layer, Conv) and layer.groups == 1]
    convolutions = [layer for layer in convolutions if parametrize.is_parametrized(layer)]
    products = {layer: torch.zeros(()) for layer in convolutions}

    def record(layer: nn.Module, read: Tensor, _output: Tensor) -> None:
        patches = F.unfold(read.float(), layer.kernel_size, padding=layer.padding, stride=layer.stride)
        rows = patches.transpose(1, 2).flatten(0, 1)
        rows = rows[:: -(-len(rows) // SAMPLES)].double()
        products[layer] = products[layer] + rows.T @ rows / len(rows)

    watch(model, convolutions, batches, record)
    for layer, product in products.items():
        weight = layer.parametrizations.weight.original
        weight.copy_(rounded_filters(weight.flatten(1).double(), product).reshape(weight.shape))


def rounded_filters(filters: Tensor, products: Tensor) -> Tensor:
    """Round (filters, weights) for what they are multiplied with, whose products of pairs sum up to (weights, weights).

    Weight by weight, each error is made up for by the weights that are not rounded yet. The largest one of a filter is
    on a step already, and stays: it decides on the steps.
    """
    scale = weight_steps(filters)
    largest = filters.abs() == filters.abs().amax(1, keepdim=True)
    damped = products + torch.eye(len(products), dtype=products.dtype) * (DAMPING * products.diagonal().mean() + 1e-12)
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    left, steps = filters.clone(), torch.empty_like(filters)
    for i, row in enumerate(inverse):
        nearest = (left[:, i] / scale).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
        steps[:, i] = torch.where(largest[:, i], filters[:, i].sign() * WEIGHT_MAX, nearest)
        error = (left[:, i] - steps[:, i] * scale) / row[i]
        left -= error[:, None] * row
    return steps * scale[:, None]
