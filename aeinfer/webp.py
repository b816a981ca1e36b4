"""What the chunks of a WebP say, which RFC 9649 defines; no pixels, no disk."""

import math

from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts, truncated
from aeinfer.jpeg import EXIF_HEADER
from aeinfer.tiff_tags import read_orientation

__all__ = ["webp_facts"]

KINDS = {b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "icc"}
"""Which chunks are metadata."""


def webp_facts(data: bytes) -> FileFacts:
    """Read the chunks of a WebP.

    Raises
    ------
    ImageReadError
        It is shorter than its header says, animated, or holds no picture.

    Examples
    --------
    >>> frame = bytes(6) + (3).to_bytes(2, "little") + (2).to_bytes(2, "little")
    >>> webp_facts(b"RIFF" + (22).to_bytes(4, "little") + b"WEBPVP8 " + (10).to_bytes(4, "little") + frame).size
    (2, 3)
    """
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
        if name in KINDS:
            found.add(KINDS[name])
        at += 8 + length + length % 2
    if not sizes:
        raise ImageReadError("damaged: the WebP holds no picture")
    return FileFacts("webp", max(sizes, key=math.prod), frozenset(found), read_orientation(exif))


def _webp_size(name: bytes, head: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        return 1 + int.from_bytes(head[7:10], "little"), 1 + int.from_bytes(head[4:7], "little")
    if name == b"VP8L":
        packed = int.from_bytes(head[1:5], "little")
        return 1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF)
    return int.from_bytes(head[8:10], "little") & 0x3FFF, int.from_bytes(head[6:8], "little") & 0x3FFF
