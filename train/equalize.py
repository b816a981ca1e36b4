"""Channels of more equal range, before rounding gives all of them one step; the network computes what it did."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from train.activations import highest
from train.models import Add, Conv, PhotoAutoencoder
from train.quantization import OUTSIDE

NARROWEST = 1e-2  # of the widest channel's range: a dead channel is not blown up


@torch.no_grad()
def equalize(model: PhotoAutoencoder, batches: Iterable[Tensor]) -> None:
    """Scale every channel by its range on `batches`, and undo that where it is read.

    At each resolution what is written is added up, with no relu behind the sum, so that nothing else changes. Below
    half resolution the scale is one over the square root of the range: with all ranges equal, the weights that undo it
    differ the more, and are rounded, too. At half resolution little is rounded but what `_rounded_at_half` names: the
    scale is one over the range of that. After Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
    and Bias Correction", with ranges measured here.
    """
    scales = list(_scales(model))
    steps = [step for measured, _, _ in scales for step in measured]
    peaks = dict(zip(steps, highest(model, steps, batches, OUTSIDE), strict=True))
    for power, (measured, writers, readers) in zip([1.0] + [0.5] * len(model.down), scales, strict=True):
        if not measured:
            continue
        ranges = torch.stack([peaks[step] for step in measured]).amax(0)
        factors = ranges.clamp_min(NARROWEST * ranges.max()) ** -power
        factors /= factors.log().mean().exp()
        for writer in writers:
            writer.weight *= factors[:, None, None, None]
            writer.bias *= factors
        for reader in readers:
            # a depthwise filter is the one that reads its channel; transposed filters lie by what they read
            by_channel = reader.groups > 1 or isinstance(reader, nn.ConvTranspose2d)
            reader.weight /= factors[:, None, None, None] if by_channel else factors[:, None, None]


def _scales(model: PhotoAutoencoder) -> Iterator[tuple[list[Conv | Add], list[Conv], list[Conv | nn.ConvTranspose2d]]]:
    """For each resolution the steps to measure, the convolutions that write, and those that read."""
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
        yield summed if scale else _rounded_at_half(model), writers, readers


def _rounded_at_half(model: PhotoAutoencoder) -> list[Conv | Add]:
    """What rounded convolutions read at half resolution: the end of the way down, or what goes into dense blocks."""
    way_down = [model.head, *(block.add for block in model.encoder[0])]
    way_up = [model.join[0], *(block.add for block in model.decoder[0])]
    return way_down[-1:] if model.separable else [*way_down[:-1], *way_up[:-1]]
