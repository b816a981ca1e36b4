"""What an ONNX graph costs on paper: multiply-accumulates and parameters of its convolutions; nothing is run."""

import math

import onnx


def conv_cost(content: bytes, height: int, width: int) -> tuple[int, int]:
    """Return (multiply-accumulates for one image of that size, parameters) of all convolutions.

    Weights count once, whether stored as floats or as integers with their scales beside them.
    """
    proto = onnx.load_from_string(content)
    for value in (*proto.graph.input, *proto.graph.output):
        for dim, size in zip(value.type.tensor_type.shape.dim, (1, 3, height, width), strict=True):
            dim.dim_value = size
    graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    known = (*graph.input, *graph.output, *graph.value_info)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in known}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    macs, parameters = 0, {}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            # each value of the output (of the input, where that is spread) takes one filter
            values = node.output[0] if node.op_type == "Conv" else node.input[0]
            macs += math.prod(shapes[values]) * math.prod(shapes[node.input[1]][1:])
            parameters |= {name: math.prod(shapes[name]) for name in node.input[1:]}
    return macs, sum(parameters.values())
