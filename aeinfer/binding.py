"""A batch's way to a device and back, through buffers there that are used again; which device is another room's choice.

On the CPU onnxruntime's plain run takes the batch where it lies, and nothing is gained.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Binding"]

Tensor = NDArray[np.float32]


class Binding:
    """One input and one output of a session, bound to a device's memory; for one thread at a time.

    As long as batches have one shape, nothing is allocated on the device: the input is copied to where the last one
    was, and the network writes its output over the last one.

    Parameters
    ----------
    ort : module
        onnxruntime.
    session : onnxruntime.InferenceSession
    device : tuple of str and int
        In onnxruntime's words, such as ("cuda", 0).
    """

    def __init__(self, ort: Any, session: Any, device: tuple[str, int]) -> None:
        self._ort, self._session, self._device = ort, session, device
        self._names = session.get_inputs()[0].name, session.get_outputs()[0].name
        self._binding = session.io_binding()
        self._shape: tuple[int, ...] | None = None
        self._buffer: Any = None

    def run(self, batch: Tensor) -> Tensor:
        """Return the output of a float32 batch that is contiguous, in memory of the caller's own."""
        fresh = batch.shape != self._shape
        if fresh:
            self._bind(batch.shape)
        self._buffer.update_inplace(batch)
        self._session.run_with_iobinding(self._binding)  # returns when the output is complete
        if fresh:
            self._binding.bind_ortvalue_output(self._names[1], self._binding.get_outputs()[0])
            self._shape = batch.shape
        output: Tensor = self._binding.copy_outputs_to_cpu()[0]
        return output

    def _bind(self, shape: tuple[int, ...]) -> None:
        """Give up the buffers of another shape, and take an input's; the output's is onnxruntime's choice."""
        self._shape = self._buffer = None
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        self._buffer = self._ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, *self._device)
        self._binding.bind_ortvalue_input(self._names[0], self._buffer)
        self._binding.bind_output(self._names[1], *self._device)
