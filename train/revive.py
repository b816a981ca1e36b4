"""Dead channels set anew: a filter whose relu never lets anything through gets no gradient and cannot come back."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from train.activations import highest
from train.photo_networks import Separable


@torch.no_grad()
def revive(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Set anew the channels between the last two convolutions of separable blocks that are zero on all `batches`.

    The filter that makes such a channel is drawn as He et al. 2015 have it, the weights that read it become zero: the
    network gives what it gave before, and learns from there. Returns their number.
    """
    blocks = [block for block in model.modules() if isinstance(block, Separable)]
    peaks = highest(model, [block.first for block in blocks], batches)  # behind its relu
    for block, peak in zip(blocks, peaks, strict=True):
        dead = peak <= 0
        fresh = torch.empty_like(block.first.weight)
        nn.init.kaiming_normal_(fresh, nonlinearity="relu")
        block.first.weight[dead] = fresh[dead]
        block.first.bias[dead] = 0
        block.second.weight[:, dead] = 0
    return sum(int((peak <= 0).sum()) for peak in peaks)
