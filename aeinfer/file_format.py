"""What image formats can hold, and what the bytes of a file say before they are decoded; no pixels, no disk, no cv2."""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aeinfer.errors import ImageReadError
from aeinfer.tiff_tags import Tag, read_orientation, read_tables

__all__ = ["EXIF_HEADER", "FORMATS", "XMP_HEADER", "FileFacts", "Format", "inspect"]

EXIF_HEADER = b"Exif\0\0"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""What stands before EXIF and XMP in a JPEG segment; other formats hold the bare block."""


@dataclass(frozen=True)
class Format:
    """What one format can hold when OpenCV writes it."""

    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    alpha: bool
    metadata: frozenset[str] = frozenset()


FORMATS = {
    "png": Format((".png",), ("uint8", "uint16"), True, frozenset({"exif", "xmp", "icc", "cicp"})),
    "jpg": Format((".jpg", ".jpeg", ".jpe"), ("uint8",), False, frozenset({"exif", "xmp", "icc"})),
    "webp": Format((".webp",), ("uint8",), True, frozenset({"exif", "xmp", "icc"})),
    "tiff": Format((".tiff", ".tif"), ("uint8", "uint16", "float32"), True),
    "bmp": Format((".bmp", ".dib"), ("uint8",), True),
    "avif": Format((".avif",), ("uint8",), True, frozenset({"exif", "xmp", "icc"})),
}


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    `format` is a key of FORMATS, `size` (height, width) in pixels or None, `metadata` the kinds it carries,
    `orientation` what a viewer applies (EXIF's 1 to 8), `grey_alpha` a grey image with alpha,
    `clear_grey` the one grey value that is transparent, `straight_alpha` a TIFF whose colours are not premultiplied.
    """

    format: str
    size: tuple[int, int] | None = None
    metadata: frozenset[str] = frozenset()
    orientation: int = 1
    grey_alpha: bool = False
    clear_grey: int | None = None
    straight_alpha: bool = False


def inspect(data: bytes) -> FileFacts:
    """Read a file's own description of itself.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    ImageReadError
        It is empty, no image, cut short, has several pages or frames, or holds what cannot be carried faithfully.
        The message does not name the file.

    Examples
    --------
    >>> inspect(b"BM" + bytes(16) + (3).to_bytes(4, "little") + (2).to_bytes(4, "little")).size
    (2, 3)
    """
    if not data:
        raise ImageReadError("the file is empty")
    for signature, reader in READERS:
        if signature.match(data):
            return reader(data)
    raise ImageReadError(f"{_what_else(data)}; expected one of {', '.join(FORMATS)}")


def _what_else(data: bytes) -> str:
    known = {
        rb"version https://git-lfs": "a Git LFS pointer instead of the image (run `git lfs pull`)",
        rb"GIF8": "a GIF, which is not read (save it as png)",
        rb"....ftyp(heic|heix|mif1|msf1)": "a HEIC picture, which is not read (save it as png or jpg)",
        rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture, which is not read (save it as png or jpg)",
        rb"%PDF": "a PDF, not an image",
    }
    for pattern, name in known.items():
        if re.match(pattern, data, re.DOTALL):
            return name
    sample = data[:256]
    if all(byte in b"\t\n\r\f" or 32 <= byte != 127 for byte in sample):
        return f"not an image but text, which starts {sample[:24].decode('utf-8', 'replace')!r}"
    return f"not an image of a known format: it starts with the bytes {sample[:8].hex(' ')}"


def _truncated(what: str) -> ImageReadError:
    return ImageReadError(f"truncated: {what}")


