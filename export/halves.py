"""The encoder and the decoder of an autoencoder as files of their own, fp32 and int8, beside the whole one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from aeinfer.atomic import write_whole
from aeinfer.errors import InputError
from aeinfer.model_info import ModelInfo
from aeinfer.models import half_file
from aeinfer.session import Session
from export.gate import within
from export.measure import held_out_psnr
from export.quantize import quantize
from export.to_onnx import to_onnx, with_facts
from export.verify import TOLERANCE, largest_error
from train.data import Pair

Tensor = NDArray[np.float32]
HALVES = ("encoder", "decoder")


def export_halves(model: nn.Module, info: ModelInfo, target: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Write NAME.encoder.onnx and NAME.decoder.onnx beside `target`, and return their graphs.

    Raises
    ------
    InputError
        One of them in onnxruntime differs from PyTorch by more than the tolerance.
    """
    images = torch.rand(2, model.channels, model.window, model.window)
    with torch.no_grad():
        code = model.encoder(images)
    encoder = _export_half("encoder", model.encoder, images, float(code.abs().max()), info, target)
    return encoder, _export_half("decoder", model.decoder, code, 1.0, info, target)


def _export_half(
    half: str, network: nn.Module, inputs: torch.Tensor, scale: float, info: ModelInfo, target: Path
) -> onnx.ModelProto:
    """Write one half; `scale` is how large what it gives may be."""
    proto = to_onnx(network, inputs, free_sides=False)
    content = with_facts(proto, _facts(half, info))
    error = largest_error(Session(content, f"the {half}", device="cpu"), network, [inputs.numpy()])
    if not error <= TOLERANCE * max(1.0, scale):
        raise InputError(f"the {half} differs from PyTorch by {error:.2e}: not kept")
    write_whole(half_file(target, half), content)
    return proto


def export_int8_halves(
    halves: tuple[onnx.ModelProto, onnx.ModelProto],
    info: ModelInfo,
    target: Path,
    tensors: Sequence[Tensor],
    validation: Sequence[Pair],
    gate: float,
) -> bool:
    """Write NAME.encoder.int8.onnx and NAME.decoder.int8.onnx if both together stay within `gate` dB of fp32.

    The decoder is calibrated on the codes that the fp32 encoder makes of `tensors`.
    """
    encode = Session(halves[0].SerializeToString(), "the encoder", device="cpu").run
    given = (tensors, [encode(tensor) for tensor in tensors])
    info = replace(info, precision="int8")
    quantized = [
        with_facts(quantize(proto, batches), _facts(half, info))
        for half, proto, batches in zip(HALVES, halves, given, strict=True)
    ]
    encoder, decoder = (Session(content, "an int8 half", device="cpu") for content in quantized)
    lost = info.psnr["held out"] - held_out_psnr(lambda images: decoder.run(encoder.run(images)), validation)
    if not within(gate, lost, f"{target.stem}'s int8 halves"):
        return False
    for half, content in zip(HALVES, quantized, strict=True):
        write_whole(half_file(target.with_suffix(".int8.onnx"), half), content)
    print(f"{target.stem}: its int8 halves are {lost:.3f} dB below fp32 on held-out images")
    return True


def _facts(half: str, info: ModelInfo) -> ModelInfo:
    return replace(info, architecture=f"{info.architecture} {half}", psnr={}, torch_error=0.0)
