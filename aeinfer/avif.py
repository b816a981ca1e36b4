"""What OpenCV does not hand out of an AVIF: its colour profile and its XMP, out of its boxes; no pixels, no disk.

Boxes: ISO/IEC 14496-12; items and their places (iinf, iloc) likewise; the profile's box (colr): ISO/IEC 23008-12.
"""

import struct
from collections.abc import Iterator

__all__ = ["blocks_of"]

XMP_TYPE = b"application/rdf+xml"
INSIDE = {b"meta": 4, b"iprp": 0, b"ipco": 0}
"""Boxes that hold boxes on the way to what is looked for, and what stands before those."""
Box = tuple[bytes, bytes]


def blocks_of(data: bytes) -> dict[str, bytes]:
    """Return the blocks "icc" and "xmp" of an AVIF, as far as they are there and whole.

    Examples
    --------
    >>> blocks_of(b"no AVIF")
    {}
    """
    blocks = {}
    try:
        boxes = dict(_boxes(data))
        colour = boxes.get(b"colr", b"")
        if colour[:4] in (b"prof", b"rICC"):
            blocks["icc"] = colour[4:]
        item = _xmp_item(boxes.get(b"iinf", b""))
        xmp = b"" if item is None else _item(data, boxes, item)
        if xmp:
            blocks["xmp"] = xmp
    except struct.error:  # cut short
        pass
    return blocks


def _boxes(data: bytes) -> Iterator[Box]:
    """Give (kind, content) of all boxes that INSIDE leads to; of two colour boxes the profile counts."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 16 if length == 1 else 8
        length = {0: len(data) - at, 1: int.from_bytes(data[at + 8 : at + 16])}.get(length, length)
        content = data[at + head : at + length]
        if kind in INSIDE:
            yield from _boxes(content[INSIDE[kind] :])
        elif kind != b"colr" or content[:4] != b"nclx":
            yield kind, content
        at += max(length, head)


def _xmp_item(names: bytes) -> int | None:
    """Return the number of the item that is XMP, from the box of the items' names."""
    if not names:
        return None
    at = 6 if names[0] == 0 else 8
    for kind, content in _boxes(names[at:]):
        wide = "I" if content[:1] == b"\3" else "H"
        number, _, of_type = struct.unpack_from(f">{wide}H4s", content, 4)
        texts = content[4 + struct.calcsize(f">{wide}H4s") :].split(b"\0")  # its name, then its type
        if kind == b"infe" and of_type == b"mime" and XMP_TYPE in texts[1:2]:
            return int(number)
    return None


def _item(data: bytes, boxes: dict[bytes, bytes], wanted: int) -> bytes:
    """Return the bytes of an item, which the box of places (iloc) tells."""
    places = boxes.get(b"iloc", b"")
    version, sizes = struct.unpack_from(">B3xH", places)
    offset_size, length_size, base_size, index_size = ((sizes >> shift) & 15 for shift in (12, 8, 4, 0))
    index_size = index_size if version else 0
    wide = "I" if version == 2 else "H"
    (count,) = struct.unpack_from(f">{wide}", places, 6)
    at = 6 + struct.calcsize(wide)

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(places):
            raise struct.error("the box of places is cut short")
        at += size
        return int.from_bytes(places[at - size : at])

    for _ in range(count):
        item = number(struct.calcsize(wide))
        inside = number(2) & 15 if version else 0  # 1: in the box idat, 0: in the file
        number(2)
        base, extents = number(base_size), []
        for _ in range(number(2)):
            number(index_size)
            extents.append((base + number(offset_size), number(length_size)))
        if item == wanted:
            source = boxes.get(b"idat", b"") if inside == 1 else data
            return b"".join(source[start : start + length] for start, length in extents)
    return b""
