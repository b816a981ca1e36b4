"""A network trained with rounding as an int8 graph with the very steps it was trained with; nothing is judged here."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from export.simplify import drop_unread
from train.quantization import ACTIVATION_MAX

PAIR_LIMIT = 2**15 - 1  # what AVX2 adds pairs of u8 x s8 products in


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
