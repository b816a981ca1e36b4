"""Channels of more equal range, before rounding gives all of them one step; the network computes what it did."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from train.activations import highest
from train.photo_networks import Add, Conv, PhotoAutoencoder, Separable
from train.quantization import OUTSIDE

Scale = tuple[float, list[Conv | Add], list[Conv], list[Conv | nn.ConvTranspose2d]]
NARROWEST = 1e-2  # of the widest channel's range: a dead channel is not blown up


@torch.no_grad()
def equalize(model: PhotoAutoencoder, batches: Iterable[Tensor]) -> None:
    """Scale every channel by its range on `batches`, and undo that where it is read.

    At each resolution what is written is added up, with no relu behind the sum, so that nothing else changes. Below
    half resolution the scale is one over the square root of the range: with all ranges equal, the weights that undo it
    differ the more, and are rounded, too. At half resolution little is rounded but what `_rounded_at_half` names: the
    scale is one over the range of that. So it is within separable blocks, where one convolution reads. After Nagel et
    al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", with ranges measured here.
    """
    scales = [*_scales(model), *_within_blocks(model)]
    steps = [step for _, measured, _, _ in scales for step in measured]
    peaks = dict(zip(steps, highest(model, steps, batches, OUTSIDE), strict=True))
    for power, measured, writers, readers in scales:
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


def _scales(model: PhotoAutoencoder) -> Iterator[Scale]:
    """For each resolution the power of the range, the steps to measure, and the convolutions that write and read."""
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
        yield (0.5, summed, writers, readers) if scale else (1.0, _rounded_at_half(model), writers, readers)


def _rounded_at_half(model: PhotoAutoencoder) -> list[Conv | Add]:
    """What is rounded at half resolution: what dense blocks read; the end of the way down, and what is added there."""
    way_down = [model.head, *(block.add for block in model.encoder[0])]
    way_up = [model.join[0], *(block.add for block in model.decoder[0])]
    if model.separable:
        return [way_down[-1], *(model.blocks_at_half[i].second for i in model.int8_blocks)]
    read = [*way_down[:-1], *way_up[:-1]]
    return [read[i] for i in model.int8_blocks]


def _within_blocks(model: PhotoAutoencoder) -> Iterator[Scale]:
    """The same for what one convolution of a separable block gives and the next reads."""
    for block in (block for block in model.modules() if isinstance(block, Separable)):
        yield 1.0, [block.spread], [block.spread], [block.first]
        yield 1.0, [block.first], [block.first], [block.second]
