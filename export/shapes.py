"""The shapes of all values in a graph, sides by name: onnxruntime then adds as it convolves.

It does so only where it knows that shapes are equal, and of what was resized it knows that by names alone.
"""

import copy

import onnx

BATCH = 1009  # a prime, which no network has as a number of channels: what begins with it is a batch of values
# sides of the images that shapes are inferred for, in strides: primes, so that no channels are to one another like them
BLOCKS = (11, 13)


def name_shapes(proto: onnx.ModelProto, stride: int) -> None:
    """State the shape of each value in the graph, sides as "height/2".

    Parameters
    ----------
    proto : ModelProto
        From `input` to `output`, (batch, C, height, width) both.
    stride : int
        What sides are multiples of.
    """
    sized = copy.deepcopy(proto)
    sizes = {0: ("batch", BATCH), 2: ("height", BLOCKS[0] * stride), 3: ("width", BLOCKS[1] * stride)}
    for value in (sized.graph.input[0], sized.graph.output[0]):
        for axis, (_name, size) in sizes.items():
            value.type.tensor_type.shape.dim[axis].dim_value = size
    del proto.graph.value_info[:]
    for value in onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True).graph.value_info:
        dims = value.type.tensor_type.shape.dim
        known = [dim.dim_value for dim in dims]
        if len(known) != 4 or known[0] != BATCH or known[2] * BLOCKS[1] != known[3] * BLOCKS[0]:
            continue  # no batch of images, or one with its channels last
        for axis, (name, size) in sizes.items():
            part = size // known[axis]
            dims[axis].dim_param = name if part == 1 else f"{name}/{part}"
        proto.graph.value_info.append(value)
