"""A network trained with rounding as an int8 graph with the very steps it was trained with; nothing is judged here."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from train.quantization import ACTIVATION_MAX

PAIR_LIMIT = 2**15 - 1  # what AVX2 adds pairs of u8 x s8 products in


def finish_int8(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights as int8 and biases as int32, and let resizing stay in 8 bits."""
    _round_after_resizing(proto)
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


def _round_after_resizing(proto: onnx.ModelProto) -> None:
    """Put the input's QuantizeLinear and DequantizeLinear behind each Resize, too.

    Nearest-neighbour resizing moves values and makes no new ones: their steps are their input's.
    """
    made_by = {node.output[0]: node for node in proto.graph.node}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        nodes.append(node)
        source = made_by.get(node.input[0]) if node.op_type == "Resize" else None
        if source is None or source.op_type != "DequantizeLinear":
            continue
        name, steps = node.output[0], list(source.input[1:])
        node.output[0] = f"{name}_moved"
        nodes.append(onnx.helper.make_node("QuantizeLinear", [node.output[0], *steps], [f"{name}_steps"]))
        nodes.append(onnx.helper.make_node("DequantizeLinear", [f"{name}_steps", *steps], [name]))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
