"""TIFF pages through tifffile, where that is installed: written with all their metadata, and read where OpenCV fails.

The only room that knows tifffile.
"""

import io
import logging
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aeinfer.errors import ImageReadError
from aeinfer.exif import fields_of_exif
from aeinfer.forking import importing
from aeinfer.picture import Picture, Pixels, split_alpha
from aeinfer.resolution import Resolution
from aeinfer.tiff_tags import TagNumber, Tree, pack_table, read_tables

__all__ = ["available", "decode", "encode"]

POINTERS: dict[int, str] = {TagNumber.EXIF: "ExifTag", TagNumber.GPS: "GPSTag"}
"""Tags that tifffile writes by name only; their tables are laid behind what it has written."""
RESOLUTION = (TagNumber.X_RESOLUTION, TagNumber.Y_RESOLUTION, TagNumber.RESOLUTION_UNIT)
DAMAGED = (
    *(ValueError, TypeError, LookupError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error),
)
"""What tifffile, and imagecodecs where it is installed, raise for damage."""
MOST_CLASSIC = (1 << 32) - (1 << 25)
"""Bytes of pixels beyond which a file is a BigTIFF: deflated noise takes nearly as many, and others end at 4 GB."""


def available() -> bool:
    """Tell whether tifffile can be imported.

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    try:
        _tifffile()
    except ImportError:
        return False
    return True


def _tifffile() -> Any:
    with importing:
        import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is an error here, not a line on stderr
    return tifffile


def decode(data: bytes, offset: int) -> Pixels:
    """Read the pixels of one page as they are stored, not turned.

    Parameters
    ----------
    data : bytes
        The file.
    offset : int
        Where the page's table lies.

    Raises
    ------
    ImageReadError
        The page is damaged, or packed in a way that tifffile alone cannot unpack, or tifffile is not installed.
    """
    try:
        tifffile = _tifffile()
    except ImportError:
        raise ImageReadError(
            "OpenCV does not read a TIFF of this layout (grey with alpha, planes of more than 8 bits or in tiles) "
            'faithfully; pip install "aeinfer[tiff]" reads it, or save it as png'
        ) from None
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            file.filehandle.seek(offset)
            page = tifffile.TiffPage(file, 0)  # by itself: `file.pages` reads all before it, each time
            pixels = page.asarray(maxworkers=1)
            separate = int(page.planarconfig) == 2 and pixels.ndim == 3
    except (*DAMAGED, ImportError) as error:
        # that package unpacks LZW and JPEG for it; for Zstandard it imports a module of Python 3.14
        if "imagecodecs" in str(error) or isinstance(error, ImportError):
            raise ImageReadError(
                f"tifffile cannot unpack this tiff ({error}); save it uncompressed or deflated"
            ) from None
        raise ImageReadError(f"damaged: tifffile cannot decode this tiff ({error})") from None
    pixels = np.moveaxis(pixels, 0, 2) if separate else pixels
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def encode(pictures: Sequence[Picture]) -> tuple[bytes, frozenset[str]]:
    """Write pages, deflated, with the metadata of each; as a BigTIFF where they may come to more than 4 GB.

    Parameters
    ----------
    pictures : sequence of Picture
        Each of a shape and dtype of its own; "exif", "xmp", "icc" and "resolution" of their metadata are written.

    Returns
    -------
    The file, and the kinds of metadata that could not be written: an EXIF block that is damaged or in another byte
    order than the first page's.
    """
    tifffile = _tifffile()
    fields = [_fields(picture.metadata) for picture in pictures]
    order = next((order for order, tree in fields if tree), "<")
    lost: set[str] = set()
    buffer = io.BytesIO()
    big = sum(picture.pixels.nbytes for picture in pictures) > MOST_CLASSIC
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=big) as writer:
        for picture, (own, tree) in zip(pictures, fields, strict=True):
            if "exif" in picture.metadata and (not tree or own != order):
                lost.add("exif")
                tree.clear()
            _write_page(writer, picture, tree, pointer_kind=16 if big else 4)
    return _with_sub_tables(buffer.getvalue(), order, big, [tree for _, tree in fields]), frozenset(lost)


def _fields(metadata: Mapping[str, bytes]) -> tuple[str, Tree]:
    try:
        return fields_of_exif(metadata["exif"])
    except (KeyError, ValueError):
        return "<", {}


def _write_page(writer: Any, picture: Picture, tree: Tree, pointer_kind: int) -> None:
    pixels, metadata = picture.pixels, picture.metadata
    colour, alpha = split_alpha(pixels)
    extra: list[tuple[Any, ...]] = [
        (POINTERS[number], pointer_kind, 1, 0, False) for number in tree if number in POINTERS
    ]
    for number, item in tree.items():
        if not isinstance(item, dict) and number not in RESOLUTION and item[1]:
            extra.append((number, *item, False))
    if "xmp" in metadata:
        extra.append((TagNumber.XMP, 1, len(metadata["xmp"]), metadata["xmp"], False))
    options: dict[str, Any] = {}
    if "resolution" in metadata:
        *pair, unit = Resolution.parse(metadata["resolution"]).rationals()
        options |= {"resolution": tuple(pair), "resolutionunit": {"none": 1, "inch": 2, "cm": 3}[unit]}
    if alpha is not None:
        options["extrasamples"] = [0 if "unspecified alpha" in metadata else 1 if "premultiplied" in metadata else 2]
    writer.write(
        pixels,
        photometric="rgb" if colour.ndim == 3 else "minisblack",
        planarconfig="contig" if pixels.ndim == 3 else None,
        compression="zlib",
        predictor=colour.ndim == 3 and pixels.dtype.kind == "u",  # of grey, older ImageJs overlook it
        iccprofile=metadata.get("icc"),
        extratags=extra,
        metadata=None,
        software=False,
        contiguous=False,
        **options,
    )


def _with_sub_tables(data: bytes, order: str, big: bool, trees: Sequence[Tree]) -> bytes:
    """Lay the tables of EXIF and GPS behind the file and make their tags point there."""
    changed = bytearray(data)
    for table, tree in zip(read_tables(data), trees, strict=True):
        for number in POINTERS:
            item = tree.get(number)
            if isinstance(item, dict):
                changed += bytes(len(changed) % 2)
                struct.pack_into(order + ("Q" if big else "I"), changed, table[number].at, len(changed))
                changed += pack_table(item, order, len(changed), big=big)
    return bytes(changed)
