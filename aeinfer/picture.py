"""A picture in memory: its pixels, the metadata beside them, its orientation and its alpha; no files and no cv2."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.tiff_tags import TagNumber, read_orientation, read_table, with_tag

__all__ = ["Picture", "Pixels", "join_alpha", "split_alpha", "straight", "turn", "upright"]

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Picture:
    """One still image as it lay in its file.

    Attributes
    ----------
    pixels : (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) array of uint8, uint16 or float32
        Grey, grey + alpha, RGB or RGBA.
    format : str
        What the bytes were ("png", "jpg", ...), whatever the file is called.
    metadata : mapping of str to bytes
        The blocks "exif", "xmp", "icc" and "cicp", "resolution" (b"300 300 inch") and, of a TIFF, "premultiplied"
        or "unspecified alpha" (b"1"), as far as they were there and this install reads them.
    lost : frozenset of str
        The kinds that the file holds and this install does not read.
    """

    pixels: Pixels
    format: str
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


def upright(picture: Picture) -> Picture:
    """Turn the pixels as the EXIF block says and make it say "upright": for writing without it.

    Examples
    --------
    >>> upright(Picture(np.zeros((2, 3), np.uint8), "png")).pixels.shape
    (2, 3)
    """
    exif = picture.metadata.get("exif")
    orientation = read_orientation(exif)
    if exif is None or orientation == 1:
        return picture
    tag = read_table(exif)[TagNumber.ORIENTATION]
    metadata = {**picture.metadata, "exif": with_tag(exif, tag, 1, *tag.values[1:])}
    return replace(picture, pixels=turn(picture.pixels, orientation), metadata=metadata)


def straight(picture: Picture) -> Picture:
    """Divide the colours by the alpha that they are multiplied by: for writing where that cannot be told.

    Examples
    --------
    >>> half = np.array([[[50, 100, 0, 128]]], np.uint8)
    >>> straight(Picture(half, "tiff", {"premultiplied": b"1"})).pixels.tolist()
    [[[100, 199, 0, 128]]]
    """
    colour, alpha = split_alpha(picture.pixels)
    if "premultiplied" not in picture.metadata or alpha is None:
        return picture
    whole = np.float32(1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max)
    share = np.divide(whole, alpha, out=np.ones(alpha.shape, np.float32), where=alpha > 0, dtype=np.float32)
    divided = colour * (share if colour.ndim == 2 else share[:, :, None])
    if alpha.dtype.kind != "f":
        divided = np.rint(np.minimum(divided, whole))
    metadata = {kind: block for kind, block in picture.metadata.items() if kind != "premultiplied"}
    pixels = join_alpha(divided.astype(alpha.dtype), alpha)
    return replace(picture, pixels=pixels, metadata=metadata)


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Set pixels upright that EXIF describes by `orientation` (1 to 8).

    Examples
    --------
    >>> turn(np.array([[1, 2, 3]], np.uint8), 6).tolist()
    [[1], [2], [3]]
    """
    turned = pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def split_alpha(pixels: Pixels) -> tuple[Pixels, Pixels | None]:
    """Part an image into its colour, (H, W) or (H, W, 3), and its alpha, (H, W) or None where it has none.

    Examples
    --------
    >>> colour, alpha = split_alpha(np.zeros((4, 6, 2), np.uint8))
    >>> colour.shape, alpha.shape
    ((4, 6), (4, 6))
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 0
    if channels == 2:
        return pixels[:, :, 0], pixels[:, :, 1]
    if channels == 4:
        return pixels[:, :, :3], pixels[:, :, 3]
    return pixels, None


def join_alpha(colour: Pixels, alpha: Pixels | None) -> Pixels:
    """Undo `split_alpha`.

    Examples
    --------
    >>> join_alpha(np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)).shape
    (4, 6, 4)
    """
    return colour if alpha is None else np.dstack([colour, alpha])