def _png(data: bytes) -> FileFacts:
    kinds = {b"eXIf": "exif", b"iCCP": "icc", b"cICP": "cicp"}
    height = width = depth = colour = 0
    found: set[str] = set()
    exif, clear = None, None
    at, name = 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if at + 12 + length > len(data):
            raise _truncated("the PNG ends before its IEND chunk")
        checksum = zlib.crc32(memoryview(data)[at + 4 : at + 8 + length])
        if name[:1].isupper() and checksum != int.from_bytes(data[at + 8 + length : at + 12 + length]):
            raise ImageReadError(f"damaged: the PNG's {name.decode('latin-1')} chunk does not match its checksum")
        body = data[at + 8 : at + 8 + min(length, 1 << 20)]
        if name == b"IHDR" and length == 13:
            width, height = int.from_bytes(body[:4]), int.from_bytes(body[4:8])
            depth, colour = body[8], body[9]
        elif name == b"acTL" and int.from_bytes(body[:4]) > 1:
            raise ImageReadError("an animated PNG: only still images are denoised")
        elif name == b"tRNS" and colour == 0 and depth:
            clear = int.from_bytes(body[:2]) * (255 // (2**depth - 1) if depth < 8 else 1)
        elif name == b"eXIf":
            exif = body
        if name in kinds or body.startswith(b"XML:com.adobe.xmp\0"):
            found.add(kinds.get(name, "xmp"))
        at += 12 + length
    return FileFacts("png", (height, width), frozenset(found), read_orientation(exif), colour == 4, clear)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (marker, offset behind the segment, body) up to the first scan; segments hold thumbnails of their own."""
    at = 2
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1] if at + 1 < len(data) else 0
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end <= at + 2 or end > len(data):
            return
        yield marker, end, data[at + 4 : end]
        if marker == 0xDA:
            return
        at = end


def _jpeg(data: bytes) -> FileFacts:
    kinds = {EXIF_HEADER: "exif", XMP_HEADER: "xmp", b"ICC_PROFILE\0": "icc"}
    size, found, exif, scan = None, set(), None, -1
    for marker, end, body in _jpeg_segments(data):
        if marker == 0xDA:
            scan = end
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = (int.from_bytes(body[1:3]), int.from_bytes(body[3:5]))
        elif marker in (0xE1, 0xE2):
            found |= {kind for header, kind in kinds.items() if body.startswith(header)}
            if body.startswith(EXIF_HEADER):
                exif = exif or body.removeprefix(EXIF_HEADER)
    if scan < 0 or data.find(b"\xff\xd9", scan) < 0:
        raise _truncated("the JPEG has no end-of-image marker")
    return FileFacts("jpg", size, frozenset(found), read_orientation(exif))


def _webp(data: bytes) -> FileFacts:
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise _truncated("the WebP is shorter than its header says")
    found: set[str] = set()
    exif = None
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"ANIM", b"ANMF"):
            raise ImageReadError("an animated WebP: only still images are denoised")
        if name == b"EXIF":
            exif = data[at + 8 : at + 8 + length].removeprefix(EXIF_HEADER)
        if name in (b"EXIF", b"XMP ", b"ICCP"):
            found.add({b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "icc"}[name])
        at += 8 + length + length % 2
    return FileFacts("webp", None, frozenset(found), read_orientation(exif))


def _tiff(data: bytes) -> FileFacts:
    try:
        tables = read_tables(data)
    except ValueError as error:
        raise _truncated(str(error)) from None
    pages = [table for table in tables if not _value(table, 254, 0) & 1]  # bit 0: a reduced copy
    if not pages or pages[0] is not tables[0]:
        raise ImageReadError("a camera's raw file, not a finished image: develop it to tiff or png first")
    if len(pages) > 1:
        raise ImageReadError(f"a TIFF of {len(pages)} pages: only single images are denoised; split it first")
    page = pages[0]
    bits, samples, photometric = _value(page, 258, 1), _value(page, 277, 1), _value(page, 262, 1)
    if samples not in (1, 3, 4) or photometric not in (0, 1, 2, 3, 6) or (photometric == 0 and bits > 8):
        raise ImageReadError(
            f"a TIFF of {samples} samples a pixel of {bits} bits, photometric interpretation {photometric}, is not "
            "read faithfully; expected grey, RGB or RGBA (save it as png, or as such a tiff)"
        )
    for offsets, lengths in ((273, 279), (324, 325)):
        if offsets in page and lengths in page:
            ends = map(sum, zip(page[offsets].values, page[lengths].values, strict=False))
            if max(ends, default=0) > len(data):
                raise _truncated("the TIFF's pixels lie beyond its end")
    kinds = {34665: "exif", 700: "xmp", 34675: "icc"}
    return FileFacts(
        "tiff",
        (_value(page, 257, 0), _value(page, 256, 0)),
        frozenset(kind for number, kind in kinds.items() if number in page),
        straight_alpha=_value(page, 338, 0) == 2,
    )


def _value(table: dict[int, Tag], number: int, default: int) -> int:
    values = table[number].values if number in table else ()
    return values[0] if values else default


def _bmp(data: bytes) -> FileFacts:
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return FileFacts("bmp", (abs(height), width))


def _avif(data: bytes) -> FileFacts:
    meta = b""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        length = {0: len(data) - at, 1: int.from_bytes(data[at + 8 : at + 16])}.get(length, length)
        if length < 8 or at + length > len(data):
            raise _truncated("the AVIF ends inside a box")
        if data[at + 4 : at + 8] == b"meta":
            meta = data[at : at + length]
        at += length
    if data[8:12] == b"avis":
        raise ImageReadError("an animated AVIF: only still images are denoised")
    marks = {"exif": rb"infe.{8}Exif", "xmp": rb"application/rdf\+xml", "icc": rb"colr(prof|rICC)"}
    turn, mirror = (re.search(rb"\0\0\0\x09" + name + rb"(.)", meta, re.DOTALL) for name in (b"irot", b"imir"))
    shown = (turn[1][0] & 3 if turn else 0, mirror[1][0] & 1 if mirror else None)
    found = frozenset(kind for kind, mark in marks.items() if re.search(mark, meta, re.DOTALL))
    return FileFacts("avif", None, found, AVIF_ORIENTATIONS[shown])


AVIF_ORIENTATIONS = {
    (0, None): 1, (0, 1): 2, (2, None): 3, (0, 0): 4, (1, 0): 5, (3, None): 6, (3, 0): 7, (1, None): 8,
    (2, 0): 2, (2, 1): 4, (3, 1): 5, (1, 1): 7,
}  # fmt: skip
"""(quarter turns anticlockwise, then mirror axis) of AVIF's irot and imir boxes as EXIF's orientation."""

READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], FileFacts]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"BM.{16}", re.DOTALL), _bmp),
    (re.compile(rb"....ftyp(avi[fs]|.{8,64}?avif)", re.DOTALL), _avif),
)
