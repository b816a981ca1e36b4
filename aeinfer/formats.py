"""The formats of image files: their names, their suffixes and what each can hold; opens no file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from aeinfer.errors import ImageWriteError, InputError
from aeinfer.picture import split_alpha

__all__ = ["ALPHA", "FORMATS", "SUFFIXES", "UNREAD", "Format", "check_writable", "format_of"]


@dataclass(frozen=True)
class Format:
    """What one format can hold in the hands of the libraries that write it: OpenCV 5, and tifffile for TIFF."""

    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    alpha: bool
    metadata: frozenset[str] = frozenset()
    side: int = (1 << 31) - 1
    """The most pixels along one side."""


_BLOCKS = frozenset({"exif", "xmp", "icc"})

ALPHA = {0: "unspecified alpha", 1: "premultiplied"}
"""What is to be known of a TIFF's fourth sample, by its tag ExtraSamples, where it is not the usual alpha."""

FORMATS = {
    "png": Format((".png",), ("uint8", "uint16"), True, _BLOCKS | {"cicp", "resolution"}),
    "jpg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), ("uint8",), False, _BLOCKS | {"resolution"}, 65500),
    "webp": Format((".webp",), ("uint8",), True, _BLOCKS, 16383),
    "tiff": Format(
        (".tiff", ".tif"),
        ("uint8", "uint16", "float32"),
        True,
        _BLOCKS | {"resolution", *ALPHA.values()},
    ),
    "bmp": Format((".bmp", ".dib"), ("uint8",), True, frozenset({"resolution"})),
    "avif": Format((".avif",), ("uint8",), True, _BLOCKS, 65536),
    "pnm": Format((".pnm", ".ppm", ".pgm", ".pbm"), ("uint8", "uint16"), False),
}

SUFFIXES = tuple(suffix for known in FORMATS.values() for suffix in known.suffixes)
"""The suffixes, lower case, of files that can be read and written (.pbm: only read)."""

UNREAD = (
    *(".heic", ".heif", ".hif", ".gif", ".jxl", ".jp2", ".j2k", ".mpo", ".psd", ".psb", ".tga", ".exr", ".hdr"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
)
"""The suffixes of pictures that are not read: who has them in a folder is told that they were left alone."""


def format_of(path: str | os.PathLike[str]) -> str:
    """Name the format that a file of this name is written in.

    Raises
    ------
    ImageWriteError
        No format has this suffix.

    Examples
    --------
    >>> format_of("a/photo.JPEG")
    'jpg'
    """
    suffix = Path(path).suffix.lower()
    for name, known in FORMATS.items():
        if suffix in known.suffixes:
            return name
    raise ImageWriteError(
        f"{path}: no format has the suffix {suffix!r}; expected one of {', '.join(SUFFIXES)}, or name a format"
    )


def check_writable(target: Path, pixels: NDArray[Any], name: str, quality: int | None = None) -> None:
    """Refuse pixels that are no image, or that a format, or a file of this name, cannot hold.

    Raises
    ------
    InputError
        `pixels` is no image, or quality or format is out of range.
    ImageWriteError
        The format cannot hold this depth, these channels, alpha or so many pixels along a side.

    Examples
    --------
    >>> import numpy as np
    >>> check_writable(Path("a.png"), np.zeros((4, 6), np.uint16), "png")
    """
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}; expected one of {', '.join(FORMATS)}")
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; expected 1 to 100")
    shape, dtype = pixels.shape, pixels.dtype.name
    if len(shape) not in (2, 3) or 0 in shape or shape[2:] not in ((), (1,), (2,), (3,), (4,)):
        raise InputError(f"an array of shape {shape} is no image; expected (H, W) or (H, W, 1 to 4), none of them 0")
    if dtype not in FORMATS[name].dtypes:
        fitting = ", ".join(other for other, known in FORMATS.items() if dtype in known.dtypes)
        raise ImageWriteError(
            f"{target}: {name} cannot hold {dtype} pixels; " + (f"choose {fitting}" if fitting else "convert them")
        )
    if split_alpha(pixels)[1] is not None and not FORMATS[name].alpha:
        raise ImageWriteError(f"{target}: {name} cannot hold alpha; choose png, webp or tiff, or drop the alpha")
    if max(shape[:2]) > (side := FORMATS[name].side):
        raise ImageWriteError(
            f"{target}: {name} holds up to {side} pixels along a side, not {shape[1]} x {shape[0]}; choose png or tiff"
        )
    if name == "pnm":
        _check_pnm(target, shape[2:] == (3,))


def _check_pnm(target: Path, colour: bool) -> None:
    suffix = target.suffix.lower()
    if suffix == ".pbm":
        raise ImageWriteError(f"{target}: a pbm holds black and white only; name it .pgm or .png")
    if suffix == (".pgm" if colour else ".ppm"):
        kind, other = ("grey", ".ppm") if colour else ("colour", ".pgm")
        raise ImageWriteError(f"{target}: a {suffix[1:]} holds {kind} only; name it {other}, .pnm or .png")
