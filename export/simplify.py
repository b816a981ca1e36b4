"""The same network in the form that onnxruntime does soonest; no result changes but by rounding.

A linear step after a linear step is one, and a convolution of a sum is the sum of convolutions. So values at half the
resolution, where there are most, are written and read less often: on a CPU they take longer than the arithmetic. Where
some are rounded to 8 bits, less of them is put into another order.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[np.float64]


def simplify(proto: onnx.ModelProto) -> None:
    """Do all that is below, where it is less work."""
    graph = proto.graph
    merge_halvings(graph)
    split_doublings(graph)
    move_before_sums(graph)
    add_while_convolving(graph)
    drop_unread(graph)


def merge_halvings(graph: onnx.GraphProto) -> None:
    """Let a convolution that halves both sides read what the one before it reads.

    3 channels are less to read than the 64 that follow from them: of `photo` the way down begins with one convolution
    of 6x6 with stride 4 for 4x4 and 2x2 with stride 2. The one before stays for what else reads it.
    """
    made_by, weights = _made_by(graph), _weights(graph)
    for second in list(graph.node):
        first = made_by.get(second.input[0])
        if not (first and _is_plain(first, weights) and _is_plain(second, weights) and _halves(second)):
            continue
        (inner, inner_bias), (outer, outer_bias) = (_arrays(node, weights) for node in (first, second))
        down, right = _attribute(first, "strides")
        rows, columns = inner.shape[2:]
        filters = np.zeros((len(outer), inner.shape[1], rows + down, columns + right))
        for i, j in np.ndindex(2, 2):
            part = filters[:, :, i * down : i * down + rows, j * right : j * right + columns]
            part += np.einsum("om,mcyx->ocyx", outer[:, :, i, j], inner)
        if filters.size < outer.size:
            bias = outer_bias + np.einsum("omij,m->o", outer, inner_bias)
            made = _conv(
                graph, first.input[0], filters, bias, second.output[0], (2 * down, 2 * right), _attribute(first, "pads")
            )
            _replace(graph, second, [made])


def split_doublings(graph: onnx.GraphProto) -> None:
    """Let a transposed convolution that doubles both sides place values alone, and one of 1x1 before it make them."""
    weights = _weights(graph)
    for node in list(graph.node):
        if not (node.op_type == "ConvTranspose" and weights.keys() >= set(node.input[1:]) and _halves(node)):
            continue
        filters, *biases = _arrays(node, weights)
        channels = filters.shape[1]
        if len(filters) <= 4 * channels or _attribute(node, "group") != 1:
            continue
        bias = np.repeat(biases[0], 4) if biases else np.zeros(4 * channels)
        values, places = f"{node.output[0]}_values", f"{node.output[0]}_places"
        made = _conv(graph, node.input[0], filters.reshape(len(filters), -1).T, bias, values)
        graph.initializer.append(_tensor(np.eye(4 * channels).reshape(-1, channels, 2, 2), places))
        placed = helper.make_node("ConvTranspose", [values, places], node.output, kernel_shape=[2, 2], strides=[2, 2])
        _replace(graph, node, [made, placed])


def move_before_sums(graph: onnx.GraphProto) -> None:
    """Let a convolution of 1x1 that gives fewer channels than it reads come before the sum that it reads, twice.

    Where what is added was made by a convolution of 1x1, that becomes one with it. onnxruntime adds as it convolves.
    Where it was rounded to 8 bits, the weights are too: a product of matrices takes integers in the order in which
    convolutions of 8 bits give them, and gives floating point.
    """
    made_by, readers, weights = _made_by(graph), _readers(graph), _weights(graph)
    for node in list(graph.node):
        add = made_by.get(node.input[0])
        if not (add and add.op_type == "Add" and readers[add.output[0]] == 1 and _is_pointwise(node, weights)):
            continue
        (filters, bias), (first, second) = _arrays(node, weights), add.input
        gives, reads = filters.shape
        kept, added = (f"{node.output[0]}_{part}" for part in ("kept", "added"))
        last = made_by.get(second)
        merges = last and readers[second] == 1 and _is_pointwise(last, weights)
        if (gives if merges or _is_rounded(last) else 2 * gives) >= reads:  # the sum alone would be saved
            continue
        if _is_rounded(last):
            made = [_conv(graph, first, filters, bias, kept), *_product(graph, second, filters, added)]
        else:
            made = [_conv(graph, first, filters, np.zeros(gives), kept)]
            if merges:
                inner, inner_bias = _arrays(last, weights)
                filters, bias, second = filters @ inner, bias + filters @ inner_bias, last.input[0]
            made.append(_conv(graph, second, filters, bias, added))
        _replace(graph, node, [*made, helper.make_node("Add", [kept, added], node.output)])


def add_while_convolving(graph: onnx.GraphProto) -> None:
    """Let what was rounded to 8 bits come to a sum in floating point through a convolution that changes nothing.

    onnxruntime's convolutions, and sums of what they give, keep 16 channels together. A sum with anything else would
    have all that follows in planes; a convolution puts it into that order, and adds as it goes.
    """
    made_by, weights = _made_by(graph), _weights(graph)
    exact = {name for node in graph.node if node.op_type != "QuantizeLinear" for name in node.input}
    for node in list(graph.node):
        rounded = [i for i, name in enumerate(node.input) if _is_rounded(made_by.get(name))]
        if node.op_type != "Add" or len(rounded) != 1 or node.output[0] not in exact:
            continue
        source = node.input[rounded[0]]
        convolution = made_by[source]
        while convolution.op_type in ("DequantizeLinear", "QuantizeLinear", "Relu"):
            convolution = made_by[convolution.input[0]]
        (channels,) = weights[convolution.input[2]].dims
        node.input[rounded[0]] = f"{source}_same"
        same = _conv(graph, source, np.ones((channels, 1, 1, 1)), np.zeros(channels), f"{source}_same", group=channels)
        _replace(graph, node, [same, node])


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove nodes and weights that nothing reads; whoever reads a value stands behind the node that makes it."""
    read = {value.name for value in graph.output}
    for node in reversed(list(graph.node)):
        if read & set(node.output):
            read |= set(node.input)
        else:
            graph.node.remove(node)
    for tensor in list(graph.initializer):
        if tensor.name not in read:
            graph.initializer.remove(tensor)


