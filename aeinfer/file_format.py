"""What the bytes of a file say before they are decoded; no pixels, no disk, no cv2."""

import re
from collections.abc import Callable

from aeinfer.avif import avif_facts
from aeinfer.damage import check_pnm_length, check_strips
from aeinfer.errors import ImageReadError
from aeinfer.exif import exif_of_page
from aeinfer.file_facts import FileFacts, present, truncated
from aeinfer.formats import FORMATS
from aeinfer.jpeg import EXIF_HEADER, jpeg_facts
from aeinfer.png import png_facts
from aeinfer.resolution import Resolution, of_tiff
from aeinfer.tiff_tags import Table, read_orientation, read_tables

__all__ = ["START", "check_start", "inspect", "inspect_pages"]

START = 256
"""How many bytes tell what a file is."""

CANON_RAW = b"\x10\0\0\0CR\2"
"""What a CR2 has from its fourth byte on: a TIFF, whose first page is a preview that does not say so."""


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


def _webp(data: bytes) -> FileFacts:
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise truncated("the WebP is shorter than its header says")
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
        raise truncated(str(error)) from None
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
        blocks=present(
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
        blocks=present(resolution=resolution),
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
        raise truncated("the PNM's header is incomplete")
    kind, width, height = int(head[1]), int(head[2][:12]), int(head[3][:12])
    most = 1 if bitmap else int(head[4][:12])
    if most not in (1 if bitmap else 255, 65535):
        raise ImageReadError(f"a PNM whose largest value is {most} is not read; expected 255 or 65535")
    end = check_pnm_length(data, head.end(3 if bitmap else 4), kind, height, width, 2 if most > 255 else 1)
    if PNM_HEADER.match(data, end):
        raise ImageReadError("a PNM of several images: only single images are read; split it first")
    return FileFacts("pnm", (height, width))


READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], FileFacts]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), png_facts),
    (re.compile(rb"\xff\xd8\xff"), jpeg_facts),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"BM.{16}", re.DOTALL), _bmp),
    (re.compile(rb"....ftyp(avi[fs]|.{8,64}?avif)", re.DOTALL), avif_facts),
    (re.compile(rb"P[1-6][\s#]"), _pnm),
)
TIFF_SIGNATURE = re.compile(rb"II[*+]\0|MM\0[*+]")
