"""Static QDQ int8 by onnxruntime's quantizer, its ranges calibrated on given tensors; it judges no result.

Static, because dynamic ranges would make a tile depend on its neighbours in the batch.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Tensor = NDArray[np.float32]
PERCENTILE = 99.99  # of the activations inside the range


class Calibration(CalibrationDataReader):
    """Batches of what the network is given, float32, all of one shape."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._tensors = iter(tensors)

    def get_next(self) -> dict[str, Tensor] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {"input": tensor}


def quantize(proto: onnx.ModelProto, tensors: Iterable[Tensor]) -> onnx.ModelProto:
    """Return the graph with unsigned 8-bit activations and signed 8-bit weights, one scale per output channel.

    Parameters
    ----------
    proto : ModelProto
    tensors : iterable of float32 arrays
        Batches to calibrate the ranges with; from the training set, never from a test set.
    """
    logging.disable(logging.WARNING)  # the quantizer recommends, at length, what is done here
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # it reports steps
            source, prepared, target = (Path(folder, f"{name}.onnx") for name in ("fp32", "prepared", "int8"))
            onnx.save(proto, source)
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                target,
                Calibration(tensors),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,  # a few extremes would coarsen every step
                extra_options={"CalibPercentile": PERCENTILE},
            )
            quantized = onnx.load(target)
    finally:
        logging.disable(logging.NOTSET)
    del quantized.opset_import[:]  # it claims every domain that onnxruntime knows
    quantized.opset_import.extend(proto.opset_import)
    return quantized