def _made_by(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def _readers(graph: onnx.GraphProto) -> Counter[str]:
    """How often each value is read."""
    return Counter([name for node in graph.node for name in node.input] + [value.name for value in graph.output])


def _weights(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def _arrays(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> list[Array]:
    """Filters and biases; those of 1x1 as a matrix."""
    filters, *bias = (numpy_helper.to_array(weights[name]).astype(np.float64) for name in node.input[1:])
    return [filters[:, :, 0, 0] if filters.shape[2:] == (1, 1) else filters, *bias]


def _is_plain(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    """Whether it is a convolution with weights and biases as they are stored, neither grouped nor dilated."""
    return (
        node.op_type == "Conv"
        and len(node.input) == 3
        and weights.keys() >= set(node.input[1:])
        and _attribute(node, "group") == 1
        and _attribute(node, "dilations") == [1, 1]
    )


def _is_rounded(source: onnx.NodeProto | None) -> bool:
    """Whether the node that makes a value gives what was 8-bit integers."""
    return source is not None and source.op_type == "DequantizeLinear"


def _is_pointwise(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    return (
        _is_plain(node, weights)
        and _attribute(node, "kernel_shape") == _attribute(node, "strides") == [1, 1]
        and not any(_attribute(node, "pads"))
    )


def _halves(node: onnx.NodeProto) -> bool:
    """Whether each 2x2 values are one: those that it reads, or, transposed, those that it gives."""
    kernel, stride, pads = (_attribute(node, name) for name in ("kernel_shape", "strides", "pads"))
    return kernel == stride == [2, 2] and not any(pads)


def _attribute(node: onnx.NodeProto, name: str) -> object:
    return helper.get_node_attr_value(node, name)


def _conv(
    graph: onnx.GraphProto,
    source: str,
    filters: Array,
    bias: Array,
    output: str,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    group: int = 1,
) -> onnx.NodeProto:
    """A convolution whose weights are named after its output."""
    filters = filters if filters.ndim == 4 else filters[:, :, None, None]
    names = [f"{output}.weight", f"{output}.bias"]
    graph.initializer.extend(_tensor(array, name) for array, name in zip((filters, bias), names, strict=True))
    shape = {"kernel_shape": filters.shape[2:], "strides": strides, "pads": pads}
    return helper.make_node("Conv", [source, *names], [output], group=group, dilations=[1, 1], **shape)


def _product(graph: onnx.GraphProto, source: str, filters: Array, output: str) -> list[onnx.NodeProto]:
    """A convolution of 1x1 without bias of what was rounded, with rounded weights that are named after its output.

    Weights are unsigned, around 128: no processor saturates in products of two unsigned integers, so that they can
    have all 8 bits. With 7, as convolutions have them, `photo-fast` would lose 0.05 dB here. What is read is not
    negative, so that errors that add up would shift the mean: the sum of a filter's weights stays what it was.
    """
    steps = np.abs(filters).max(1) / 127
    exact = filters / steps[:, None]
    integers = np.rint(exact)
    for row, rest in zip(integers, exact - integers, strict=True):
        missing = round(rest.sum())
        nearest = np.argsort(-rest * missing)[: abs(missing)]  # to the integer on their other side
        row[nearest] += np.sign(missing)
    stored = {
        f"{output}.weight": (integers.T + 128).astype(np.uint8),
        f"{output}.steps": steps.astype(np.float32),
        f"{output}.zeros": np.full(len(filters), 128, np.uint8),
    }
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in stored.items())
    rounded, read, given = (f"{output}.{part}" for part in ("rounded", "read", "given"))
    return [
        helper.make_node("DequantizeLinear", list(stored), [rounded], axis=1),
        helper.make_node("Transpose", [source], [read], perm=(0, 2, 3, 1)),
        helper.make_node("MatMul", [read, rounded], [given]),
        helper.make_node("Transpose", [given], [output], perm=(0, 3, 1, 2)),
    ]


def _tensor(array: Array, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(array.astype(np.float32), name)


def _replace(graph: onnx.GraphProto, node: onnx.NodeProto, made: Sequence[onnx.NodeProto]) -> None:
    place = list(graph.node).index(node)
    graph.node.remove(node)
    for each in reversed(made):
        graph.node.insert(place, each)
