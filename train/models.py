"""The networks in PyTorch: two autoencoders for digits, one for photographs; nothing here trains or exports them.

Each takes and gives float32 (N, C, H, W) in [0, 1]. The seed of the first two is the classic Keras pair for MNIST.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseAutoencoder(nn.Module):
    """784 -> 784 relu -> 64 relu -> 784 sigmoid, on 28x28 images flattened. The code is (N, 64)."""

    channels, window, stride = 1, 28, 28

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, 64), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(64, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def conv(channels_in: int, channels_out: int, padding: int = 1) -> nn.Sequential:
    """3x3 convolution and relu, with He's initialization: from PyTorch's own this deep a network stays black."""
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=padding)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def halve() -> nn.MaxPool2d:
    """2x2 max-pooling that rounds up, as Keras' padding='same' does: 7 -> 4."""
    return nn.MaxPool2d(2, ceil_mode=True)


def double() -> nn.Upsample:
    """2x nearest-neighbour upsampling."""
    return nn.Upsample(scale_factor=2, mode="nearest")


class ConvAutoencoder(nn.Module):
    """Four convolutions and poolings down to (N, 16, 2, 2), four convolutions and upsamplings back.

    28 -> 14 -> 7 -> 4 -> 2, then 2 -> 4 -> 8 -> 16, without padding 16 -> 14, -> 28.
    """

    channels, window, stride = 1, 28, 28

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(conv(1, 128), halve()), *(conv(128, 64), halve()), *(conv(64, 16), halve()), *(conv(16, 16), halve())
        )
        self.decoder = nn.Sequential(
            *(conv(16, 16), double()),
            *(conv(16, 16), double()),
            *(conv(16, 64), double()),
            *(conv(64, 128, padding=0), double()),
            *(nn.Conv2d(128, 1, 3, padding=1), nn.Sigmoid()),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


class Conv(nn.Conv2d):
    """A convolution, with or without relu behind it: one step of the int8 network, which rounds what it gives."""

    def __init__(
        self, channels_in: int, channels_out: int, side: int = 3, *, relu: bool = False, stride: int = 1
    ) -> None:
        super().__init__(channels_in, channels_out, side, stride, padding=(side - stride) // 2)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return F.relu(x) if self.relu else x


class Add(nn.Module):
    """a + b, a step of its own for the same reason."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Residual(nn.Module):
    """x + conv(relu(conv(x))), or x + relu(conv(x)) where `depth` is 1; all 3x3."""

    def __init__(self, channels: int, depth: int = 2) -> None:
        super().__init__()
        self.first = Conv(channels, channels, relu=True)
        self.second = Conv(channels, channels) if depth == 2 else nn.Identity()
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, self.second(self.first(x)))


class PhotoAutoencoder(nn.Module):
    """A fully convolutional autoencoder with skip connections that predicts the noise and subtracts it.

    The first convolution halves the resolution and the last is followed by a 2x2 pixel-shuffle. Plain convolutions
    only: they are what a CPU does fastest.

    Parameters
    ----------
    widths : tuple of int
        Channels of the scales, each half the resolution of the one before.
    encoder, decoder : tuple of int
        Residual blocks on the way down and up, largest scale first; the smallest scale is not among them.
    middle : int
        Residual blocks at the smallest scale.
    depth : int
        Convolutions of a block, 1 or 2.
    head, tail : int
        Sides of the first and last convolution's filters.
    """

    channels, window = 3, None

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 48, 64, 80),
        encoder: tuple[int, ...] = (0, 1, 1),
        middle: int = 2,
        decoder: tuple[int, ...] = (1, 1, 1),
        depth: int = 2,
        head: int = 6,  # sees what 3x3 on 2x2 blocks sees
        tail: int = 3,
    ) -> None:
        super().__init__()

        def blocks(channels: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Residual(channels, depth) for _ in range(count)))

        self.stride = 2 ** len(widths)
        self.head = Conv(self.channels, widths[0], head, stride=2)
        self.down = nn.ModuleList(Conv(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Conv(b, a, 1) for a, b in pairwise(widths))
        self.encoder = nn.ModuleList(blocks(*scale) for scale in zip(widths[:-1], encoder, strict=True))
        self.middle = blocks(widths[-1], middle)
        self.join = nn.ModuleList(Add() for _ in self.up)
        self.decoder = nn.ModuleList(blocks(*scale) for scale in zip(widths[:-1], decoder, strict=True))
        self.tail = Conv(widths[0], 4 * self.channels, tail)
        nn.init.zeros_(self.tail.weight)  # starts as the identity
        nn.init.zeros_(self.tail.bias)

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
        denoised = images - F.pixel_shuffle(self.tail(x), 2)
        return denoised if self.training else denoised.clamp(0, 1)


def photo_fast() -> PhotoAutoencoder:
    """A quarter of the work of `photo`, most of it in a single convolution at half resolution."""
    return PhotoAutoencoder((32, 32, 48, 64), encoder=(0, 0, 0), middle=2, decoder=(1, 0, 0), depth=1, head=4, tail=1)


def photo_best() -> PhotoAutoencoder:
    """Four times the work of `photo`."""
    return PhotoAutoencoder((48, 96, 128, 160), encoder=(0, 1, 1), middle=2, decoder=(2, 1, 2))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "dense": DenseAutoencoder,
    "conv": ConvAutoencoder,
    "photo": PhotoAutoencoder,
    "photo-fast": photo_fast,
    "photo-best": photo_best,
}


def parameter_count(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of the convolutions and dense layers for one image of that size."""
    total = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()  # each output value is one filter's dot product

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        model(torch.zeros(1, model.channels, height, width))
    for hook in hooks:
        hook.remove()
    return total
