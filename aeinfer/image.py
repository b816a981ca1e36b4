"""Image files to arrays and back through OpenCV, with depth, alpha and metadata kept; knows no model and no folder.

Arrays are RGB wherever they have colour; OpenCV's BGR exists inside this room only.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.atomic import write_whole
from aeinfer.errors import BackendMissingError, ImageReadError, ImageWriteError, InputError
from aeinfer.file_format import EXIF_HEADER, FORMATS, XMP_HEADER, FileFacts, inspect
from aeinfer.picture import Picture, Pixels, turn, upright
from aeinfer.tiff_tags import read_orientation, read_tables, with_tag

__all__ = [
    "SUFFIXES",
    "Picture",
    "caption_strip",
    "carried_metadata",
    "format_of",
    "quiet_opencv",
    "read_image",
    "write_image",
]

SUFFIXES = tuple(suffix for known in FORMATS.values() for suffix in known.suffixes)
"""The suffixes, lower case, of files that can be read and written."""

MAX_PIXELS = 1 << 30
"""OpenCV's own limit, checked before decoding so that the error can name it."""

_METADATA = {
    "exif": "IMAGE_METADATA_EXIF",
    "xmp": "IMAGE_METADATA_XMP",
    "icc": "IMAGE_METADATA_ICCP",
    "cicp": "IMAGE_METADATA_CICP",
}


def _cv2() -> Any:
    """Import OpenCV on first use."""
    try:
        import cv2
    except ImportError as error:
        raise BackendMissingError(
            f"image files need OpenCV, which does not import ({error}); install it with: pip install 'aeinfer[cpu]'"
        ) from error
    return cv2


def quiet_opencv() -> None:
    """Stop OpenCV's own lines on stderr, for the whole process: a program that reports each bad file needs no echo.

    Raises
    ------
    BackendMissingError
        OpenCV is not installed.
    """
    logging = _cv2().utils.logging
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)


def read_image(path: str | os.PathLike[str]) -> Picture:
    """Read one still image with its depth, alpha and metadata.

    Pixels are not rotated while the EXIF block that says how to is kept; where it cannot be kept they are set upright.

    Parameters
    ----------
    path : path
        A file of one of the formats of `SUFFIXES`; its content decides, not its name.

    Raises
    ------
    ImageReadError
        The file is missing, empty, no image, cut short, damaged, animated or of several pages, larger than 2^30
        pixels, or of a depth other than uint8, uint16 and float32.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> picture = read_image("examples/noisy/one.png")  # doctest: +SKIP
    >>> picture.pixels.shape, picture.pixels.dtype  # doctest: +SKIP
    ((480, 640, 3), dtype('uint8'))
    """
    cv2 = _cv2()
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageReadError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        facts = inspect(data)
        if facts.size and facts.size[0] * facts.size[1] > MAX_PIXELS:
            raise ImageReadError(f"{facts.size[1]} x {facts.size[0]} is more than the limit of {MAX_PIXELS} pixels")
        pixels, metadata = _decode(cv2, data, facts)
    except ImageReadError as error:
        raise ImageReadError(f"{path}: {error}") from None
    return _agree(pixels, metadata, facts)


def _decode(cv2: Any, data: bytes, facts: FileFacts) -> tuple[Pixels, dict[str, bytes]]:
    """Decode to RGB order and the blocks of metadata that OpenCV hands out, bare of JPEG's headers."""
    if facts.straight_alpha:
        # OpenCV's TIFF reader multiplies colours by an alpha that is declared unassociated; undeclared, it does not
        data = with_tag(data, read_tables(data)[0][338], 0)
    buffer = np.frombuffer(data, np.uint8)
    metadata: dict[str, bytes] = {}
    try:
        if hasattr(cv2, "imdecodeWithMetadata"):
            pixels, kinds, blocks = cv2.imdecodeWithMetadata(buffer, cv2.IMREAD_UNCHANGED)
            names = {getattr(cv2, constant): name for name, constant in _METADATA.items() if hasattr(cv2, constant)}
            pairs = zip(kinds, blocks, strict=True)
            metadata = {names[int(kind)]: np.asarray(block).tobytes() for kind, block in pairs if int(kind) in names}
        else:
            pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageReadError(f"damaged: OpenCV cannot decode it ({error.err})") from None
    if pixels is None:
        raise ImageReadError(f"damaged: OpenCV cannot decode this {facts.format}")
    if pixels.dtype.name not in ("uint8", "uint16", "float32") or (facts.format == "avif" and pixels.dtype != np.uint8):
        raise ImageReadError(
            f"the {facts.format} holds {pixels.dtype.name} values of another range; expected 8-bit, or uint16 or "
            "float32 in png or tiff"
        )
    for kind, header in (("exif", EXIF_HEADER), ("xmp", XMP_HEADER)):
        if kind in metadata:
            metadata[kind] = metadata[kind].removeprefix(header)
    if "xmp" in metadata:
        metadata["xmp"] = metadata["xmp"].rstrip(b"\0")
    if metadata.get("icc", b"")[16:20] == b"CMYK":  # the pixels were converted, their profile was not
        del metadata["icc"]
    return _to_rgb(pixels, facts), metadata


def _to_rgb(pixels: Pixels, facts: FileFacts) -> Pixels:
    if facts.clear_grey is not None and pixels.ndim == 2:
        opaque = np.where(pixels == facts.clear_grey, 0, np.iinfo(pixels.dtype).max)
        return np.stack([pixels, opaque.astype(pixels.dtype)], axis=2)
    if pixels.ndim == 2:
        return pixels
    if facts.grey_alpha and pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[:, :, [0, 3]])
    return _swap(pixels)


