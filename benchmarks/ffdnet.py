"""The yardstick of speed: a network of the shape of FFDNet for colour with random weights, as an ONNX file.

Speed does not depend on the weights, so none of FFDNet's are needed, and nothing can be denoised with it. The shape
is that of Zhang, Zuo and Zhang, FFDNet, IEEE TIP 2018: images at half resolution with a noise map beside them, 15
channels, twelve 3x3 convolutions of 96 channels with relu between, and 12 channels back at full resolution.
"""

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTHS = (15, *[96] * 11, 12)


def ffdnet_shaped() -> bytes:
    """Return the content of the model file: (N, 3, H, W) -> (N, 3, H, W), H and W even."""
    rng = np.random.default_rng(0)
    # the first three of the twelve channels stand in for the noise map: a second input would cost the same
    constants = {name: np.array([value], np.int64) for name, value in (("start", 0), ("end", 3), ("axis", 1))}
    nodes = [
        helper.make_node("SpaceToDepth", ["input"], ["pixels"], blocksize=2),
        helper.make_node("Slice", ["pixels", "start", "end", "axis"], ["noise_map"]),
        helper.make_node("Concat", ["pixels", "noise_map"], ["x0"], axis=1),
    ]
    for i, (channels_in, channels_out) in enumerate(pairwise(WIDTHS)):
        scale = np.sqrt(2 / (9 * channels_in))  # He's: values neither vanish nor overflow, which would change the speed
        constants[f"w{i}"] = (rng.standard_normal((channels_out, channels_in, 3, 3)) * scale).astype(np.float32)
        constants[f"b{i}"] = np.zeros(channels_out, np.float32)
        last = i == len(WIDTHS) - 2
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}", f"b{i}"], [f"y{i}"], pads=[1] * 4))
        nodes.append(
            helper.make_node("DepthToSpace", [f"y{i}"], ["output"], blocksize=2)
            if last
            else helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"])
        )
    image = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3, "h", "w"]) for n in ("input", "output")]
    graph = helper.make_graph(
        nodes, "ffdnet_shaped", image[:1], image[1:], [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())
