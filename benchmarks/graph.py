"""What an ONNX graph costs on paper: multiply-accumulates and parameters of its layers; nothing is run."""

import math

import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def graph_cost(content: bytes, height: int, width: int) -> tuple[int, int]:
    """Return (multiply-accumulates for one image of that size, parameters) of all convolutions and dense layers.

    Weights count once, whether stored as floats or as integers with their scales beside them.
    """
    graph, shapes = _shaped(content, height, width)
    macs, parameters = 0, {}
    for node in graph.node:
        if node.op_type in LAYERS:
            filters = shapes[node.input[1]]
            # each value of the output (of the input, where that is spread) takes one filter
            values = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
            macs += math.prod(shapes[values]) * math.prod(filters) // _filters(node, filters)
            parameters |= {name: math.prod(shapes[name]) for name in node.input[1:]}
    return macs, sum(parameters.values())


def remembered_places(content: bytes, height: int, width: int) -> int:
    """Return how many places of maxima an image's pooling remembers for its unpooling: they go past the bottleneck."""
    graph, shapes = _shaped(content, height, width)
    # each unpooling of these files ends in one DepthToSpace, whose 2x2 pixels hold one value
    return sum(math.prod(shapes[node.output[0]]) // 4 for node in graph.node if node.op_type == "DepthToSpace")


def _filters(node: onnx.NodeProto, shape: list[int]) -> int:
    """How many filters the weights are: Conv has (out, in, ...), ConvTranspose (in, out, ...), MatMul (in, out)."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return shape[1] if node.op_type == "MatMul" or (node.op_type == "Gemm" and not transposed) else shape[0]


def _shaped(content: bytes, height: int, width: int) -> tuple[onnx.GraphProto, dict[str, list[int]]]:
    """The graph for one image of that size, and the shapes of its values."""
    proto = onnx.load_from_string(content)
    del proto.graph.value_info[:]  # it names sides
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip((dims[0], *dims[2:]), (1, height, width), strict=True):
            dim.dim_value = size
    graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    known = (*graph.input, *graph.output, *graph.value_info)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in known}
    return graph, shapes | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
