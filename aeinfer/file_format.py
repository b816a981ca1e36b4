"""What the bytes of a file say before they are decoded; no pixels, no disk, no cv2."""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from aeinfer.avif import avif_facts
from aeinfer.damage import check_jpeg_scans, check_pnm_length, check_strips
from aeinfer.errors import ImageReadError
from aeinfer.exif import exif_of_page
from aeinfer.formats import FORMATS
from aeinfer.resolution import Resolution, of_tiff
from aeinfer.tiff_tags import Table, read_orientation, read_tables

__all__ = ["EXIF_HEADER", "START", "XMP_HEADER", "FileFacts", "check_start", "inspect", "inspect_pages"]

EXIF_HEADER = b"Exif\0\0"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""What stands before EXIF and XMP in a JPEG segment; other formats hold the bare block."""

START = 256
"""How many bytes tell what a file is."""

JPEG_HEADERS = {
    EXIF_HEADER: "exif",
    XMP_HEADER: "xmp",
    b"http://ns.adobe.com/xmp/extension/\0": "xmp extension",
    b"ICC_PROFILE\0": "icc",
    b"Photoshop 3.0\0": "iptc",
}
"""What blocks of metadata begin with in a JPEG, and their kinds."""


FILM = re.compile(rb"\0\0\0.ftyp", re.DOTALL)
"""What the film begins with that phones hang behind a JPEG, of the moment that it was taken in."""


CANON_RAW = b"\x10\0\0\0CR\2"
"""What a CR2 has from its fourth byte on: a TIFF, whose first page is a preview that does not say so."""


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    `format` is a key of FORMATS, `size` (height, width) in pixels or None, `metadata` the kinds it carries,
    `orientation` what a viewer applies (EXIF's 1 to 8), `grey_alpha` a grey image with alpha,
    `clear_grey` the one grey value that is transparent, `extra` a TIFF's word for its alpha (0: there is none, 1: the
    colours are multiplied by it, 2: they are not), `padded` a BMP whose fourth byte is no alpha, `cmyk` a picture in
    inks, `blocks` the metadata that was read from the file's own bytes, `page` a TIFF's table, `odd_layout` a TIFF that
    OpenCV does not read faithfully and tifffile does, `end` where a JPEG's picture ends.
    """

    format: str
    size: tuple[int, int] | None = None
    metadata: frozenset[str] = frozenset()
    orientation: int = 1
    grey_alpha: bool = False
    clear_grey: int | None = None
    extra: int = 2
    padded: bool = False
    cmyk: bool = False
    blocks: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    page: Table | None = None
    odd_layout: bool = False
    end: int = 0


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
    pages = inspect_pages(data)
    if len(pages) > 1:
        raise ImageReadError(
            f"a TIFF of {len(pages)} pages: only single images are read here; split it first, or call read_pages"
        )
    return pages[0]


def inspect_pages(data: bytes) -> list[FileFacts]:
    """Read a file's own description of each of its pages; all formats but TIFF have one.

    Raises
    ------
    ImageReadError
        As `inspect`, but for several pages.
    """
    check_start(data[:START])
    if TIFF_SIGNATURE.match(data):
        return _tiff(data)
    return [next(reader for signature, reader in READERS if signature.match(data))(data)]


def check_start(start: bytes) -> None:
    """Refuse a file by its first `START` bytes.

    Raises
    ------
    ImageReadError
        It is empty or no image of a known format.
    """
    if not start:
        raise ImageReadError("the file is empty")
    if not any(signature.match(start) for signature in (TIFF_SIGNATURE, *(signature for signature, _ in READERS))):
        raise ImageReadError(f"{_what_else(start)}; expected one of {', '.join(FORMATS)}")


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
    if all(byte in b"\t\n\r\f" or 32 <= byte != 127 for byte in data):
        return f"not an image but text, which starts {data[:24].decode('utf-8', 'replace')!r}"
    return f"not an image of a known format: it starts with the bytes {data[:8].hex(' ')}"


