"""The errors of aeinfer, each also Python's own kind; any room raises them, the command line alone catches them.

AEInferError
|-- BackendMissingError        (ImportError)   onnxruntime, cv2 or numba is not installed
|-- ProviderUnavailableError   (RuntimeError)  the device asked for does not start
|-- ModelError                 (ValueError)    the model file is damaged or of the wrong kind
|-- InputError                 (ValueError)    an array or an option has the wrong shape, type or value
|-- ImageReadError             (OSError)       a file is not an image that can be read
`-- ImageWriteError            (OSError)       a file cannot be written
"""

__all__ = [
    "AEInferError",
    "BackendMissingError",
    "ImageReadError",
    "ImageWriteError",
    "InputError",
    "ModelError",
    "ProviderUnavailableError",
]


class AEInferError(Exception):
    """Base of every error that aeinfer raises on purpose."""


class BackendMissingError(AEInferError, ImportError):
    """A library that an extra installs is missing; the message names the extra."""


class ProviderUnavailableError(AEInferError, RuntimeError):
    """The device that was asked for by name cannot be used on this machine."""


class ModelError(AEInferError, ValueError):
    """A model file cannot be used; the message says what the file is instead."""


class InputError(AEInferError, ValueError):
    """An array or an option does not fit; the message says what was expected."""


class ImageReadError(AEInferError, OSError):
    """An image file cannot be read."""


class ImageWriteError(AEInferError, OSError):
    """An image file cannot be written; nothing is left in its place."""
