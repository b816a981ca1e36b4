"""The ways down and up again of a convolutional autoencoder, each a module of its own; no network is put together here.

All take and give (N, C, H, W). `side` is the height and width in pixels of what a step up gives.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int, padding: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution and relu, with He's initialization: from PyTorch's own a deep network stays black.

    With a dilation the nine weights lie that many pixels apart, and the padding has to be as large to keep the size.
    """
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=padding, dilation=dilation)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def transposed(channels_in: int, channels_out: int, side: int) -> nn.Sequential:
    """3x3 transposed convolution of stride 2, and relu: times the value, the filter is laid down at every second pixel.

    An output pixel meets one, two or four of the nine weights, by where it lies: hence the checkerboards.
    """
    convolution = nn.ConvTranspose2d(channels_in, channels_out, 3, 2, padding=1, output_padding=1 - side % 2)
    nn.init.normal_(convolution.weight, std=(2 / (channels_in * 9 / 4)) ** 0.5)  # He's, for 9 / 4 weights in the mean
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def max_halve() -> nn.MaxPool2d:
    """2x2 max-pooling that rounds up, as Keras' padding='same' does: 7 -> 4."""
    return nn.MaxPool2d(2, ceil_mode=True)


class MeanHalve(nn.Module):
    """2x2 average-pooling that rounds up; a window that reaches over the edge is the mean of what is inside.

    The edge is repeated for that, which gives the same mean: onnxruntime's 8-bit AveragePool with ceil_mode does not.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate"), 2)


def double(mode: str) -> nn.Upsample:
    """2x upsampling, nearest-neighbour or bilinear (pixels are squares: corners are not aligned)."""
    return nn.Upsample(scale_factor=2, mode=mode)


class MeanUnpool(nn.Module):
    """2x2 average-pooling undone: each value is repeated over the window it is the mean of."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")[:, :, : self.side, : self.side]


class MaxUnpool(nn.Module):
    """2x2 max-pooling undone: each value goes to where the maximum of its window was, with zeros beside it.

    The ONNX operator MaxUnpool has no 8-bit form, and its indices count through the whole batch. So the exported graph
    has operators that every runtime has: of four values the first that is the largest, as pooling takes it.
    """

    def forward(self, x: Tensor, pooled: Tensor) -> Tensor:
        """Spread x, (N, C, h, w), over the size of `pooled`, (N, C, H, W), h = ceil(H / 2): what the maxima were of."""
        if torch.onnx.is_in_onnx_export():
            return unpool_portably(x, pooled)
        _maxima, places = F.max_pool2d(pooled, 2, ceil_mode=True, return_indices=True)
        return F.max_unpool2d(x, places, 2, output_size=pooled.shape[2:])


def unpool_portably(x: Tensor, pooled: Tensor) -> Tensor:
    """Do what MaxUnpool does without indices; `pooled` is not negative."""
    height, width = pooled.shape[2:]
    padded = F.pad(pooled, (0, width % 2, 0, height % 2), value=-1.0)
    corners = [padded[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    largest = torch.maximum(torch.maximum(corners[0], corners[1]), torch.maximum(corners[2], corners[3]))
    left, spread = x, []  # what no corner before has taken
    for corner in corners[:3]:
        taken = torch.where(corner == largest, left, torch.zeros(()))
        left = torch.where(corner == largest, torch.zeros(()), left)
        spread.append(taken)
    return F.pixel_shuffle(torch.stack([*spread, left], 2).flatten(1, 2), 2)[:, :, :height, :width]