def _truncated(what: str) -> ImageReadError:
    return ImageReadError(f"truncated: {what}")


def _blocks(**blocks: bytes | None) -> Mapping[str, bytes]:
    return MappingProxyType({kind: block for kind, block in blocks.items() if block})


def _png(data: bytes) -> FileFacts:
    height = width = depth = colour = 0
    found: set[str] = set()
    exif, clear, resolution = None, None, None
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
        elif name == b"pHYs" and length == 9:
            unit = "m" if body[8] else "none"
            resolution = Resolution.known(int.from_bytes(body[:4]), int.from_bytes(body[4:8]), unit)
        if kind := _png_kind(name, body):
            found.add(kind)
        at += 12 + length
    if found & {"icc", "cicp", "srgb"}:  # which overrule the others
        found -= {"gamma", "primaries", "srgb"}
    return FileFacts(
        "png",
        (height, width),
        frozenset(found),
        read_orientation(exif),
        colour == 4,
        clear,
        blocks=_blocks(resolution=resolution),
    )


def _png_kind(name: bytes, body: bytes) -> str | None:
    """Name the metadata of a PNG's chunk; None where there is none, or nothing that a result without it would lack."""
    if name in (b"tEXt", b"zTXt", b"iTXt"):
        return PNG_TEXTS.get(body.partition(b"\0")[0], "text")
    if name in SRGB:
        kind, usual = SRGB[name]
        given = (int.from_bytes(body[at : at + 4]) for at in range(0, len(body), 4))
        # encoders round: 45000 for 45455 is a level of 256 at most, and no eye sees such a shift of a primary
        near = all(abs(value - other) <= 500 for value, other in zip(given, usual, strict=False))
        return None if near else kind
    return {b"eXIf": "exif", b"iCCP": "icc", b"cICP": "cicp", b"sRGB": "srgb"}.get(name)


PNG_TEXTS = {
    b"XML:com.adobe.xmp": "xmp",
    b"Raw profile type exif": "exif",
    b"Raw profile type APP1": "exif",
    b"Raw profile type xmp": "xmp",
    b"Raw profile type iptc": "iptc",
    b"Raw profile type 8bim": "iptc",
    # of the file that was read, not of its picture, and untrue of the result: screenshots, plots and all that
    # ImageMagick writes have them, and would neither pass "require" nor "keep" without a word
    b"Software": None,
    b"date:create": None,
    b"date:modify": None,
    b"date:timestamp": None,
}
"""What a PNG's text is by its keyword, where it is other than "text": ImageMagick has blocks as "Raw profile"."""

