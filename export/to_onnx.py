"""A PyTorch network as one ONNX graph with the facts in its metadata; whether it is kept is verify's business."""

import logging
import subprocess
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from aeinfer.model_info import ModelInfo, metadata_from_info
from export.shapes import name_shapes
from export.simplify import simplify

OPSET = 18  # the exporter's own; every operator used here is older
MULTIPLES = ("height", "width")


def to_onnx(model: nn.Module, example: torch.Tensor, *, free_sides: bool, stride: int = 1) -> onnx.ModelProto:
    """Return the network as an ONNX graph from `input` to `output`, in the form that onnxruntime does soonest.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    example : Tensor
        float32, first axis the batch; with free sides (N, C, H, W), multiples of `stride`.
    free_sides : bool
        Height and width are dynamic; the batch always is.
    stride : int
        What free sides are multiples of.
    """
    axes: dict[int, object] = {0: torch.export.Dim.DYNAMIC}
    if free_sides:
        axes |= {2 + i: stride * torch.export.Dim(f"{name}_blocks") for i, name in enumerate(MULTIPLES)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision, unused here, is missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=(axes,),
        )
    proto = program.model_proto
    _strip(proto)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        dims = value.type.tensor_type.shape.dim
        names = ["batch", None, *MULTIPLES] if free_sides else ["batch"]
        for dim, name in zip(dims, names, strict=False):
            if name:
                dim.dim_param = name
    simplify(proto)
    if free_sides:
        name_shapes(proto, stride)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def with_facts(proto: onnx.ModelProto, info: ModelInfo) -> bytes:
    """Return the content of the model file: the graph, and `info` in its metadata."""
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, metadata_from_info(info))
    proto.producer_name, proto.producer_version = "aeinfer", ""
    return bytes(proto.SerializeToString())


def current_commit() -> str:
    """Return the commit that this source tree is at, or "" outside of git."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _strip(proto: onnx.ModelProto) -> None:
    """Remove the exporter's traces: stack traces with the paths of this machine, and shapes of inner values."""
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    proto.graph.doc_string = proto.doc_string = ""
    for part in [*proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        del part.metadata_props[:]
        part.doc_string = ""
