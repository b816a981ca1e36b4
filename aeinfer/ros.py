"""Images of ROS 2 (sensor_msgs/Image) as arrays and denoised messages, without cv_bridge; it knows no node or topic.

Anything with height, width, encoding, is_bigendian, step and data will do: ROS itself is not imported.
"""

import array
import copy
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from aeinfer.errors import InputError
from aeinfer.planes import view

if TYPE_CHECKING:
    from aeinfer.denoiser import AEInfer

__all__ = ["array_of", "denoise_message"]

ENCODINGS = {
    "rgb8": "RGB",
    "bgr8": "BGR",
    "rgba8": "RGBA",
    "bgra8": "BGRA",
    "mono8": "GRAY8",
    "mono16": "GRAY16",
    "8UC1": "GRAY8",
    "8UC3": "BGR",  # OpenCV's type, and so its order
    "16UC1": "GRAY16",
}
"""ROS's names, and those of `planes` but for the byte order."""


def array_of(message: Any) -> NDArray[Any]:
    """Return the view on a message's pixels; red comes first, whatever the encoding, and alpha is left out.

    Parameters
    ----------
    message : sensor_msgs.msg.Image
        Its encoding is one of ENCODINGS.

    Returns
    -------
    (H, W, 3) or (H, W) array, uint8 or uint16; of mono16 and 16UC1 in the message's own byte order.

    Raises
    ------
    InputError
        The encoding is another, or the data do not fit height, width and step.
    """
    if message.encoding not in ENCODINGS:
        raise InputError(f"encodings are {', '.join(ENCODINGS)}, got {message.encoding!r}")
    pixel_format = ENCODINGS[message.encoding]
    if pixel_format == "GRAY16":
        pixel_format += "_BE" if message.is_bigendian else "_LE"
    return view(message.data, message.width, message.height, pixel_format, message.step)


def denoise_message(ae: "AEInfer", message: Any, *, strength: float = 1.0) -> Any:
    """Return a message of the same kind with the denoised pixels; header, alpha and padding are the message's own.

    Parameters
    ----------
    ae : AEInfer
        Loaded with color="rgb", which is the default.
    message : sensor_msgs.msg.Image
        See `array_of`; it is not changed.
    strength : float
        As in `AEInfer.denoise`.

    Raises
    ------
    InputError
        As in `array_of` and `AEInfer.denoise`.
    """
    noisy = array_of(message)
    result = copy.copy(message)
    result.data = array.array("B", bytes(message.data))  # what rclpy keeps: it would check a list byte by byte
    clean = array_of(result)
    if clean.dtype.isnative:
        ae(noisy, out=clean, strength=strength)
    else:
        clean[...] = ae(noisy.astype(noisy.dtype.newbyteorder("=")), strength=strength)
    return result
