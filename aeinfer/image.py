"""Image files to arrays and back, with depth, alpha and metadata kept; knows no model, no folder and no codec.

Arrays are RGB wherever they have colour.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aeinfer import tiff
from aeinfer.atomic import write_whole
from aeinfer.codec import check_depth, decode, encode
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.file_facts import FileFacts
from aeinfer.file_format import START, check_packed, check_start, inspect, inspect_pages
from aeinfer.formats import ALPHA, FORMATS, check_writable, format_of
from aeinfer.opencv import has_metadata, load_opencv
from aeinfer.picture import Picture, Pixels, split_alpha, straight, turn, upright
from aeinfer.tiff_tags import read_orientation

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "carried_metadata",
    "check_pages",
    "read_image",
    "read_pages",
    "write_image",
    "write_pages",
]

MAX_PIXELS = 1 << 28
"""How many pixels a file may claim unless the caller says otherwise: 16384 x 16384, 0.8 GB of 8-bit RGB.

A few kilobytes can claim more than any memory holds; the largest cameras give half of this.
"""

PIXELS_A_BYTE = 64
"""How many pixels a byte may stand for in a file whose pages have more than the limit together.

Stacks of a microscope, hardly compressed, have one or two, scanned pages in JPEG ten or twenty; a thousand pages may
share the pixels of one.
"""

OPENCV_PIXELS = 1 << 30
"""OpenCV's own limit, which its environment variable OPENCV_IO_MAX_IMAGE_PIXELS raises."""


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read one still image with its depth, alpha and metadata.

    Pixels are not rotated while the EXIF block that says how to is kept; where it cannot be kept they are set upright.

    Parameters
    ----------
    path : path
        A file of one of the formats of `formats.SUFFIXES`; its content decides, not its name.
    max_pixels : int
        A file whose header claims more is refused before it is decoded. OpenCV refuses more than 2^30 in any case,
        unless its environment variable OPENCV_IO_MAX_IMAGE_PIXELS allows it.

    Raises
    ------
    ImageReadError
        The file is missing, empty, no image, cut short, damaged, animated or of several pages, larger than the limit,
        or of a depth other than uint8, uint16 and float32.
    MemoryError
        There is too little memory for its pixels.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> picture = read_image("examples/noisy/one.png")  # doctest: +SKIP
    >>> picture.pixels.shape, picture.pixels.dtype  # doctest: +SKIP
    ((480, 640, 3), dtype('uint8'))
    """
    load_opencv()  # before the file is looked at
    with _naming(path):
        data = _read_bytes(path)
        return _read_page(data, inspect(data), max_pixels)


def read_pages(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Iterator[Picture]:
    """Read the pages of a TIFF one by one, each with its own shape, depth and metadata; of other formats, the image.

    Parameters
    ----------
    path : path
        As in `read_image`.
    max_pixels : int
        For each page; and for all pages together where the file has less than a byte for 64 of their pixels.

    Raises
    ------
    ImageReadError
        As in `read_image`, but for several pages.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> [page.pixels.shape for page in read_pages("scan.tiff")]  # doctest: +SKIP
    [(480, 640, 3), (480, 640)]
    """
    load_opencv()  # before the file is looked at
    with _naming(path):
        data = _read_bytes(path)
        pages = inspect_pages(data)
        _check_together(data, pages, max_pixels)
    several = len(pages) > 1
    spare = bytearray(data) if several else None
    for number, facts in enumerate(pages, 1):
        with _naming(f"{path}, page {number}" if several else path):
            picture = _read_page(data, facts, max_pixels, spare)
        yield picture


@contextmanager
def _naming(file: str | os.PathLike[str]) -> Iterator[None]:
    """Begin what is said of a file with its name."""
    try:
        yield
    except ImageReadError as error:
        raise ImageReadError(f"{file}: {error}") from error.__cause__


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        with Path(path).open("rb", buffering=0) as file:
            if file.seekable():  # what is no image may be a film, or without an end
                check_start(file.read(START))
                file.seek(0)
            return file.readall()
    except ImageReadError:  # which is an OSError too
        raise
    except FileNotFoundError:
        raise ImageReadError("no such file") from None
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror}") from error


def _check_together(data: bytes, pages: Sequence[FileFacts], max_pixels: int) -> None:
    """Refuse a small file of many large pages, whose results no memory holds."""
    together = sum(math.prod(facts.size or (0,)) for facts in pages)
    if len(pages) > 1 and together > max(max_pixels, PIXELS_A_BYTE * len(data)):
        raise ImageReadError(
            f"its {len(pages)} pages have {together} pixels, which is more than the limit of {max_pixels}, in "
            f"{len(data)} bytes; give a larger limit if that is right"
        )


def _read_page(data: bytes, facts: FileFacts, max_pixels: int, spare: bytearray | None = None) -> Picture:
    height, width = facts.size or (0, 0)
    if height * width <= 0:
        raise ImageReadError(f"damaged: the {facts.format} does not say how large it is")
    if height * width > max_pixels:
        raise ImageReadError(
            f"{width} x {height} is more than the limit of {max_pixels} pixels; give a larger limit if that is right"
        )
    if height * width > _opencv_pixels():
        raise ImageReadError(
            f"{width} x {height} is more than OpenCV reads; set OPENCV_IO_MAX_IMAGE_PIXELS in the environment to more"
        )
    check_packed(data, facts)
    if facts.odd_layout and facts.page:
        pixels = turn(tiff.decode(data, facts.page.offset), facts.orientation)
        check_depth(pixels, facts)
        return _agree(pixels, {}, facts)
    return _agree(*decode(data, facts, spare), facts)


def _opencv_pixels() -> int:
    """Return OpenCV's own limit, whose variable may count in KB or MB; what else it holds is for OpenCV to refuse."""
    told = re.fullmatch(r"(\d+)(KB|MB)?", os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", "").upper())
    return int(told[1]) << {None: 0, "KB": 10, "MB": 20}[told[2]] if told else OPENCV_PIXELS


def _agree(pixels: Pixels, metadata: dict[str, bytes], facts: FileFacts) -> Picture:
    """Make pixels and the EXIF block that is kept show the picture as the file's own viewer would."""
    metadata = {**metadata, **facts.blocks}
    lost = set(facts.metadata - metadata.keys())
    if facts.extra in ALPHA and split_alpha(pixels)[1] is not None:
        metadata[ALPHA[facts.extra]] = b"1"
    if facts.cmyk:
        lost.add("cmyk")
    picture = Picture(pixels, facts.format, metadata, frozenset(lost))
    if facts.format == "tiff" or facts.orientation == read_orientation(metadata.get("exif")):
        return picture  # OpenCV turns TIFF itself
    return replace(upright(picture), pixels=turn(pixels, facts.orientation))


def carried_metadata(path: str | os.PathLike[str], format: str | None = None) -> frozenset[str]:
    """Name the kinds of metadata that a file of this name or format gets when this install writes it.

    TIFF needs tifffile; "exif", "xmp", "icc" and "cicp" in other formats need OpenCV 5.

    Raises
    ------
    ImageWriteError
        No format has this suffix.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> sorted(carried_metadata("scan.bmp"))
    ['resolution']
    """
    name = format_of(path) if format is None else format
    known = FORMATS[name].metadata
    if name == "tiff":
        return known if tiff.available() else frozenset()
    return known if has_metadata() else known & {"resolution"}


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
        Grey, grey + alpha (written as RGBA, but for TIFF through tifffile), RGB or RGBA.
    metadata : mapping of str to bytes
        As in `Picture.metadata`. Pixels are set upright where the format cannot carry their EXIF, and divided by their
        alpha where it cannot carry that they are "premultiplied".
    quality : int
        1 to 100, for jpg (default 95, always 4:4:4), webp (default lossless) and avif (default 95; with alpha,
        100, which is lossless); others are lossless.
    format : str
        A key of `aeinfer.formats.FORMATS`, where the suffix should not decide.

    Returns
    -------
    The kinds of metadata that the format, or this install, could not carry.

    Raises
    ------
    InputError
        `pixels` is no image, quality or format is out of range, or a resolution is none.
    ImageWriteError
        The format cannot hold this depth or alpha, or the disk refused; nothing is left behind.
    MemoryError
        There is too little memory for another copy of the pixels.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> write_image("out/grey.png", np.zeros((4, 6), np.uint8))  # doctest: +SKIP
    frozenset()
    """
    return write_pages(path, [Picture(pixels, "", metadata or {})], quality=quality, format=format)


def write_pages(
    path: str | os.PathLike[str],
    pictures: Iterable[Picture],
    *,
    quality: int | None = None,
    format: str | None = None,
) -> frozenset[str]:
    """Write several pages into one TIFF, whole or not at all; one page into any format.

    Parameters
    ----------
    path : path
        As in `write_image`.
    pictures : iterable of Picture
        Pixels and metadata of each page; shapes and dtypes may differ. Their `format` does not matter.
    quality, format
        As in `write_image`.

    Returns
    -------
    The kinds of metadata that the format, or this install, could not carry for some page.

    Raises
    ------
    InputError
        There is no page, or as in `write_image`.
    ImageWriteError
        Several pages for another format, or without tifffile; or as in `write_image`.
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> write_pages("out.tiff", read_pages("scan.tiff"))  # doctest: +SKIP
    frozenset()
    """
    target = Path(path)
    name = format_of(target) if format is None else format
    pages = list(pictures)
    check_pages(target, pages, quality=quality, format=name)
    return _write(target, pages, name, quality)


def check_pages(
    path: str | os.PathLike[str], pages: Sequence[Picture], *, quality: int | None = None, format: str | None = None
) -> None:
    """Refuse what `write_pages` would refuse but for the disk, which is worth knowing before long work on it.

    Raises
    ------
    InputError, ImageWriteError
        As `write_pages`.

    Examples
    --------
    >>> check_pages("out.png", [Picture(np.zeros((4, 6), np.uint16), "png")])  # doctest: +SKIP
    """
    target = Path(path)
    name = format_of(target) if format is None else format
    if not pages:
        raise InputError("there is no page to write")
    if len(pages) > 1 and name != "tiff":
        raise ImageWriteError(f"{target}: {name} cannot hold {len(pages)} pages; choose tiff, or one file a page")
    if len(pages) > 1 and not tiff.available():
        raise ImageWriteError(f'{target}: several pages are written by tifffile: pip install "aeinfer[tiff]"')
    for page in pages:
        check_writable(target, page.pixels, name, quality)


def _write(target: Path, pages: list[Picture], name: str, quality: int | None) -> frozenset[str]:
    carried = carried_metadata(target, name)
    ready, lost = [], frozenset[str]()
    for page in pages:
        picture = replace(page, pixels=page.pixels[:, :, 0]) if page.pixels.shape[2:] == (1,) else page
        if "exif" not in carried:
            picture = upright(picture)
        if "premultiplied" not in carried:
            picture = straight(picture)
        kept = {kind: block for kind, block in picture.metadata.items() if kind in carried}
        lost |= picture.metadata.keys() - kept
        ready.append(replace(picture, metadata=kept))
    if name == "tiff" and tiff.available():
        data, damaged = tiff.encode(ready)
        lost |= damaged
    else:
        data, refused = _encode(target, ready[0], name, quality)
        lost |= refused
    try:
        write_whole(target, data)
    except OSError as error:
        raise ImageWriteError(f"{target}: cannot be written: {error.strerror}") from error
    return lost


def _encode(target: Path, picture: Picture, name: str, quality: int | None) -> tuple[bytes, frozenset[str]]:
    """Encode; without the blocks that a format will not have: those that are damaged, a profile of other channels."""
    kinds = sorted(picture.metadata)
    for refused in ([], *([kind] for kind in kinds), kinds):
        kept = {kind: block for kind, block in picture.metadata.items() if kind not in refused}
        try:
            return encode(picture.pixels, name, kept, quality), frozenset(refused)
        except ImageWriteError as error:
            failure = error
    raise ImageWriteError(f"{target}: {failure}")
