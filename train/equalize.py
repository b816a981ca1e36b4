"""Channels of more equal range, before rounding gives all of them one step; the network computes what it did."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from train.activations import highest
from train.models import Add, Conv, PhotoAutoencoder

NARROWEST = 1e-2  # of the widest channel's range: a dead channel is not blown up


@torch.no_grad()
def equalize(model: PhotoAutoencoder, batches: Iterable[Tensor]) -> None:
    """Scale every channel by one over the square root of its range on `batches`, and undo that where it is read.

    At each resolution what is written is added up, with no relu behind the sum, so that nothing else changes. The
    square root is halfway: with all ranges equal, the weights that undo it differ the more. After Nagel et al. 2019,
    "Data-Free Quantization Through Weight Equalization and Bias Correction", with ranges measured here.
    """
    scales = list(_scales(model))
    steps = [step for summed, _, _ in scales for step in summed]
    peaks = dict(zip(steps, highest(model, steps, batches), strict=True))
    for summed, writers, readers in scales:
        ranges = torch.stack([peaks[step] for step in summed]).amax(0)
        factors = ranges.clamp_min(NARROWEST * ranges.max()).rsqrt()
        factors /= factors.log().mean().exp()
        for writer in writers:
            writer.weight *= factors[:, None, None, None]
            writer.bias *= factors
        for reader in readers:
            # a depthwise filter is the one that reads its channel
            reader.weight /= factors[:, None, None, None] if reader.groups > 1 else factors[:, None, None]


def _scales(model: PhotoAutoencoder) -> Iterator[tuple[list[Conv | Add], list[Conv], list[Conv]]]:
    """For each resolution the steps with outputs of full range, the convolutions that write, and those that read."""
    last = len(model.down)
    for scale, entry in enumerate([model.head, *model.down]):
        blocks = list(model.middle) if scale == last else [*model.encoder[scale], *model.decoder[scale]]
        convolutions = [[step for step in block.children() if isinstance(step, Conv)] for block in blocks]
        summed, writers = [entry, *(block.add for block in blocks)], [entry, *(steps[-1] for steps in convolutions)]
        readers = [model.up[scale - 1] if scale else model.tail, *(steps[0] for steps in convolutions)]
        if scale < last:
            summed.append(model.join[scale])
            writers.append(model.up[scale])
            readers.append(model.down[scale])
        yield summed, writers, readers
