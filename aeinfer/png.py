"""What the chunks of a PNG say, which https://www.w3.org/TR/png-3 defines; no pixels, no disk."""

import zlib

from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts, present, truncated
from aeinfer.resolution import Resolution
from aeinfer.tiff_tags import read_orientation

__all__ = ["png_facts"]

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


def png_facts(data: bytes) -> FileFacts:
    """Read the chunks of a PNG.

    Raises
    ------
    ImageReadError
        It ends before its IEND chunk, a chunk does not match its checksum, or it is animated.

    Examples
    --------
    >>> header = b"IHDR" + bytes.fromhex("00000003 00000002 0800000000")
    >>> end = bytes.fromhex("00000000 49454e44 ae426082")
    >>> png_facts(b"\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\r" + header + zlib.crc32(header).to_bytes(4) + end).size
    (2, 3)
    """
    height = width = depth = colour = 0
    found: set[str] = set()
    exif, clear, resolution = None, None, None
    at, name = 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if at + 12 + length > len(data):
            raise truncated("the PNG ends before its IEND chunk")
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
        blocks=present(resolution=resolution),
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
