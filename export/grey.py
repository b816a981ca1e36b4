"""A colour model of the photo family as one for grey images: `python -m export.grey photo.onnx -o photo-grey.onnx`.

Nothing is trained: where all colours are equal, the sum of the first filters over the colours, and the mean of the last
ones, do what the colour network and the mean of its output do, with less to move. Only where the output is clipped to
[0, 1] may the two differ: the mean is clipped here, each colour there.
"""

import argparse
import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from aeinfer.atomic import write_whole
from aeinfer.errors import AEInferError, InputError
from aeinfer.model_bytes import read_model
from aeinfer.session import Session
from export.arguments import fp32_file, refuse_itself
from export.measure import measure_bytes_per_pixel
from export.shapes import name_shapes
from export.to_onnx import with_facts
from export.verify import TOLERANCE

Tensor = NDArray[np.float32]
ENDS = ("ConvTranspose", "Sub", "Clip")  # the last operators of the family


def folded(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network of three channels as one of one channel.

    Raises
    ------
    InputError
        It is not of the photo family.
    """
    grey = copy.deepcopy(proto)
    graph = grey.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    ends, image = graph.node[-3:], graph.input[0].name
    heads = [node for node in graph.node[:-2] if image in node.input]
    tail = ends[0]
    if (
        tuple(node.op_type for node in ends) != ENDS
        or {node.op_type for node in heads} != {"Conv"}
        or not {*tail.input[1:], *(node.input[1] for node in heads)} <= weights.keys()
    ):
        raise InputError("expected a network of the photo family, which begins with a convolution and ends in a sum")
    for head in heads:
        _change(weights[head.input[1]], lambda filters: filters.sum(1, keepdims=True))
    for name, axis in zip(tail.input[1:], (1, 0), strict=False):  # filters, and biases where they are not zero
        _change(weights[name], functools.partial(np.mean, axis=axis, keepdims=True))
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[1].dim_value = 1
    del graph.value_info[:]  # with three channels at the end
    onnx.checker.check_model(grey, full_check=True)
    return grey


def _change(tensor: onnx.TensorProto, change: Callable[[Tensor], Tensor]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))


def export_grey(source: Path, target: Path) -> float:
    """Write the grey file of a colour one, and return the largest difference between the two that was found.

    Raises
    ------
    InputError
        The file is not of the photo family in float32, or the two differ; nothing is written.
    ModelError
        The file cannot be read, or is no model of images.
    """
    content = read_model(source)
    color = Session(content, source.name, device="cpu")
    info = color.info()
    if (info.channels, info.tile, info.precision) != (3, None, "fp32"):
        raise InputError(
            f"expected a colour model of the photo family in fp32, got {info.channels} channel(s), {info.precision}: "
            f"{source}"
        )
    proto = folded(onnx.load_from_string(content))
    name_shapes(proto, info.stride)
    # what it was measured on had three colours
    info = replace(info, name=target.stem, channels=1, psnr={}, torch_error=0.0)
    info = replace(info, bytes_per_pixel=measure_bytes_per_pixel(with_facts(proto, info), 1))
    made = with_facts(proto, info)
    error = largest_difference(color, Session(made, target.name, device="cpu"), info.stride)
    if not error <= TOLERANCE:
        raise InputError(
            f"{target.name} differs from {source.name} by {error:.2e}, more than {TOLERANCE:.0e}: not kept"
        )
    write_whole(target, made)
    return error


def largest_difference(color: Session, grey: Session, stride: int) -> float:
    """Return the largest difference on grey noise that neither clips."""
    rng = np.random.default_rng(0)
    shapes = [(1, 1, stride, stride), (2, 1, 3 * stride, 5 * stride)]
    samples = [rng.uniform(0.4, 0.6, shape).astype(np.float32) for shape in shapes]
    return max(
        float(np.abs(color.run(np.repeat(sample, 3, axis=1)).mean(1, keepdims=True) - grey.run(sample)).max())
        for sample in samples
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.grey", description=__doc__)
    parser.add_argument("file", type=Path, help="the .onnx file of the colour model")
    parser.add_argument("-o", "--output", type=fp32_file, required=True, help="the .onnx file of the grey one")
    args = parser.parse_args(argv)
    try:
        refuse_itself(args.output, args.file)
        error = export_grey(args.file, args.output)
    except (AEInferError, OSError) as problem:
        parser.exit(2, f"export.grey: {problem}\n")
    print(f"{args.output}: agrees with {args.file} on grey within {error:.1e}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
