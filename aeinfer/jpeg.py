"""What the segments of a JPEG say, what lies behind its picture, and a profile into them; no pixels, no disk."""

import re
from collections.abc import Iterator

from aeinfer.damage import check_jpeg_scans
from aeinfer.errors import ImageWriteError
from aeinfer.file_facts import FileFacts, present, truncated
from aeinfer.resolution import Resolution
from aeinfer.tiff_tags import read_orientation

__all__ = ["EXIF_HEADER", "XMP_HEADER", "jpeg_facts", "with_profile"]

EXIF_HEADER = b"Exif\0\0"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""What stands before EXIF and XMP in a JPEG segment; other formats hold the bare block."""
ICC_HEADER = b"ICC_PROFILE\0"
"""What stands before a piece of a profile, its number and how many there are."""
ICC_PIECE = 65519
"""Bytes of a profile that a segment has room for."""

JPEG_HEADERS = {
    EXIF_HEADER: "exif",
    XMP_HEADER: "xmp",
    b"http://ns.adobe.com/xmp/extension/\0": "xmp extension",
    ICC_HEADER: "icc",
    b"Photoshop 3.0\0": "iptc",
}
"""What blocks of metadata begin with in a JPEG, and their kinds."""

FILM = re.compile(rb"\0\0\0.ftyp", re.DOTALL)
"""What the film begins with that phones hang behind a JPEG, of the moment that it was taken in."""


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


def jpeg_facts(data: bytes) -> FileFacts:
    """Read the segments of a JPEG.

    Raises
    ------
    ImageReadError
        It has no scan or no end, or what lies between its markers shows that a part is missing.

    Examples
    --------
    >>> frame, scan = bytes.fromhex("ffc0 000b 08 0002 0003 01000000"), bytes.fromhex("ffda 0002")
    >>> jpeg_facts(b"\\xff\\xd8" + frame + scan + b"\\xff\\xd9").size
    (2, 3)
    """
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
        raise truncated("the JPEG has no picture")
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
        blocks=present(exif=exif, xmp=xmp.rstrip(b"\0"), icc=profile, resolution=resolution),
        end=end,
    )


def _joined_profile(pieces: list[bytes]) -> bytes | None:
    """Join the numbered pieces of a JPEG's ICC profile; None where one is missing, or it is of inks, which go."""
    pieces = sorted(pieces)
    numbers, count = [[*piece[:2]] for piece in pieces], len(pieces)
    profile = b"".join(piece[2:] for piece in pieces)
    whole = numbers == [[number, count] for number in range(1, count + 1)]
    return profile if whole and profile[16:20] != b"CMYK" else None


def with_profile(data: bytes, profile: bytes) -> bytes:
    """Return a JPEG with an ICC profile behind its EXIF and XMP, in as many pieces as it takes.

    Raises
    ------
    ImageWriteError
        It takes more than 255, 17 MB.

    Examples
    --------
    >>> with_profile(b"\\xff\\xd8\\xff\\xd9", b"profile")
    b'\\xff\\xd8\\xff\\xe2\\x00\\x17ICC_PROFILE\\x00\\x01\\x01profile\\xff\\xd9'
    """
    pieces = [profile[at : at + ICC_PIECE] for at in range(0, len(profile), ICC_PIECE)]
    if len(pieces) > 255:
        raise ImageWriteError(f"a JPEG has no room for a profile of {len(profile)} bytes")
    place = 2
    for marker, end, _ in _jpeg_segments(data):
        if marker not in (0xE0, 0xE1):
            break
        place = end
    bodies = [ICC_HEADER + bytes([number, len(pieces)]) + piece for number, piece in enumerate(pieces, 1)]
    segments = b"".join(b"\xff\xe2" + (len(body) + 2).to_bytes(2) + body for body in bodies)
    return data[:place] + segments + data[place:]
