"""The int8 network while it is trained: values rounded to the steps that the exported file will have; no loop is here.

Weights take 7 bits and activations 8, so that the sum of two products, 2 * 63 * 255, fits in 16 bits: processors that
add pairs of u8 x s8 products in 16 bits (AVX2 without VNNI) then saturate no more than any other. What is
closest to the image stays in floating point.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from train.photo_networks import Add, Conv, PhotoAutoencoder

WEIGHT_MAX = 63
ACTIVATION_MAX = 255
NARROWEST = 1e-2  # range of activations that are always zero: with a step near nothing the next bias overflows 32 bits
OUTSIDE = 1e-4  # share of the activations left outside of the range on either side


def weight_steps(weight: Tensor) -> Tensor:
    """Return the step of each output channel's weights, (C,), so that the largest takes WEIGHT_MAX of them."""
    return weight.detach().flatten(1).abs().amax(1).clamp_min(1e-8) / WEIGHT_MAX


class RoundedWeight(nn.Module):
    """Weights on 127 symmetric steps, one scale per output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        scale = weight_steps(weight)
        zero_point = torch.zeros_like(scale, dtype=torch.int32)
        if torch.onnx.is_in_onnx_export():
            return _quantize_dequantize(weight, scale, zero_point.to(torch.int8), axis=0)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -WEIGHT_MAX, WEIGHT_MAX)


class Rounding(torch.autograd.Function):
    """Values on the steps 0 to 255, and back, in few passes over the memory: training with it waits for those.

    Gradients are those of Esser et al., "Learned Step Size Quantization" (ICLR 2020).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        step, lowest = scale.item(), -zero_point.item()
        result = x.div(step).round_().clamp_(lowest, lowest + ACTIVATION_MAX).mul_(step)
        ctx.save_for_backward(x, result)
        ctx.step, ctx.inside = step, ((lowest - 0.5) * step, (lowest + ACTIVATION_MAX + 0.5) * step)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, result = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradient, x, *ctx.inside)  # zero where it was clamped
        return passed, (result * gradient).sub_(x * passed).sum() / ctx.step, None


class RoundedActivation(nn.Module):
    """Activations on 256 steps, one scale and zero point for all; measures its range in `calibrate`, then learns it.

    Of the range the scale alone is learnt.
    """

    zero_point: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("zero_point", torch.zeros((), dtype=torch.int32))
        self.range: tuple[float, float] | None = None  # while it is being measured

    def forward(self, x: Tensor) -> Tensor:
        scale = self.log_scale.exp()
        if torch.onnx.is_in_onnx_export():
            return _quantize_dequantize(x, scale, self.zero_point.to(torch.uint8))
        if self.range is not None:
            self._measure(x)
            return x
        return Rounding.apply(x.float(), scale, self.zero_point)

    def _measure(self, x: Tensor) -> None:
        values = x.flatten().sort().values
        outside = int(OUTSIDE * len(values))
        low, high = min(self.range[0], values[outside].item()), max(self.range[1], values[-1 - outside].item())
        self.range = low, high
        scale = max(high - low, NARROWEST) / ACTIVATION_MAX
        self.log_scale.fill_(math.log(scale))
        self.zero_point.fill_(round(-low / scale))


def rounded(model: PhotoAutoencoder) -> PhotoAutoencoder:
    """Let convolutions round their weights and all steps what they give, but for what stays in floating point.

    That is all that is done at half resolution but the convolutions of the model's `int8_blocks`; depthwise ones have
    rounded results only. Rounded it is most of the loss, and on processors without VNNI hardly faster: convolutions of
    8 bits want another order of the values in memory than sums and depthwise convolutions in floating point, and
    changing it takes as long. The convolution that leads down rounds what it reads, or, where the blocks are dense and
    it is a small one, only what it gives, a quarter as many values.
    """
    blocks = model.blocks_at_half
    chosen = [step for i in model.int8_blocks for step in blocks[i].children() if isinstance(step, Conv)]
    others = [step for block in blocks for step in block.children() if step not in chosen]
    exact = [model.head, *others, model.up[0], model.join[0]]
    for step in [model.down[0]] if model.separable else chosen:  # they read what is exact
        step.before = RoundedActivation()
        step.register_forward_pre_hook(lambda step, inputs: step.before(*inputs))
    depthwise = [step for step in chosen if step.groups > 1]
    with_exact_weights = [*exact, *(depthwise if model.separable else [model.down[0]])]
    for step in model.modules():
        if isinstance(step, Conv | Add) and step not in exact:
            step.rounding = RoundedActivation()
            step.register_forward_hook(lambda step, _inputs, output: step.rounding(output))
        if isinstance(step, Conv) and step not in with_exact_weights:
            parametrize.register_parametrization(step, "weight", RoundedWeight())
    return model


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every range to what these noisy images give."""
    roundings = [module for module in model.modules() if isinstance(module, RoundedActivation)]
    for rounding in roundings:
        rounding.range = (0.0, 0.0)
    for images in batches:
        model(images)
    for rounding in roundings:
        rounding.range = None


def _quantize_dequantize(x: Tensor, scale: Tensor, zero_point: Tensor, axis: int = 1) -> Tensor:
    """The pair of ONNX operators that the exported file holds."""
    arguments = {"shape": x.shape, "version": 13, "attrs": {"axis": axis}}
    steps = torch.onnx.ops.symbolic("QuantizeLinear", (x, scale, zero_point), dtype=zero_point.dtype, **arguments)
    return torch.onnx.ops.symbolic("DequantizeLinear", (steps, scale, zero_point), dtype=x.dtype, **arguments)
