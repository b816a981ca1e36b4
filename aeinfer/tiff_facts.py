"""What the tags of a TIFF say of each of its pages; no pixels, no disk."""

import math
import re

from aeinfer.damage import check_strips
from aeinfer.errors import ImageReadError
from aeinfer.exif import exif_of_page
from aeinfer.file_facts import FileFacts, present, truncated
from aeinfer.resolution import of_tiff
from aeinfer.tiff_tags import Table, TagNumber, read_tables

__all__ = ["check_page", "tiff_facts"]

CANON_RAW = b"\x10\0\0\0CR\2"
"""What a CR2 has from its fourth byte on: a TIFF, whose first page is a preview that does not say so."""
IMAGEJ_STACK = re.compile(rb"ImageJ=.*^images=(\d{1,18})", re.DOTALL | re.MULTILINE)
"""How many images lie behind ImageJ's first table; beyond 4 GB it writes no other.

Of a longer number the first digits, which are as absurd: int() refuses thousands of them.
"""
TIFFFILE_STACK = re.compile(rb'{"shape": .*"truncated": true')
"""What tifffile says of a stack that it wrote so."""


def tiff_facts(data: bytes) -> list[FileFacts]:
    """Read the tags of each page of a TIFF; reduced copies of a page are left out.

    Raises
    ------
    ImageReadError
        It is cut short, a camera's raw file, or a page is of a kind that is not read faithfully.
    """
    try:
        tables = read_tables(data)
    except ValueError as error:
        raise truncated(str(error)) from None
    if not tables:
        raise truncated("the TIFF has no page")
    pages = [table for table in tables if not table.first(TagNumber.SUBFILE, 0) & 1]  # bit 0: a reduced copy
    if not pages or pages[0] is not tables[0] or data.startswith(CANON_RAW, 4):
        raise ImageReadError("a camera's raw file, not a finished image: develop it to tiff or png first")
    if len(tables) == 1:
        _check_alone(data, pages[0])
    return [_tiff_page(data, page) for page in pages]


def check_page(data: bytes, page: Table) -> None:
    """Refuse a page whose pixels are not all there; to be called for a size that is allowed: it unpacks them.

    Raises
    ------
    ImageReadError
        It is truncated or damaged.
    """
    check_strips(data, page, _bytes_of(page))


def _check_alone(data: bytes, page: Table) -> None:
    """Refuse a stack whose images lie one behind the other after the tags of its first: the others would be lost."""
    said = page[TagNumber.DESCRIPTION].raw if TagNumber.DESCRIPTION in page else b""
    count = int(match[1]) if (match := IMAGEJ_STACK.match(said)) else 1
    room = len(data) - page.first(TagNumber.STRIP_OFFSETS, 0)
    if TIFFFILE_STACK.match(said) or 1 < count <= room // max(1, _bytes_of(page)):
        raise ImageReadError(
            "a stack with tags for its first image alone, as ImageJ writes it beyond 4 GB; give each image a page: "
            "tifffile.imwrite(new, tifffile.imread(old), photometric='minisblack') does"
        )


def _bytes_of(page: Table) -> int:
    """How many bytes the pixels of a page take, unpacked to whole bytes."""
    sizes = page.first(TagNumber.LENGTH, 0), page.first(TagNumber.WIDTH, 0), page.first(TagNumber.SAMPLES, 1)
    return math.prod(sizes) * max(page.first(TagNumber.BITS, 1), 8) // 8


def _tiff_page(data: bytes, page: Table) -> FileFacts:
    bits, samples, photometric = (
        page.first(number, 1) for number in (TagNumber.BITS, TagNumber.SAMPLES, TagNumber.PHOTOMETRIC)
    )
    planar = page.first(TagNumber.PLANAR, 1) == 2 and samples > 1
    known = photometric in (0, 1, 2, 3, 6) and not (photometric == 0 and bits > 8)
    if photometric == 3 and bits == 1:  # OpenCV makes its two colours grey
        colours = page[TagNumber.COLOR_MAP].values if TagNumber.COLOR_MAP in page else ()
        known = colours[:2] == colours[2:4] == colours[4:6]
    grey = photometric < 2  # of which OpenCV reads one sample and drops the others
    if samples not in (1, 2, 3, 4) or not known or (samples == 2 and photometric != 1) or (samples > 2 and grey):
        raise ImageReadError(
            f"a TIFF of {samples} samples a pixel of {bits} bits, photometric interpretation {photometric}, is not "
            "read faithfully; expected grey, RGB or RGBA (save it as png, or as such a tiff; channels as pages)"
        )
    raw_tiles = TagNumber.TILE_WIDTH in page and page.first(TagNumber.COMPRESSION, 1) == 1
    orientation = page.first(TagNumber.ORIENTATION, 1)
    size = (page.first(TagNumber.LENGTH, 0), page.first(TagNumber.WIDTH, 0))
    kinds = {
        TagNumber.EXIF: "exif",
        TagNumber.GPS: "exif",
        TagNumber.XMP: "xmp",
        TagNumber.ICC_PROFILE: "icc",
        TagNumber.LAYERS: "layers",
    }
    return FileFacts(
        "tiff",
        size,
        frozenset(kind for number, kind in kinds.items() if number in page),
        orientation if 1 <= orientation <= 8 else 1,
        extra=page.first(TagNumber.EXTRA_SAMPLES, 0),
        blocks=present(
            exif=exif_of_page(data, page),
            xmp=page[TagNumber.XMP].raw.rstrip(b"\0") if TagNumber.XMP in page else None,
            icc=page[TagNumber.ICC_PROFILE].raw if TagNumber.ICC_PROFILE in page else None,
            resolution=of_tiff(page),
        ),
        page=page,
        odd_layout=samples == 2 or (planar and (bits > 8 or raw_tiles)),
    )
