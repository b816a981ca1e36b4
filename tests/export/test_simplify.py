"""The form that onnxruntime does soonest is the same function and less work; what would not be less stays as it is."""

import math
from collections import Counter
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from benchmarks.graph import graph_cost
from export import to_onnx as room
from export.int8 import PAIR_LIMIT, finish_int8, largest_pair
from export.shapes import name_shapes
from export.simplify import simplify
from train.photo_networks import PhotoAutoencoder
from train.quantization import calibrate, rounded

STRIDE = 4


@cache
def content(encoder: int, separable: bool, widths: tuple[int, ...], int8_blocks: tuple[int, ...] | None) -> bytes:
    torch.manual_seed(0)
    model = PhotoAutoencoder(widths, (encoder,), 1, (1,), separable, int8_blocks=int8_blocks or ()).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    if int8_blocks is not None:
        calibrate(rounded(model), [torch.rand(2, 3, 32, 48)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "simplify", lambda *_: None)
        patch.setattr(room, "name_shapes", lambda *_: None)
        return room.to_onnx(model, torch.rand(2, 3, 32, 48), free_sides=True, stride=STRIDE).SerializeToString()


def exported(
    encoder: int = 0,
    separable: bool = True,
    widths: tuple[int, ...] = (32, 40),
    int8_blocks: tuple[int, ...] | None = None,
) -> onnx.ModelProto:
    """A small network of the photo family with a node for each of its steps; it rounds if it has blocks that do."""
    return onnx.load_from_string(content(encoder, separable, widths, int8_blocks))


def run(proto: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": images})


def more_nodes(proto: onnx.ModelProto, plain: onnx.ModelProto) -> dict[str, int]:
    """How many more of each operator there are than in the plain graph."""
    kinds = Counter(node.op_type for node in proto.graph.node)
    kinds.subtract(node.op_type for node in plain.graph.node)
    return {kind: more for kind, more in kinds.items() if more}


def work(proto: onnx.ModelProto) -> int:
    return graph_cost(proto.SerializeToString(), 64, 64)[0]


@pytest.mark.parametrize(
    ("encoder", "separable", "nodes"),
    [
        (0, True, {"Conv": 1}),  # one more at the end; what comes up to half resolution was a sum's already
        (1, True, {"Conv": 1}),  # the way down begins behind a block
        (0, False, {"Conv": 2}),  # relu is behind the convolutions: the sum at the end alone can come last
    ],
)
def test_it_is_the_same_function_for_less_work(encoder: int, separable: bool, nodes: dict[str, int]) -> None:
    plain, proto = (exported(encoder, separable) for _ in range(2))
    simplify(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert more_nodes(proto, plain) == nodes
    assert work(proto) < (0.95 if separable else 1.03) * work(plain)
    for shape in ((1, 3, 8, 8), (2, 3, 40, 24)):
        images = np.random.default_rng(0).random(shape, np.float32)
        (expected,), (got,) = run(plain, images), run(proto, images)
        assert expected.std() > 0.1
        np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("encoder", "separable", "int8_blocks", "nodes"),
    [
        # the last block: the end is a convolution of what the sum was of, and a product of integers
        (0, False, (0,), {"Conv": 1, "MatMul": 1, "Transpose": 2, "DequantizeLinear": 1}),
        (0, True, (0,), {"Conv": 1, "MatMul": 1, "Transpose": 2, "DequantizeLinear": 1}),
        # the first of two: what it gives comes to the sum through a convolution, and the other is not rounded
        (1, True, (0,), {"Conv": 2}),
        (1, True, (0, 1), {"Conv": 2, "MatMul": 1, "Transpose": 2, "DequantizeLinear": 1}),
        (0, True, (), {"Conv": 1}),
    ],
)
def test_what_is_rounded_is_added_as_onnxruntime_convolves(
    encoder: int,
    separable: bool,
    int8_blocks: tuple[int, ...],
    nodes: dict[str, int],
) -> None:
    plain, proto = (exported(encoder, separable, int8_blocks=int8_blocks) for _ in range(2))
    simplify(proto)
    assert more_nodes(proto, plain) == nodes
    name_shapes(proto, STRIDE)
    plain, proto = finish_int8(plain), finish_int8(proto)
    assert largest_pair(proto) <= PAIR_LIMIT
    for shape in ((1, 3, 8, 8), (2, 3, 40, 24)):
        images = np.random.default_rng(0).random(shape, np.float32)
        (expected,), (got,) = run(plain, images), run(proto, images)
        assert expected.std() > 0.1
        # the weights of the product are rounded, those of the transposed convolution were not
        difference = np.abs(got - expected)
        assert difference.mean() < (2e-3 if "MatMul" in nodes else 1e-5)


def test_the_way_down_reads_the_image() -> None:
    proto = exported()
    simplify(proto)
    shapes = {tensor.name: list(tensor.dims) for tensor in proto.graph.initializer}
    first = [shapes[node.input[1]] for node in proto.graph.node if node.input[0] == "input" and node.op_type == "Conv"]
    assert first == [[32, 3, 4, 4], [40, 3, 6, 6]]


def test_what_would_be_more_work_stays() -> None:
    """With 12 channels at half resolution neither the image nor single pixels are less to read."""
    proto = exported(widths=(12, 12))
    before = proto.SerializeToString(deterministic=True)
    simplify(proto)
    assert proto.SerializeToString(deterministic=True) == before


def test_shapes_are_named_as_they_are() -> None:
    proto = exported(encoder=1)
    simplify(proto)
    name_shapes(proto, STRIDE)
    named = {value.name: value.type.tensor_type.shape.dim for value in proto.graph.value_info}
    assert named.keys() == {name for node in proto.graph.node for name in node.output} - {"output"}
    height, width = 24, 40
    proto.graph.output.extend(proto.graph.value_info)
    del proto.graph.value_info[:]
    results = run(proto, np.zeros((2, 3, height, width), np.float32))
    for value, result in zip(proto.graph.output, results, strict=True):
        batch, channels, *sides = named.get(value.name, value.type.tensor_type.shape.dim)
        assert (batch.dim_param, channels.dim_value) == ("batch", result.shape[1])
        for side, name, size, got in zip(sides, ("height", "width"), (height, width), result.shape[2:], strict=True):
            base, _, part = side.dim_param.partition("/")
            assert (base, size / int(part or 1)) == (name, got)
    assert math.prod(results[0].shape) == 2 * 3 * height * width
