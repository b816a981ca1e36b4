"""The networks in PyTorch: two autoencoders for digits, one for photographs; nothing here trains or exports them.

Each takes and gives float32 (N, C, H, W) in [0, 1]. The seed of the first two is the classic Keras pair for MNIST.
"""

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


class Residual(nn.Module):
    """x + conv(relu(conv(x))), both 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class PhotoAutoencoder(nn.Module):
    """A fully convolutional autoencoder with skip connections that predicts the noise and subtracts it.

    The first convolution halves the resolution and the last is followed by a 2x2 pixel-shuffle; `widths` are the
    channels of the scales, each half the one before. Plain convolutions only: they are what a CPU does fastest.
    """

    channels, window = 3, None

    def __init__(self, widths: tuple[int, ...] = (32, 48, 64, 80)) -> None:
        super().__init__()
        self.stride = 2 ** len(widths)
        self.head = nn.Conv2d(self.channels, widths[0], 6, stride=2, padding=2)  # sees what 3x3 on 2x2 blocks sees
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.encoder = nn.ModuleList(Residual(width) for width in widths[:-1])
        self.middle = nn.Sequential(Residual(widths[-1]), Residual(widths[-1]))
        self.decoder = nn.ModuleList(Residual(width) for width in widths[:-1])
        self.tail = nn.Conv2d(widths[0], 4 * self.channels, 3, padding=1)
        nn.init.zeros_(self.tail.weight)  # starts as the identity
        nn.init.zeros_(self.tail.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.head(images)
        skips = []
        for block, down in zip(self.encoder, self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for block, up, skip in zip(reversed(self.decoder), reversed(self.up), reversed(skips), strict=True):
            x = block(skip + F.interpolate(up(x), scale_factor=2, mode="nearest"))
        denoised = images - F.pixel_shuffle(self.tail(x), 2)
        return denoised if self.training else denoised.clamp(0, 1)


MODELS: dict[str, type[nn.Module]] = {"dense": DenseAutoencoder, "conv": ConvAutoencoder, "photo": PhotoAutoencoder}


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