def _swap(pixels: Pixels) -> Pixels:
    """RGB(A) <-> BGR(A)."""
    cv2 = _cv2()
    swapped: Pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return swapped


def _agree(pixels: Pixels, metadata: dict[str, bytes], facts: FileFacts) -> Picture:
    """Make pixels and the EXIF block that is kept show the picture as the file's own viewer would."""
    lost = facts.metadata - metadata.keys()
    picture = Picture(pixels, facts.format, MappingProxyType(metadata), lost)
    if facts.format == "tiff" or facts.orientation == read_orientation(metadata.get("exif")):
        return picture  # OpenCV turns TIFF itself
    return replace(upright(picture), pixels=turn(pixels, facts.orientation))


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


def carried_metadata(path: str | os.PathLike[str], format: str | None = None) -> frozenset[str]:
    """Name the kinds of metadata that a file of this name or format gets when this OpenCV writes it.

    Raises
    ------
    ImageWriteError
        No format has this suffix.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> carried_metadata("scan.tiff")
    frozenset()
    """
    name = format_of(path) if format is None else format
    return FORMATS[name].metadata if hasattr(_cv2(), "imencodeWithMetadata") else frozenset()


def write_image(
    path: str | os.PathLike[str],
    pixels: Pixels,
    *,
    metadata: Mapping[str, bytes] | None = None,
    quality: int | None = None,
    format: str | None = None,
) -> frozenset[str]:
    """Write one image, whole or not at all: to a temporary file beside the target, which is then renamed.

    Parameters
    ----------
    path : path
        The target; missing folders are made, an existing file is replaced.
    pixels : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array of uint8, uint16 or float32
        Grey, grey + alpha (written as RGBA), RGB or RGBA.
    metadata : mapping of str to bytes
        As in `Picture.metadata`. Pixels are set upright where the format cannot carry their EXIF.
    quality : int
        1 to 100, for jpg (default 95, always 4:4:4), webp (default lossless) and avif (default 95; with alpha,
        100, which is lossless); others are lossless.
    format : str
        A key of `aeinfer.file_format.FORMATS`, where the suffix should not decide.

    Returns
    -------
    The kinds of metadata that the format, or this OpenCV, could not carry.

    Raises
    ------
    InputError
        `pixels` is no image, or quality or format is out of range.
    ImageWriteError
        The format cannot hold this depth or alpha, or the disk refused; nothing is left behind.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> write_image("out/grey.png", np.zeros((4, 6), np.uint8))  # doctest: +SKIP
    frozenset()
    """
    cv2 = _cv2()
    target = Path(path)
    name = format_of(target) if format is None else format
    _check(target, pixels, name, quality)
    carried = carried_metadata(target, name)
    picture = Picture(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels, name, metadata or {})
    if "exif" not in carried:
        picture = upright(picture)
    kept = {kind: block for kind, block in picture.metadata.items() if kind in carried}
    _replace(target, _encode(cv2, target, picture.pixels, name, kept, quality))
    return frozenset(picture.metadata) - carried


def _check(target: Path, pixels: Pixels, name: str, quality: int | None) -> None:
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
    if shape[2:] in ((2,), (4,)) and not FORMATS[name].alpha:
        raise ImageWriteError(f"{target}: {name} cannot hold alpha; choose png, webp or tiff, or drop the alpha")


def _encode(
    cv2: Any, target: Path, pixels: Pixels, name: str, metadata: Mapping[str, bytes], quality: int | None
) -> bytes:
    if pixels.shape[2:] == (2,):
        pixels = pixels[:, :, [0, 0, 0, 1]]
    image = _swap(pixels) if pixels.ndim == 3 else np.ascontiguousarray(pixels)
    options = _options(cv2, name, quality, pixels.shape[2:] == (4,))
    blocks = dict(metadata)
    if name == "jpg" and "xmp" in blocks:
        blocks["xmp"] = XMP_HEADER + blocks["xmp"]
    elif name == "png" and "xmp" in blocks:
        blocks["xmp"] += b"\0"  # OpenCV's PNG writer reads on until it meets one
    try:
        if blocks:
            kinds = np.array([getattr(cv2, _METADATA[kind]) for kind in blocks], np.int32)
            arrays = [np.frombuffer(block, np.uint8) for block in blocks.values()]
            done, buffer = cv2.imencodeWithMetadata("." + name, image, kinds, arrays, options)
        else:
            done, buffer = cv2.imencode("." + name, image, options)
    except cv2.error as error:
        raise ImageWriteError(f"{target}: OpenCV cannot encode it as {name} ({error.err})") from None
    if not done or not buffer.size:
        raise ImageWriteError(f"{target}: OpenCV cannot encode {image.shape} {image.dtype} as {name}")
    return bytes(buffer)


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


def _replace(target: Path, data: bytes) -> None:
    """Write beside the target, then rename over it: at any point of it either the old file or the new is there."""
    try:
        write_whole(target, data)
    except OSError as error:
        raise ImageWriteError(f"{target}: cannot be written: {error.strerror}") from error


def caption_strip(caption: str, width: int) -> NDArray[np.uint8]:
    """Draw one line of black text on white, to stand below a picture.

    Parameters
    ----------
    caption : str
        In ASCII, which OpenCV can draw.
    width : int
        The picture's; the strip is wider where the text needs it.

    Returns
    -------
    (H, W, 3) uint8 array.

    Raises
    ------
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> caption_strip("noisy 20.17 dB", 200).shape
    (20, 200, 3)
    """
    cv2 = _cv2()
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, width / 1200)
    (length, height), below = cv2.getTextSize(caption, font, scale, 1)
    strip = np.full((height + below + 6, max(length + 8, width), 3), 255, np.uint8)
    cv2.putText(strip, caption, (4, height + 3), font, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
