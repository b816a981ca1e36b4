"""Coded images to arrays and back by OpenCV, and what it needs changed in their bytes; no disk.

Arrays are RGB wherever they have colour; OpenCV's BGR exists inside this room only.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from aeinfer import damage
from aeinfer.errors import AEInferError, ImageReadError, ImageWriteError
from aeinfer.file_facts import FileFacts
from aeinfer.jpeg import EXIF_HEADER, XMP_HEADER, with_profile
from aeinfer.opencv import has_metadata, load_opencv
from aeinfer.picture import Pixels
from aeinfer.resolution import Resolution, with_resolution
from aeinfer.tiff_tags import Table, TagNumber, byte_order

__all__ = ["check_depth", "decode", "encode"]

METADATA = {
    "exif": "IMAGE_METADATA_EXIF",
    "xmp": "IMAGE_METADATA_XMP",
    "icc": "IMAGE_METADATA_ICCP",
    "cicp": "IMAGE_METADATA_CICP",
}


@contextmanager
def _opencv_errors(kind: type[AEInferError], said: str) -> Iterator[None]:
    """Raise `kind` for what OpenCV raises, but MemoryError for its own error of too little memory."""
    cv2 = load_opencv()
    try:
        yield
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(f"too little memory for an image: {error.err}") from error
        raise kind(f"{said} ({error.err})") from None


@_opencv_errors(ImageReadError, "damaged: OpenCV cannot decode it")
def decode(data: bytes, facts: FileFacts, spare: bytearray | None = None) -> tuple[Pixels, dict[str, bytes]]:
    """Decode to RGB order and the blocks of metadata that OpenCV hands out, EXIF bare of its header.

    Parameters
    ----------
    data : bytes
        The file.
    facts : FileFacts
        What it says of itself, or of one of its pages.
    spare : bytearray, optional
        A copy of a TIFF that is changed for one page after the other: without, most take a copy each.

    Raises
    ------
    ImageReadError
        The file is damaged, or of another depth than uint8, uint16 and float32.
    MemoryError
        There is not enough memory.
    BackendMissingError
        OpenCV is not installed.
    """
    cv2 = load_opencv()
    if facts.format == "pnm":
        data += b"\n"  # OpenCV wants something behind the last number
    buffer = np.frombuffer(_from_page(data, facts.page, facts.extra, spare) if facts.page else data, np.uint8)
    metadata: dict[str, bytes] = {}
    # of a JPEG it joins whatever lies in segments APP2 to a profile; its blocks are read from its bytes
    if has_metadata() and facts.format != "jpg":
        pixels, kinds, blocks = cv2.imdecodeWithMetadata(buffer, cv2.IMREAD_UNCHANGED)
        names = {getattr(cv2, constant): name for name, constant in METADATA.items() if hasattr(cv2, constant)}
        pairs = zip(kinds, blocks, strict=True)
        metadata = {names[int(kind)]: np.asarray(block).tobytes() for kind, block in pairs if int(kind) in names}
    else:
        pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageReadError(f"damaged, or of a kind that OpenCV does not decode: {_kind(facts)}")
    check_depth(pixels, facts)
    if facts.format == "jpg":
        _check_end(cv2, data, facts.end, pixels)
    if "exif" in metadata:
        metadata["exif"] = metadata["exif"].removeprefix(EXIF_HEADER)
    if "xmp" in metadata:
        metadata["xmp"] = metadata["xmp"].rstrip(b"\0")
    return _to_rgb(pixels, facts), metadata


def _kind(facts: FileFacts) -> str:
    if facts.page is None:
        return f"a {facts.format}"
    bits, compression = facts.page.first(TagNumber.BITS, 1), facts.page.first(TagNumber.COMPRESSION, 1)
    return f"a tiff of {bits} bits a sample, compressed by method {compression}"


def _from_page(data: bytes, page: Table, extra: int, spare: bytearray | None) -> bytes | bytearray:
    """Return a TIFF that starts with one of its pages, which is the one that OpenCV reads, and in `spare` ends with it.

    OpenCV would count all that follow, each time.
    Its reader multiplies colours by an alpha that is declared unassociated; undeclared, it does not.
    """
    order, big = byte_order(data)
    at, layout = (8, order + "Q") if big else (4, order + "I")
    if struct.unpack_from(layout, data, at) == (page.offset,) and extra != 2:
        return data
    changed = bytearray(data) if spare is None else spare
    struct.pack_into(layout, changed, at, page.offset)
    if spare is not None:
        struct.pack_into(layout, changed, page.link, 0)
    if extra == 2:
        tag = page[TagNumber.EXTRA_SAMPLES]
        struct.pack_into(tag.layout, changed, tag.at, 0, *tag.values[1:])
    return changed


def check_depth(pixels: Pixels, facts: FileFacts) -> None:
    """Refuse pixels other than uint8, uint16 and float32, or of a range of their own.

    Raises
    ------
    ImageReadError
        They are.
    """
    if pixels.dtype.name not in ("uint8", "uint16", "float32") or (facts.format == "avif" and pixels.dtype != np.uint8):
        raise ImageReadError(
            f"the {facts.format} holds {pixels.dtype.name} values of another range; expected 8-bit, or uint16 or "
            "float32 in png or tiff"
        )


def _check_end(cv2: Any, data: bytes, end: int, pixels: Pixels) -> None:
    """Refuse a JPEG whose coded data ran out before the picture did: the decoder fills the rest with middle grey."""
    corner = pixels[-2:, -2:].astype(int)
    if (abs(corner - 128) > 2).any():
        return
    filled = damage.with_filler(data, end)
    # the decoder complains on stderr of filler between a whole picture and its end, which progressive ones alone need
    for tail in (b"", data[end:]):
        again = cv2.imdecode(np.frombuffer(filled + tail, np.uint8), cv2.IMREAD_UNCHANGED)
        if again is not None:
            break
    if again is None or not np.array_equal(again, pixels):
        raise ImageReadError("damaged: the JPEG's data end before its picture does")


def _to_rgb(pixels: Pixels, facts: FileFacts) -> Pixels:
    if facts.clear_grey is not None and pixels.ndim == 2:
        opaque = np.where(pixels == facts.clear_grey, 0, np.iinfo(pixels.dtype).max)
        return np.stack([pixels, opaque.astype(pixels.dtype)], axis=2)
    if pixels.ndim == 2:
        return pixels
    if facts.padded:
        pixels = pixels[:, :, :3]
    if facts.grey_alpha and pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[:, :, [0, 3]])
    return _swap(pixels)


def _swap(pixels: Pixels) -> Pixels:
    """RGB(A) <-> BGR(A)."""
    cv2 = load_opencv()
    swapped: Pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return swapped


@_opencv_errors(ImageWriteError, "OpenCV cannot encode it")
def encode(pixels: Pixels, name: str, metadata: Mapping[str, bytes], quality: int | None = None) -> bytes:
    """Encode pixels and metadata as the format `name`.

    Raises
    ------
    ImageWriteError
        OpenCV refuses; the message does not name the file.
    MemoryError
        There is not enough memory.
    BackendMissingError
        OpenCV is not installed.
    """
    cv2 = load_opencv()
    if pixels.shape[2:] == (2,):
        pixels = pixels[:, :, [0, 0, 0, 1]]
    image = _swap(pixels) if pixels.ndim == 3 else np.ascontiguousarray(pixels)
    options = _options(cv2, name, quality, pixels.shape[2:] == (4,))
    blocks = dict(metadata)
    resolution = Resolution.parse(blocks.pop("resolution")) if "resolution" in blocks else None
    profile = blocks.pop("icc", None) if name == "jpg" else None  # OpenCV writes what one segment holds, 64 KB
    if name == "jpg" and "xmp" in blocks:
        blocks["xmp"] = XMP_HEADER + blocks["xmp"]
    elif name == "png" and "xmp" in blocks:
        blocks["xmp"] += b"\0"  # OpenCV's PNG writer reads on until it meets one
    if blocks:
        kinds = np.array([getattr(cv2, METADATA[kind]) for kind in blocks], np.int32)
        arrays = [np.frombuffer(block, np.uint8) for block in blocks.values()]
        done, buffer = cv2.imencodeWithMetadata("." + name, image, kinds, arrays, options)
    else:
        done, buffer = cv2.imencode("." + name, image, options)
    if not done or not buffer.size:
        raise ImageWriteError(f"OpenCV cannot encode {image.shape} {image.dtype} as {name}")
    if name == "avif" and blocks and cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) is None:
        # it does not know its own AVIF whose boxes before the pixels end near byte 500, which these blocks decide
        raise ImageWriteError("OpenCV could not read this AVIF with its metadata again")
    data = with_profile(bytes(buffer), profile) if profile else bytes(buffer)
    return with_resolution(data, name, resolution) if resolution else data


def _options(cv2: Any, name: str, quality: int | None, alpha: bool) -> list[int]:
    if name == "jpg":
        sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        return [cv2.IMWRITE_JPEG_QUALITY, quality or 95, *sampling]
    if name == "webp" and quality is None:
        if hasattr(cv2, "IMWRITE_WEBP_LOSSLESS_MODE"):  # keeps the colours under full transparency too
            return [cv2.IMWRITE_WEBP_LOSSLESS_MODE, cv2.IMWRITE_WEBP_LOSSLESS_PRESERVE_COLOR]
        return [cv2.IMWRITE_WEBP_QUALITY, 101]
    if name == "webp":
        return [cv2.IMWRITE_WEBP_QUALITY, quality or 0]
    if name == "avif":
        return [cv2.IMWRITE_AVIF_QUALITY, quality or (100 if alpha else 95)]
    return []
