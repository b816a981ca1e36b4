"""The network for photographs in PyTorch, in its sizes, and the steps that it is made of."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Conv2d):
    """A convolution, with or without relu behind it: one step of the int8 network, which rounds what it gives."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        side: int = 3,
        *,
        relu: bool = False,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(channels_in, channels_out, side, stride, padding=(side - stride) // 2, groups=groups)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return F.relu(x) if self.relu else x


class Add(nn.Module):
    """a + b, a step of its own for the same reason."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Residual(nn.Module):
    """x + relu(conv(x)), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv(channels, channels, relu=True)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, self.first(x))


class Separable(nn.Module):
    """x + conv(relu(conv(depthwise(x)))), 3x3 depthwise and two 1x1: a block of ConvNeXt without its norm and widening.

    After Liu et al. 2022. Starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = Conv(channels, channels, groups=channels)
        self.first = Conv(channels, channels, 1, relu=True)
        self.second = Conv(channels, channels, 1)
        self.add = Add()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, self.second(self.first(self.spread(x))))


class PhotoAutoencoder(nn.Module):
    """A fully convolutional autoencoder with skip connections that predicts the noise and subtracts it.

    The first convolution halves the resolution and the last, a transposed one, doubles it: each value gives 2x2 pixels.
    Plain convolutions between them, in blocks that are dense or separable: they are what a CPU does fastest.

    Parameters
    ----------
    widths : tuple of int
        Channels of the scales, each half the resolution of the one before.
    encoder, decoder : tuple of int
        Residual blocks on the way down and up, largest scale first; the smallest scale is not among them.
    middle : int
        Residual blocks at the smallest scale.
    separable : bool
        Whether the blocks are separable, which at few channels is no gain.
    channels : int
        Of the images: 3, or 1 for grey ones.
    int8_blocks : tuple of int
        Blocks at half resolution that round in the int8 network, counted along the way down and up: those that lose
        little by it and gain time.
    """

    window, code = None, 0

    def __init__(
        self,
        widths: tuple[int, ...],
        encoder: tuple[int, ...],
        middle: int,
        decoder: tuple[int, ...],
        separable: bool = False,
        channels: int = 3,
        int8_blocks: tuple[int, ...] = (),
    ) -> None:
        super().__init__()

        def blocks(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Separable(width) if separable else Residual(width) for _ in range(count)))

        self.channels, self.stride, self.separable = channels, 2 ** len(widths), separable
        self.int8_blocks = int8_blocks
        self.head = Conv(channels, widths[0], 4, stride=2)
        self.down = nn.ModuleList(Conv(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Conv(b, a, 1) for a, b in pairwise(widths))
        self.encoder = nn.ModuleList(blocks(*scale) for scale in zip(widths[:-1], encoder, strict=True))
        self.middle = blocks(widths[-1], middle)
        self.join = nn.ModuleList(Add() for _ in self.up)
        self.decoder = nn.ModuleList(blocks(*scale) for scale in zip(widths[:-1], decoder, strict=True))
        self.tail = nn.ConvTranspose2d(widths[0], channels, 2, stride=2)
        nn.init.zeros_(self.tail.weight)  # starts as the identity
        nn.init.zeros_(self.tail.bias)

    @property
    def blocks_at_half(self) -> list[nn.Module]:
        """The blocks at half resolution, along the way down and up: what `int8_blocks` counts."""
        return [*self.encoder[0], *self.decoder[0]]

    def forward(self, images: Tensor) -> Tensor:
        x = self.head(images)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            x = blocks(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for blocks, up, join in zip(reversed(self.decoder), reversed(self.up), reversed(self.join), strict=True):
            x = blocks(join(skips.pop(), F.interpolate(up(x), scale_factor=2, mode="nearest")))
        denoised = images - self.tail(x)
        return denoised if self.training else denoised.clamp(0, 1)


def photo() -> PhotoAutoencoder:
    """The default. Its blocks are separable, so that in the time of dense ones there is room for twice the channels."""
    return PhotoAutoencoder((64, 96, 128, 128), encoder=(0, 1, 1), middle=2, decoder=(2, 3, 2), separable=True)


def photo_fast() -> PhotoAutoencoder:
    """A third of the work of `photo`, two fifths of that in a single convolution at half resolution."""
    return PhotoAutoencoder((32, 32, 48, 64), encoder=(0, 1, 0), middle=3, decoder=(1, 2, 0), int8_blocks=(0,))


def photo_fast_grey() -> PhotoAutoencoder:
    """For one channel: `photo_fast` with half the channels where most of its time is spent."""
    return PhotoAutoencoder(
        (16, 32, 48, 64), encoder=(0, 1, 0), middle=3, decoder=(1, 2, 0), channels=1, int8_blocks=(0,)
    )


def photo_best() -> PhotoAutoencoder:
    """Three times the work of `photo`: a quarter to a half more channels at its scales, and more blocks."""
    return PhotoAutoencoder(
        (96, 128, 160, 192),
        encoder=(1, 2, 1),
        middle=2,
        decoder=(4, 3, 2),
        separable=True,
        int8_blocks=(0, 3, 4),
    )
