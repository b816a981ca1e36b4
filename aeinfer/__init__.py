"""Autoencoders that remove noise from images, on any device that runs ONNX Runtime.

Importing this costs numpy and nothing else: onnxruntime, numba and cv2 are imported on first use.
"""

import logging
import os
from typing import TYPE_CHECKING, Any

from aeinfer.errors import (
    AEInferError,
    BackendMissingError,
    ImageReadError,
    ImageWriteError,
    InputError,
    ModelError,
    ProviderUnavailableError,
)
from aeinfer.version import __version__

if TYPE_CHECKING:
    from aeinfer.denoiser import AEInfer
    from aeinfer.model_info import ModelInfo

__all__ = [
    "AEInfer",
    "AEInferError",
    "BackendMissingError",
    "ImageReadError",
    "ImageWriteError",
    "InputError",
    "ModelError",
    "ModelInfo",
    "ProviderUnavailableError",
    "__version__",
]

logging.getLogger("aeinfer").addHandler(logging.NullHandler())  # silent unless the program has a handler of its own

# onnxruntime writes a device id and looks up a telemetry host when it is imported, unless it finds this set
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


if not TYPE_CHECKING:  # to a type checker any name would be one that this gives

    def __getattr__(name: str) -> Any:
        if name == "AEInfer":
            from aeinfer.forking import importing

            with importing:
                from aeinfer.denoiser import AEInfer

            return AEInfer
        if name == "ModelInfo":
            from aeinfer.model_info import ModelInfo

            return ModelInfo
        raise AttributeError(f"module 'aeinfer' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is there and what is imported on first use, for help() and completion."""
    return sorted({*globals(), *__all__})