SRGB = {
    b"gAMA": ("gamma", (45455,)),
    b"cHRM": ("primaries", (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
}
"""What a PNG says of sRGB's light, in 1/100000, as many encoders do: a file that says nothing is taken for sRGB."""


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
    size, found, scan, inks, resolution = None, set(), -1, 0, None
    blocks: dict[str, list[bytes]] = {}
    for marker, end, body in _jpeg_segments(data):
        if marker == 0xDA:
            scan = end
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size, inks = (int.from_bytes(body[1:3]), int.from_bytes(body[3:5])), int.from_bytes(body[5:6])
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            unit = {0: "none", 1: "inch", 2: "cm"}.get(body[7])
            resolution = Resolution.known(int.from_bytes(body[8:10]), int.from_bytes(body[10:12]), unit)
        elif marker == 0xFE:
            found.add("comment")
        elif marker in (0xE1, 0xE2, 0xED):
            for header in (each for each in JPEG_HEADERS if body.startswith(each)):
                blocks.setdefault(JPEG_HEADERS[header], []).append(body.removeprefix(header))
    if scan < 0:
        raise _truncated("the JPEG has no picture")
    end = check_jpeg_scans(data, scan)
    found |= blocks.keys() | {f"second {kind}" for kind in ("exif", "xmp") if len(blocks.get(kind, ())) > 1}
    if data.find(b"\xff\xd8\xff", end) >= 0:
        found.add("second picture")
    if FILM.search(data, end):
        found.add("film")
    exif, xmp = (blocks.get(kind, [b""])[0] for kind in ("exif", "xmp"))
    profile = _joined_profile(blocks.get("icc", []))
    return FileFacts(
        "jpg",
        size,
        frozenset(found),
        read_orientation(exif),
        cmyk=inks == 4,
        blocks=_blocks(exif=exif, xmp=xmp.rstrip(b"\0"), icc=profile, resolution=resolution),
        end=end,
    )


def _joined_profile(pieces: list[bytes]) -> bytes | None:
    """Join the numbered pieces of a JPEG's ICC profile; None where one is missing, or it is of inks, which go."""
    pieces = sorted(pieces)
    numbers, count = [[*piece[:2]] for piece in pieces], len(pieces)
    profile = b"".join(piece[2:] for piece in pieces)
    whole = numbers == [[number, count] for number in range(1, count + 1)]
    return profile if whole and profile[16:20] != b"CMYK" else None


def _webp(data: bytes) -> FileFacts:
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise _truncated("the WebP is shorter than its header says")
    found: set[str] = set()
    sizes: list[tuple[int, int]] = []
    exif = None
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"ANIM", b"ANMF"):
            raise ImageReadError("an animated WebP: only still images are denoised")
        if name in (b"VP8X", b"VP8L", b"VP8 "):
            sizes.append(_webp_size(name, data[at + 8 : at + 18]))
        if name == b"EXIF":
            exif = data[at + 8 : at + 8 + length].removeprefix(EXIF_HEADER)
        if name in (b"EXIF", b"XMP ", b"ICCP"):
            found.add({b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "icc"}[name])
        at += 8 + length + length % 2
    if not sizes:
        raise ImageReadError("damaged: the WebP holds no picture")
    return FileFacts("webp", max(sizes, key=_area), frozenset(found), read_orientation(exif))


def _webp_size(name: bytes, head: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        return 1 + int.from_bytes(head[7:10], "little"), 1 + int.from_bytes(head[4:7], "little")
    if name == b"VP8L":
        packed = int.from_bytes(head[1:5], "little")
        return 1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF)
    return int.from_bytes(head[8:10], "little") & 0x3FFF, int.from_bytes(head[6:8], "little") & 0x3FFF


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _tiff(data: bytes) -> list[FileFacts]:
    try:
        tables = read_tables(data)
    except ValueError as error:
        raise _truncated(str(error)) from None
    pages = [table for table in tables if not table.first(254, 0) & 1]  # bit 0: a reduced copy
    if not pages or pages[0] is not tables[0] or data.startswith(CANON_RAW, 4):
        raise ImageReadError("a camera's raw file, not a finished image: develop it to tiff or png first")
    return [_tiff_page(data, page) for page in pages]


def _tiff_page(data: bytes, page: Table) -> FileFacts:
    bits, samples, photometric = page.first(258, 1), page.first(277, 1), page.first(262, 1)
    planar = page.first(284, 1) == 2 and samples > 1
    known = photometric in (0, 1, 2, 3, 6) and not (photometric == 0 and bits > 8)
    if photometric == 3 and bits == 1:  # OpenCV makes its two colours grey
        red, green, blue = (page[320].values[at : at + 2] if 320 in page else () for at in (0, 2, 4))
        known = red == green == blue
    if samples not in (1, 2, 3, 4) or not known or (samples == 2 and photometric != 1):
        raise ImageReadError(
            f"a TIFF of {samples} samples a pixel of {bits} bits, photometric interpretation {photometric}, is not "
            "read faithfully; expected grey, RGB or RGBA (save it as png, or as such a tiff)"
        )
    size = (page.first(257, 0), page.first(256, 0))
    check_strips(data, page, size[0] * size[1] * max(bits, 8) * page.first(277, 1) // 8)
    kinds = {34665: "exif", 34853: "exif", 700: "xmp", 34675: "icc", 37724: "layers"}
    return FileFacts(
        "tiff",
        size,
        frozenset(kind for number, kind in kinds.items() if number in page),
        page.first(274, 1) if 1 <= page.first(274, 1) <= 8 else 1,
        extra=page.first(338, 0),
        blocks=_blocks(
            exif=exif_of_page(data, page),
            xmp=page[700].raw.rstrip(b"\0") if 700 in page else None,
            icc=page[34675].raw if 34675 in page else None,
            resolution=of_tiff(page),
        ),
        page=page,
        odd_layout=samples == 2 or (planar and (bits > 8 or (322 in page and page.first(259, 1) == 1))),
    )


def _bmp(data: bytes) -> FileFacts:
    head, bits, packing = (int.from_bytes(data[at:end], "little") for at, end in ((14, 18), (28, 30), (30, 34)))
    if head == 12:
        raise ImageReadError("a BMP of OS/2, which OpenCV does not read faithfully (save it as png)")
    alpha = _bmp_alpha(data, head) if packing == 3 else 0
    if bits == 16 or alpha is None:
        raise ImageReadError("a BMP whose channels are not of 8 bits in the usual order is not read: save it as png")
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    across, down = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (38, 42))
    known = len(data) >= 46 and data[14] >= 40
    resolution = Resolution.known(across, down, "m") if known else None
    profile = head >= 124 and data[70:74] in (b"DEBM", b"KNIL")  # embedded, or in a file of its own
    return FileFacts(
        "bmp",
        (abs(height), width),
        frozenset({"icc"} if profile else ()),
        padded=not alpha,
        blocks=_blocks(resolution=resolution),
    )


def _bmp_alpha(data: bytes, head: int) -> int | None:
    """Return the mask of a BMP's alpha, 0 where it has none; None where its masks are other than OpenCV reads."""
    *colours, alpha = (int.from_bytes(data[at : at + 4], "little") for at in (54, 58, 62, 66))
    alpha = alpha if head >= 56 else 0
    whole = {0xFF << shift for shift in (0, 8, 16, 24)}
    # OpenCV looks for masks in the header alone, and takes the usual ones where it is too short for alpha's
    known = whole.issuperset(colours) if head >= 56 else colours == [0xFF0000, 0xFF00, 0xFF]
    return alpha if known and alpha in {0, *whole} else None


PNM_HEADER = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:(?:\s|#[^\n]*\n)+(\d+))?")


def _pnm(data: bytes) -> FileFacts:
    head = PNM_HEADER.match(data[: 1 << 16])
    bitmap = data[1:2] in (b"1", b"4")
    if head is None or (head[4] is None and not bitmap):
        raise _truncated("the PNM's header is incomplete")
    kind, width, height = int(head[1]), int(head[2][:12]), int(head[3][:12])
    most = 1 if bitmap else int(head[4][:12])
    if most not in (1 if bitmap else 255, 65535):
        raise ImageReadError(f"a PNM whose largest value is {most} is not read; expected 255 or 65535")
    end = check_pnm_length(data, head.end(3 if bitmap else 4), kind, height, width, 2 if most > 255 else 1)
    if PNM_HEADER.match(data, end):
        raise ImageReadError("a PNM of several images: only single images are read; split it first")
    return FileFacts("pnm", (height, width))


def _avif(data: bytes) -> FileFacts:
    facts = avif_facts(data)
    return FileFacts("avif", facts.size, facts.metadata, facts.orientation, blocks=_blocks(**facts.blocks))


READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], FileFacts]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"BM.{16}", re.DOTALL), _bmp),
    (re.compile(rb"....ftyp(avi[fs]|.{8,64}?avif)", re.DOTALL), _avif),
    (re.compile(rb"P[1-6][\s#]"), _pnm),
)
TIFF_SIGNATURE = re.compile(rb"II[*+]\0|MM\0[*+]")
