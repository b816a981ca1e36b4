"""The networks for digits in PyTorch: two autoencoders, of which one has many variants, and a U-Net as their ceiling.

The seed of the first two is the classic Keras pair for MNIST.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aeinfer.errors import InputError
from train.resampling import MaxUnpool, MeanHalve, MeanUnpool, conv, double, max_halve, transposed


class DenseAutoencoder(nn.Module):
    """784 -> 784 relu -> `code` relu -> 784 sigmoid, on 28x28 images flattened; the code is (N, code)."""

    channels, window, stride = 1, 28, 28

    def __init__(self, code: int = 64) -> None:
        super().__init__()
        if code < 1:
            raise InputError(f"expected a code of at least one number, got {code}")
        self.code = code
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, code), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(code, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


WAYS_UP = ("upsample-nearest", "upsample-bilinear", "transposed", "unpool-max", "unpool-average")
BOTTLENECKS = ("pool", "dilated", "none")


class ConvAutoencoder(nn.Module):
    """Four convolutions and poolings from 28x28 down to 2x2 pixels, four convolutions and a way up to 28x28 again.

    The sides are 28, 14, 7, 4, 2. On the way up they are the same, but for upsampling, which is the seed's:
    2, 4, 8, 16, 14 for want of padding, 28.

    Parameters
    ----------
    decoder : str
        The way up, of WAYS_UP. Average-unpooling undoes average-pooling, all others max-pooling. What max-unpooling
        knows of the places of the maxima goes past the bottleneck, so that there is no code.
    bottleneck : str
        "pool"; "dilated": nothing is pooled, the filters are spread instead, and there is neither way up nor code;
        "none": the same without spreading, to see what that buys.
    code : int
        Numbers in the bottleneck, a multiple of 4.
    widths : three ints
        Channels of the first three convolutions, and of the last three on the way up.

    Attributes
    ----------
    code : int
        The numbers that all of the image goes through; 0 where there is no such place.

    Raises
    ------
    InputError
        There is no such network.
    """

    channels, window, stride = 1, 28, 28

    def __init__(
        self,
        decoder: str = "upsample-nearest",
        bottleneck: str = "pool",
        code: int = 64,
        widths: tuple[int, ...] = (128, 64, 16),
    ) -> None:
        super().__init__()
        if decoder not in WAYS_UP or bottleneck not in BOTTLENECKS:
            known = f"decoder {' or '.join(WAYS_UP)}, bottleneck {' or '.join(BOTTLENECKS)}"
            raise InputError(f"expected {known}, got decoder {decoder} and bottleneck {bottleneck}")
        if code < 4 or code % 4:
            raise InputError(f"a conv autoencoder's code is 2x2 pixels, a multiple of 4 numbers, got {code}")
        if len(widths) != 3 or min(widths) < 1:
            raise InputError(f"a conv autoencoder has three widths of at least one channel, got {widths}")
        if bottleneck != "pool" and (decoder, code, widths) != ("upsample-nearest", 64, (128, 64, 16)):
            raise InputError("a network that keeps its resolution has no decoder, code and widths to choose")
        self.code = code if bottleneck == "pool" and decoder != "unpool-max" else 0
        if bottleneck != "pool":
            self.encoder, self.decoder = flat_halves((1, 2, 4, 8) if bottleneck == "dilated" else (1, 1, 1, 1))
        else:
            self.encoder = pooling_encoder(
                (*widths, code // 4), MeanHalve if decoder == "unpool-average" else max_halve
            )
            self.decoder = climbing_decoder((*widths, code // 4), decoder)

    def forward(self, images: Tensor) -> Tensor:
        x, pooled = images, []
        for step in self.encoder:
            if isinstance(step, nn.MaxPool2d):
                pooled.append(x)
            x = step(x)
        for step in self.decoder:
            x = step(x, pooled.pop()) if isinstance(step, MaxUnpool) else step(x)
        return x


def pooling_encoder(widths: tuple[int, ...], halve: Callable[[], nn.Module]) -> nn.Sequential:
    """28x28 -> the last of four widths at 2x2."""
    return nn.Sequential(*(step for before, after in pairwise((1, *widths)) for step in (conv(before, after), halve())))


def climbing_decoder(widths: tuple[int, ...], way_up: str) -> nn.Sequential:
    """The last of the encoder's four widths at 2x2 -> 28x28."""
    # what max-unpooling gives has the channels of what was pooled
    widths = (widths[3], widths[3 if way_up == "unpool-max" else 2], *widths[2::-1])
    steps: list[nn.Module] = []
    for (before, after), side in zip(pairwise(widths), (4, 7, 14, 28), strict=True):
        if way_up == "transposed":
            steps.append(transposed(before, after, side))
        elif way_up.startswith("upsample"):
            steps += [conv(before, after, padding=0 if side == 28 else 1), double(way_up.removeprefix("upsample-"))]
        else:
            steps += [conv(before, after), MaxUnpool() if way_up == "unpool-max" else MeanUnpool(side)]
    return nn.Sequential(*steps, nn.Conv2d(widths[-1], 1, 3, padding=1), nn.Sigmoid())


def flat_halves(dilations: tuple[int, ...]) -> tuple[nn.Sequential, nn.Sequential]:
    """As many convolutions, all at full resolution; dilated by 1, 2, 4, 8 they reach as far as pooling lets them."""
    width = 32
    encoder = [conv(width if i else 1, width, padding=d, dilation=d) for i, d in enumerate(dilations)]
    decoder = [conv(width, width, padding=d, dilation=d) for d in reversed(dilations)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Conv2d(width, 1, 3, padding=1), nn.Sigmoid())


class UNet(nn.Module):
    """The ceiling: no bottleneck at all, each scale of the way down is joined to its scale on the way up.

    Two convolutions a scale at 28x28, 14x14 and 7x7 pixels; after Ronneberger et al. 2015, with nearest-neighbour
    upsampling. Another number of `widths` is another number of scales.

    Raises
    ------
    InputError
        There is no such network: 7x7 pixels have no half.
    """

    channels, window, stride, code = 1, 28, 28, 0

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        if not 1 <= len(widths) <= 3 or min(widths) < 1:
            raise InputError(f"a U-Net of 28x28 pixels has one to three widths of at least one channel, got {widths}")

        def pair(channels_in: int, channels_out: int) -> nn.Sequential:
            return nn.Sequential(conv(channels_in, channels_out), conv(channels_out, channels_out))

        self.down = nn.ModuleList(pair(a, b) for a, b in pairwise((1, *widths)))
        self.up = nn.ModuleList(pair(a + b, a) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        x, skips = images, []
        for scale in self.down:
            x = scale(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        x = skips.pop()
        for scale in reversed(self.up):
            x = scale(torch.cat([skips.pop(), F.interpolate(x, scale_factor=2, mode="nearest")], 1))
        return torch.sigmoid(self.last(x))
