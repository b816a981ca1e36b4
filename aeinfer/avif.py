"""What an AVIF says of itself: size, orientation, which metadata it holds, and those that OpenCV does not hand out.

Boxes: ISO/IEC 14496-12; items and their places (iinf, iloc) likewise; colour, turns and sizes (colr, irot, imir, ispe):
ISO/IEC 23008-12. No pixels, no disk.
"""

import math
import struct
from collections.abc import Iterator
from contextlib import suppress

from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts, present, truncated

__all__ = ["avif_facts"]

XMP_TYPE = b"application/rdf+xml"
INSIDE = {b"meta": 4, b"iprp": 0, b"ipco": 0}
"""Boxes that hold boxes on the way to what is looked for, and what stands before those."""

ORIENTATIONS = {
    (0, None): 1, (0, 1): 2, (2, None): 3, (0, 0): 4, (1, 0): 5, (3, None): 6, (3, 0): 7, (1, None): 8,
    (2, 0): 2, (2, 1): 4, (3, 1): 5, (1, 1): 7,
}  # fmt: skip
"""(quarter turns anticlockwise, then mirror axis) of the boxes irot and imir as EXIF's orientation."""

UNSAID = 2  # of primaries and transfer: ITU-T H.273, which has the codes of sRGB as 1 and 13 too

Box = tuple[bytes, bytes]


def avif_facts(data: bytes) -> FileFacts:
    """Read the boxes of an AVIF.

    Raises
    ------
    ImageReadError
        It ends inside a box, or is animated.

    Examples
    --------
    >>> avif_facts(b"").size is None
    True
    """
    every = list(_boxes(data, whole=True))
    if data[8:12] == b"avis":
        raise ImageReadError("an animated AVIF: only still images are denoised")
    boxes = dict(reversed(every))  # of several of a kind the first
    sizes = [struct.unpack(">II", content[4:12])[::-1] for kind, content in every if kind == b"ispe" and content[11:]]
    turn, mirror = boxes.get(b"irot", b"")[:1], boxes.get(b"imir", b"")[:1]
    items = list(_items(boxes.get(b"iinf", b"")))
    icc = boxes.get(b"prof", boxes.get(b"rICC", b""))
    blocks = present(
        icc=icc,
        cicp=b"" if icc else _cicp(boxes.get(b"nclx", b"")),
        xmp=_item(data, boxes, "xmp", items),
    )
    return FileFacts(
        "avif",
        max(sizes, key=math.prod, default=None),  # of the picture, its alpha and its tiles
        frozenset(kind for _, kind in items if kind) | (blocks.keys() & {"icc", "cicp"}),
        ORIENTATIONS[turn[0] & 3 if turn else 0, mirror[0] & 1 if mirror else None],
        blocks=blocks,
    )


def _boxes(data: bytes, *, whole: bool = False, deep: int = len(INSIDE)) -> Iterator[Box]:
    """Give (kind, content) of all boxes that INSIDE leads to; of a colour box what it holds: prof, rICC or nclx.

    `whole` refuses data that end inside of a box; boxes are looked into as deep as an AVIF has them, and no deeper.
    """
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 16 if length == 1 else 8
        length = {0: len(data) - at, 1: int.from_bytes(data[at + 8 : at + 16])}.get(length, length)
        if whole and (length < head or at + length > len(data)):
            break
        content = data[at + head : at + length]
        if kind in INSIDE:
            yield from _boxes(content[INSIDE[kind] :], deep=deep - 1) if deep else ()
        elif kind == b"colr":
            yield content[:4], content[4:]
        else:
            yield kind, content
        at += max(length, head)
    if whole and at != len(data):
        raise truncated("the AVIF ends inside a box")


def _cicp(nclx: bytes) -> bytes:
    """Return what a PNG's chunk cICP would hold; nothing where it is sRGB, or not said."""
    primaries, transfer = struct.unpack(">HH", nclx[:4]) if len(nclx) >= 4 else (UNSAID, UNSAID)
    if (primaries in (1, UNSAID) and transfer in (13, UNSAID)) or max(primaries, transfer) > 255:
        return b""
    return bytes([primaries, transfer, 0, 1])  # of RGB, in its full range


def _items(names: bytes) -> Iterator[tuple[int, str | None]]:
    """Give the number of each item that the box of names tells of, and the kind of metadata that it is."""
    if not names:
        return
    for kind, content in _boxes(names[6 if names[0] == 0 else 8 :]):
        layout = ">4xIH4s" if content[:1] == b"\3" else ">4xHH4s"
        if kind != b"infe" or len(content) < struct.calcsize(layout):
            continue
        number, _, of_type = struct.unpack_from(layout, content)
        texts = content[struct.calcsize(layout) :].split(b"\0")  # its name, then its type
        is_xmp = of_type == b"mime" and XMP_TYPE in texts[1:2]
        yield number, "exif" if of_type == b"Exif" else "xmp" if is_xmp else None


def _item(data: bytes, boxes: dict[bytes, bytes], kind: str, items: list[tuple[int, str | None]]) -> bytes:
    """Return the bytes of the first item of a kind; nothing where there is none, or its place is not told."""
    number = next((number for number, its in items if its == kind), None)
    with suppress(struct.error):  # the box of places is cut short
        for item, inside, extents in _places(boxes.get(b"iloc", b"")):
            if item == number:
                source = boxes.get(b"idat", b"") if inside else data
                return b"".join(source[start : start + length] for start, length in extents)
    return b""


def _places(places: bytes) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
    """Give of each item its number, whether it lies in the box idat, else in the file, and (start, length) of parts."""
    version, sizes = struct.unpack_from(">B3xH", places)
    offset_size, length_size, base_size, index_size = ((sizes >> shift) & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    at = 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(places):
            raise struct.error("the box of places is cut short")
        at += size
        return int.from_bytes(places[at - size : at])

    for _ in range(number(wide)):
        item = number(wide)
        inside = bool(version) and number(2) & 15 == 1
        number(2)
        base, extents = number(base_size), []
        for _ in range(number(2)):
            number(index_size if version else 0)
            extents.append((base + number(offset_size), number(length_size)))
        yield item, inside, extents
