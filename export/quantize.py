"""Static QDQ int8: calibration through aeinfer's own gather_tiles, then onnxruntime's quantizer; it judges no result.

Static, because dynamic ranges would make a tile depend on its neighbours in the batch.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from aeinfer import kernels

Image = NDArray[np.uint8]
PERCENTILE = 99.99  # of the activations inside the range


class Calibration(CalibrationDataReader):
    """Noisy uint8 (H, W, C) images of one size, as the runtime would feed them.

    Parameters
    ----------
    images : sequence of arrays
        From the training set, never from a test set.
    channels : int
    """

    def __init__(self, images: Sequence[Image], channels: int) -> None:
        self._tensors = self._gather(images, channels)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._tensors, None)

    @staticmethod
    def _gather(images: Sequence[Image], channels: int) -> Iterator[dict[str, NDArray[np.float32]]]:
        for image in images:
            tensor = np.empty((1, channels, *image.shape[:2]), np.float32)
            kernels.gather_tiles(image, np.zeros((1, 2), np.int64), kernels.full_scale(image.dtype), tensor)
            yield {"input": tensor}


def quantize(proto: onnx.ModelProto, images: Sequence[Image], channels: int) -> onnx.ModelProto:
    """Return the graph with unsigned 8-bit activations and signed 8-bit weights, one scale per output channel."""
    logging.disable(logging.WARNING)  # the quantizer recommends, at length, what is done here
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # it reports steps
            source, prepared, target = (Path(folder, f"{name}.onnx") for name in ("fp32", "prepared", "int8"))
            onnx.save(proto, source)
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                target,
                Calibration(images, channels),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,  # a few extremes would coarsen every step
                extra_options={"CalibPercentile": PERCENTILE},
            )
            return onnx.load(target)
    finally:
        logging.disable(logging.NOTSET)
