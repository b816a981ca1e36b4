"""What an image array may be, checked at the door, and the array that takes the result; no pixel is changed here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import InputError

__all__ = [
    "DTYPES",
    "LARGEST",
    "as_hwc",
    "check_batch",
    "check_finite",
    "color_channels",
    "output_for",
    "output_like",
    "outputs_for",
    "overlap",
]

Image = NDArray[Any]
DTYPES = ("uint8", "uint16", "float32")
AT_ONCE = 1 << 20  # values looked at together, while they are in the cache
LARGEST = 1e30  # so far below float32's that no sum within a network overflows


def as_hwc(image: Image) -> Image:
    """Validate an image, and return it as a plain (H, W, C) array without a copy."""
    if not isinstance(image, np.ndarray):
        convertible = hasattr(image, "__array__") or hasattr(image, "__array_interface__")  # torch's, pandas'; PIL's
        hint = ": numpy.asarray makes one of it" if convertible else ""
        raise InputError(f"expected a numpy array, got {type(image).__name__}{hint}")
    if not (image.ndim == 2 or (image.ndim == 3 and 1 <= image.shape[2] <= 4)):
        hint = "; several images, or channels, go into denoise_batch as (N, H, W)" if image.ndim in (3, 4) else ""
        raise InputError(f"expected (H, W) or (H, W, 1 to 4), got an array of shape {image.shape}{hint}")
    if image.size == 0:
        raise InputError(f"expected at least one pixel, got an array of shape {image.shape}")
    if image.dtype not in DTYPES:
        raise InputError(f"images are {', '.join(DTYPES)} in this machine's byte order, got {image.dtype}: convert it")
    if type(image) is not np.ndarray and np.ma.is_masked(image):  # of a plain array, that would import numpy.ma
        raise InputError("the image has masked pixels, whose values would be taken for light: give image.filled(...)")
    plain = np.asarray(image)  # a matrix stays of two dimensions
    return plain if plain.ndim == 3 else plain[:, :, None]


def color_channels(view: Image) -> int:
    """Return how many channels of an (H, W, C) image are colour, or grey; one behind them is alpha."""
    return 3 if view.shape[2] >= 3 else 1


def check_batch(images: Image) -> None:
    """Refuse an array that is no batch of images."""
    if images.ndim not in (3, 4):
        raise InputError(f"expected (N, H, W) or (N, H, W, C), got an array of shape {images.shape}")


def check_finite(image: Image, what: str = "image") -> None:
    """Refuse NaN and infinity, which a network would spread, and what would become either on its way through one."""
    if image.dtype.kind != "f":
        return
    rows = max(1, AT_ONCE // image[0].size)
    for part in (image[top : top + rows] for top in range(0, len(image), rows)):
        if not (part.min() >= -LARGEST and part.max() <= LARGEST):
            if np.isfinite(part).all():
                raise InputError(
                    f"the {what} holds values beyond {LARGEST:g}, which overflow in a network: replace them"
                )
            how = f"numpy.nan_to_num({what}, posinf=1, neginf=0)"  # alone it makes of infinity what overflows
            raise InputError(f"the {what} holds NaN or infinity: replace them, with {how} for example")


def overlap(image: Image, out: Image) -> bool:
    """Return whether writing a pixel of `out` may change another pixel of `image`."""
    same = (image.ctypes.data, image.strides) == (out.ctypes.data, out.strides)
    return not same and np.may_share_memory(image, out)


def output_for(image: Image, out: Image | None) -> Image:
    """Return the array that takes the result, after a look at both; nothing is computed before every image passed."""
    check_finite(as_hwc(image))
    return output_like(image, out)


def output_like(images: Image, out: object, what: str = "image") -> Image:
    """Return `out`, or a new array where it is None: of the shape and dtype of an image, or a batch of them."""
    if out is None:
        return np.empty_like(images, order="C", subok=False)
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (images.shape, images.dtype):
        got = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"out must be like the {what}, {images.dtype} of shape {images.shape}, got {got}")
    if not out.flags.writeable:
        raise InputError("out is read-only: give an array that can be written")
    return out


def outputs_for(images: Sequence[Image], outs: Sequence[Image | None]) -> list[Image]:
    """Return the arrays that take the results, each as `output_for` does; of several images an error says of which."""
    results = []
    for index, (image, out) in enumerate(zip(images, outs, strict=True)):
        try:
            results.append(output_for(image, out))
        except InputError as error:
            raise InputError(f"images[{index}]: {error}" if len(images) > 1 else str(error)) from None
    return results
