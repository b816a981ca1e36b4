"""A model file in half precision, for GPUs: `python -m export.fp16 photo.onnx` writes photo.fp16.onnx beside it.

It takes and gives float32. It is kept only if rounding costs next to nothing; no data is needed to tell.
"""

import argparse
import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16, convert_np_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from aeinfer.atomic import write_whole
from aeinfer.errors import AEInferError, InputError
from aeinfer.model_bytes import read_model
from aeinfer.model_info import ModelInfo
from aeinfer.models import packaged_models
from aeinfer.session import Session
from export.arguments import onnx_file, refuse_itself
from export.gate import within
from export.measure import measure_bytes_per_pixel
from export.to_onnx import with_facts

Tensor = NDArray[np.float32]
FP16_GATE_DB = 0.05
CLEAN_DB = 50.0  # where the facts state no PSNR: that of images without noise, where rounding costs most
SIDE = 256  # of an image to measure with
SIGMA = 25 / 255


def to_fp16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in half precision, with casts behind its input and before its output."""
    half = convert_float_to_float16(copy.deepcopy(proto), keep_io_types=True)
    OnnxModel.graph_topological_sort(half.graph)  # the casts stand last
    del half.graph.value_info[:]
    onnx.checker.check_model(half, full_check=True)
    return half


def rounded_everywhere(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in float32 with weights rounded to half precision, and so the result of every operator.

    Half precision on a GPU rounds just there. onnxruntime's CPU does not: it computes such a graph in float32 and
    leaves out the roundings between, so that a file would seem better than it is.
    """
    typed = onnx.shape_inference.infer_shapes(proto)
    graph = typed.graph
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            rounded = convert_np_to_float16(values.ravel()).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded.reshape(values.shape), tensor.name))
    known = (*graph.input, *graph.output, *graph.value_info)
    floats = {value.name for value in known if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    image = graph.input[0].name
    nodes = _rounding(image, f"{image}_rounded")
    for node in graph.node:
        node.input[:] = [f"{image}_rounded" if name == image else name for name in node.input]
        nodes.append(node)
        for n, name in enumerate(node.output):
            if name in floats:
                node.output[n] = f"{name}_exact"
                nodes += _rounding(node.output[n], name)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return typed


def keep_fp16(
    proto: onnx.ModelProto, info: ModelInfo, target: Path, images: Sequence[Tensor], gate: float = FP16_GATE_DB
) -> bool:
    """Write `target`, the fp16 file of an fp32 graph, if it loses at most `gate` dB of PSNR; return whether it does.

    Parameters
    ----------
    proto : ModelProto
    info : ModelInfo
        The facts of the fp32 file.
    target : Path
    images : sequence of (N, C, H, W) float32
        Noisy images: the network's results on them differ by the rounding.
    gate : float
    """
    apart = _psnr_apart(proto, rounded_everywhere(proto), images)
    lost = lost_db(max(info.psnr.values(), default=CLEAN_DB), apart)
    if not within(gate, lost, str(target)):  # infinite values give NaN
        return False
    half = to_fp16(proto)
    psnr = {name: round(value - lost_db(value, apart), 3) for name, value in info.psnr.items()}
    info = replace(info, precision="fp16", torch_error=0.0, psnr=psnr)
    memory = measure_bytes_per_pixel(with_facts(half, info), info.channels, info.tile)
    write_whole(target, with_facts(half, replace(info, bytes_per_pixel=memory)))
    print(f"{target}: {lost:.4f} dB below fp32, whose results differ from these by {apart:.1f} dB of PSNR")
    return True


def lost_db(psnr: float, apart: float) -> float:
    """Return how much PSNR a result loses by a further error that knows nothing of the first.

    Parameters
    ----------
    psnr : float
        Of the result, in dB.
    apart : float
        Of the result with the further error, against the result.
    """
    return 10 * math.log10(1 + 10 ** ((psnr - apart) / 10))


def noisy_ramps(info: ModelInfo) -> list[Tensor]:
    """Return noise on all brightnesses, as a model takes it: half precision is coarsest where it is bright."""
    side = info.tile or -(-SIDE // info.stride) * info.stride
    shape = (64 if info.tile else 2, info.channels, side, side)
    noise = np.random.default_rng(0).normal(0, SIGMA, shape)
    ramp = np.linspace(0, 1, side)
    return [(noise + each).astype(np.float32) for each in (ramp, ramp[:, None])]


def _psnr_apart(proto: onnx.ModelProto, other: onnx.ModelProto, images: Sequence[Tensor]) -> float:
    first, second = (Session(each.SerializeToString(), "the graph", device="cpu") for each in (proto, other))
    errors = [np.square(first.run(image).astype(np.float64) - second.run(image)).mean() for image in images]
    return float(-10 * np.log10(np.mean(errors)))


def _rounding(source: str, target: str) -> list[onnx.NodeProto]:
    half = f"{target}_half"
    there = helper.make_node("Cast", [source], [half], to=TensorProto.FLOAT16)
    return [there, helper.make_node("Cast", [half], [target], to=TensorProto.FLOAT)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.fp16", description=__doc__)
    parser.add_argument("model", help="an .onnx file of fp32, or the name of a packaged model")
    parser.add_argument(
        "-o", "--output", type=onnx_file, help="[NAME.fp16.onnx, beside the file or, of a name, right here]"
    )
    parser.add_argument("--gate", type=float, default=FP16_GATE_DB, help="largest loss in dB [%(default)s]")
    args = parser.parse_args(argv)
    packaged = packaged_models().get(args.model)
    source = packaged or Path(args.model)
    target = args.output or Path(source.name if packaged else source).with_suffix(".fp16.onnx")
    try:
        refuse_itself(target, source)
        content = read_model(source)
        info = Session(content, str(source), device="cpu").info()
        if info.precision != "fp32":
            raise InputError(f"expected a file of fp32, {source} is of {info.precision}")
        kept = keep_fp16(onnx.load_from_string(content), info, target, noisy_ramps(info), args.gate)
    except (AEInferError, OSError) as error:
        parser.exit(2, f"export.fp16: {error}\n")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
