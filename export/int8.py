"""Whether an int8 file is kept, and the graph of a network trained with rounding, with the very steps of that."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from torch import nn

from aeinfer.atomic import write_whole
from aeinfer.model_info import ModelInfo
from aeinfer.session import Session
from export.gate import within
from export.measure import held_out_psnr, measure_bytes_per_pixel, receptive_radius
from export.simplify import drop_unread
from export.to_onnx import with_facts
from train.data import Data
from train.quantization import ACTIVATION_MAX

PAIR_LIMIT = 2**15 - 1  # what AVX2 adds pairs of u8 x s8 products in
CLEARLY_MORE = 1.1  # a factor below it may be the noise of one measurement


def keep_int8(
    graphs: Sequence[onnx.ModelProto], model: nn.Module, info: ModelInfo, target: Path, data: Data, gate: float
) -> bool:
    """Write one of the graphs as NAME.int8.onnx if its PSNR stays within `gate` dB of fp32; return whether it does."""
    saturates = largest_pair(graphs[0]) > PAIR_LIMIT
    quantized_info = replace(info, precision="int8", saturates=saturates, torch_error=0.0)
    quantized, memory = leanest(graphs, quantized_info)
    quantized_info = replace(quantized_info, bytes_per_pixel=memory)
    if info.tile is None:  # rounding turns the faintest far influence into whole steps: only the full context will do
        halo = -(-receptive_radius(model) // info.stride) * info.stride
        quantized_info = replace(quantized_info, halo=halo, halo_error=0.0)
    psnr = held_out_psnr(Session(with_facts(quantized, quantized_info), "int8", "cpu").run, data.validation)
    lost = info.psnr["held out"] - psnr
    path = target.with_suffix(".int8.onnx")
    if not within(gate, lost, str(path)):
        return False
    write_whole(path, with_facts(quantized, replace(quantized_info, psnr={"held out": round(psnr, 3)})))
    print(f"{path}: {lost:.3f} dB below fp32 on held-out images")
    return True


def leanest(graphs: Sequence[onnx.ModelProto], info: ModelInfo) -> tuple[onnx.ModelProto, int]:
    """Return the first of graphs that do the same, or one that clearly takes less memory; and its bytes per pixel.

    For names of shapes onnxruntime takes more where blocks at half resolution are rounded: nearly twice as much for
    `photo-best`.
    """
    costs = [measure_bytes_per_pixel(with_facts(graph, info), info.channels, info.tile) for graph in graphs]
    best = costs.index(min(costs))
    best = best if costs[0] > CLEARLY_MORE * costs[best] else 0
    return graphs[best], costs[best]


def finish_int8(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights as int8 and biases as int32, and let doubling stay in 8 bits."""
    _double_integers(proto)
    drop_unread(proto.graph)
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # folds constants, no more
        options.optimized_model_filepath = str(Path(folder, "folded.onnx"))
        options.log_severity_level = 3
        ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(options.optimized_model_filepath)
    del folded.opset_import[:]
    folded.opset_import.extend(proto.opset_import)
    onnx.checker.check_model(folded, full_check=True)
    return folded


def largest_pair(proto: onnx.ModelProto) -> int:
    """Return a bound on the sum of two products of an 8-bit activation and a weight, anywhere in the graph."""
    arrays = [numpy_helper.to_array(part) for part in proto.graph.initializer]
    filters = [array for array in arrays if array.dtype == np.int8 and array.ndim > 1]
    return max(2 * ACTIVATION_MAX * int(np.abs(array.astype(np.int64)).max()) for array in filters)


def _double_integers(proto: onnx.ModelProto) -> None:
    """Let each Resize of what was 8-bit integers, to twice both sides, repeat these; their steps stay what they are.

    With the channels last, as convolutions of 8 bits have them, whole rows of channels are copied; onnxruntime's Resize
    takes one value after the other there, five to nine times as long.
    """
    graph = proto.graph
    made_by = {node.output[0]: node for node in graph.node}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        source = made_by.get(node.input[0]) if node.op_type == "Resize" else None
        if source is None or source.op_type != "DequantizeLinear":
            nodes.append(node)
            continue
        integers, *steps = source.input
        name = node.output[0]
        parts = ("last", "shape", "sides", "apart", "twice", "doubled", "integers")
        last, shape, sides, apart, twice, doubled, moved = (f"{name}_{part}" for part in parts)
        nodes += [
            helper.make_node("Transpose", [integers], [last], perm=(0, 2, 3, 1)),
            helper.make_node("Shape", [last], [shape]),
            helper.make_node("Mul", [shape, "doubled.sides"], [sides]),
            helper.make_node("Unsqueeze", [last, "doubled.axes"], [apart]),
            helper.make_node("Expand", [apart, "doubled.times"], [twice]),
            helper.make_node("Reshape", [twice, sides], [doubled]),
            helper.make_node("Transpose", [doubled], [moved], perm=(0, 3, 1, 2)),
            helper.make_node("DequantizeLinear", [moved, *steps], [name]),
        ]
    numbers = {"doubled.sides": (1, 2, 2, 1), "doubled.axes": (2, 4), "doubled.times": (1, 1, 2, 1, 2, 1)}
    graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in numbers.items())
    del graph.node[:]
    graph.node.extend(nodes)
