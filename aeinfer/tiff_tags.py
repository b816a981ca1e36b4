"""The tag tables of a TIFF file, and of EXIF, which is one inside other files: integers only, nothing is decoded."""

import struct
from dataclasses import dataclass

__all__ = ["Tag", "read_orientation", "read_tables", "with_tag"]

ORIENTATION = 274
SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The integer types of TIFF 6.0 and BigTIFF as struct letters; tags of other types are listed without values."""
MOST_TABLES = 4096
"""More tables than any real file has: a chain that is longer points back at itself."""


@dataclass(frozen=True)
class Tag:
    """The integer values of one tag, where they lie in the file (bytes from its start), and their struct format."""

    values: tuple[int, ...]
    at: int
    layout: str


def read_tables(data: bytes) -> list[dict[int, Tag]]:
    """List the tag tables (one a page) of a classic or big TIFF in memory.

    Parameters
    ----------
    data : bytes
        The file from its first byte, "II" or "MM".

    Returns
    -------
    One dictionary a page, from tag number to Tag.

    Raises
    ------
    ValueError
        The bytes are no TIFF, or a table lies outside of them.

    Examples
    --------
    >>> exif = b"II*\\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, 6, 0)
    >>> read_tables(exif)[0][274].values
    (6,)
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("not a TIFF: it starts with neither II nor MM")
    try:
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        offset = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        tables: list[dict[int, Tag]] = []
        while offset and len(tables) < MOST_TABLES:
            table, offset = _read_table(data, offset, order, big)
            tables.append(table)
    except struct.error as error:
        raise ValueError(f"a tag table lies outside the file ({error})") from None
    return tables


def _read_table(data: bytes, offset: int, order: str, big: bool) -> tuple[dict[int, Tag], int]:
    """Read one table; return it and the offset of the next (0: none)."""
    head, entry, inline = (order + "Q", order + "HHQ", 12) if big else (order + "H", order + "HHI", 8)
    pointer = order + ("Q" if big else "I")
    step = inline + struct.calcsize(pointer)
    (count,) = struct.unpack_from(head, data, offset)
    start = offset + struct.calcsize(head)
    table: dict[int, Tag] = {}
    for at in range(start, start + count * step, step):
        number, kind, length = struct.unpack_from(entry, data, at)
        letter = SIZES.get(kind)
        layout = f"{order}{length}{letter}" if letter and length <= len(data) else order
        where = at + inline
        if struct.calcsize(layout) > struct.calcsize(pointer):
            (where,) = struct.unpack_from(pointer, data, where)
        table[number] = Tag(struct.unpack_from(layout, data, where), where, layout)
    return table, struct.unpack_from(pointer, data, start + count * step)[0]


def with_tag(data: bytes, tag: Tag, *values: int) -> bytes:
    """Return the file with other values in a tag's place.

    Parameters
    ----------
    data : bytes
        The file that `tag` was read from.
    tag : Tag
        One of `read_tables`.
    values : int
        As many as the tag has.
    """
    changed = bytearray(data)
    struct.pack_into(tag.layout, changed, tag.at, *values)
    return bytes(changed)


def read_orientation(exif: bytes | None) -> int:
    """Return the orientation (1 to 8) that an EXIF block tells a viewer; 1, upright, where it tells nothing.

    Examples
    --------
    >>> read_orientation(None)
    1
    """
    try:
        values = read_tables(exif or b"")[0][ORIENTATION].values
    except (ValueError, LookupError):
        return 1
    return values[0] if values and 1 <= values[0] <= 8 else 1
