"""Damage that decoders pass over: coded data that end early or do not check; looks at bytes, decodes no pixels.

What it cannot see: flipped bits in a JPEG that still make as many blocks, in an uncompressed TIFF, or in one packed by
LZW. Nothing in such files says what was there.
"""

import re
import zlib

from aeinfer.errors import ImageReadError
from aeinfer.tiff_tags import Table, TagNumber

__all__ = ["check_jpeg_scans", "check_strips", "with_filler"]

MARKER = re.compile(rb"\xff([^\x00\xff])")
"""With one of the ff that may stand before it: all of them would take the square of the time in erased flash memory."""
MOST_SCANS = 500
"""Progressive JPEGs have ten or so; each takes a decoder through the whole picture, and needs a hundred bytes."""
FILLER = bytes((index * 37 + index // 5) % 251 for index in range(4096))
"""Bytes that a JPEG decoder takes for blocks of a picture, and none for a marker."""

PIECE = 1 << 20
"""Bytes of a strip that are unpacked at once, and given to be: what is left of them is copied each time."""


def check_jpeg_scans(data: bytes, start: int) -> int:
    """Refuse a JPEG without an end, of too many scans, or with markers that are out of turn or not a JPEG's.

    Parameters
    ----------
    data : bytes
        The file.
    start : int
        Where the data of its first scan begin.

    Returns
    -------
    int
        Where its picture ends: what follows, another picture for instance, is no part of it.

    Raises
    ------
    ImageReadError
        Something is missing or was overwritten, or it would keep a decoder busy for hours.
    """
    turn, at, scans = 0, start, 1
    while found := MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if 0xD0 <= marker <= 0xD7:
            if marker - 0xD0 != turn:
                raise ImageReadError("damaged: a part of the JPEG's picture is missing between two restart markers")
            turn = (turn + 1) % 8
        elif marker == 0xD9:
            return found.start()
        elif marker in (0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE) or 0xE0 <= marker <= 0xEF:  # what stands between scans
            at += int.from_bytes(data[at : at + 2])
            turn, scans = 0, scans + (marker == 0xDA)
            if scans > MOST_SCANS:
                raise ImageReadError(f"a JPEG of more than {MOST_SCANS} scans, as no encoder writes it")
        else:
            raise ImageReadError(f"damaged: the JPEG's picture is broken off by a marker ff {marker:02x}")
    raise ImageReadError("truncated: the JPEG has no end-of-image marker")


def with_filler(data: bytes, end: int) -> bytes:
    """End a JPEG with more coded data instead: a picture that was whole stays as it is, one that was cut changes.

    Parameters
    ----------
    data : bytes
        A JPEG.
    end : int
        Where its picture ends, by `check_jpeg_scans`.
    """
    return data[:end] + FILLER


def check_strips(data: bytes, page: Table, size: int) -> None:
    """Refuse a page whose strips or tiles are too few or beyond the file, or, deflated, do not match their checksum.

    Parameters
    ----------
    data : bytes
        The file.
    page : Table
        One of its tables.
    size : int
        How many bytes the page's pixels take: no strip may hold much more than its rows of them.

    Raises
    ------
    ImageReadError
        It is truncated or damaged.
    """
    height, width = page.first(TagNumber.LENGTH, 0), page.first(TagNumber.WIDTH, 0)
    planes = page.first(TagNumber.SAMPLES, 1) if page.first(TagNumber.PLANAR, 1) == 2 else 1
    strip = page.first(TagNumber.ROWS_PER_STRIP, height), width
    tile = page.first(TagNumber.TILE_LENGTH, 0), page.first(TagNumber.TILE_WIDTH, 0)
    strip_bytes = -(-size // max(1, height)) * min(strip[0], height)
    for offsets, lengths, (rows, columns), each in (
        (TagNumber.STRIP_OFFSETS, TagNumber.STRIP_BYTE_COUNTS, strip, strip_bytes),
        (TagNumber.TILE_OFFSETS, TagNumber.TILE_BYTE_COUNTS, tile, tile[0] * tile[1] * 32),
    ):
        if offsets not in page or lengths not in page:
            continue
        strips = list(zip(page[offsets].values, page[lengths].values, strict=False))
        needed = planes * -(-height // max(1, rows)) * -(-width // max(1, columns))
        if len(strips) < needed:  # the decoder would take the file's beginning for pixels
            raise ImageReadError(f"truncated: the TIFF tells where {len(strips)} of its {needed} strips or tiles lie")
        if max(map(sum, strips), default=0) > len(data):
            raise ImageReadError("truncated: the TIFF's pixels lie beyond its end")
        if page.first(TagNumber.COMPRESSION, 1) in (8, 32946):
            # tiles that are alike may lie in one place, and a bomb in thousands
            for at, length in set(strips[:needed]):
                _check_deflated(data[at : at + length], 2 * each)  # twice: a few bytes more are read over


def _check_deflated(coded: bytes, most: int) -> None:
    inflater, total = zlib.decompressobj(), 0
    try:
        for at in range(0, len(coded), PIECE):
            left, unpacked = coded[at : at + PIECE], b"some"
            while unpacked and not inflater.eof:
                unpacked = inflater.decompress(left, PIECE)
                left, total = inflater.unconsumed_tail, total + len(unpacked)
                if total > most:
                    raise ImageReadError("damaged: a strip of the TIFF holds more than it has pixels")
    except zlib.error as error:
        raise ImageReadError(f"damaged: a strip of the TIFF cannot be unpacked ({error})") from None
    if not inflater.eof:
        raise ImageReadError("damaged: a strip of the TIFF ends too early")
