"""The tag tables of a TIFF file, and of EXIF, which is one inside other files: bytes and integers, no pixels."""

import enum
import struct
from dataclasses import dataclass, field

__all__ = [
    "Table",
    "Tag",
    "TagNumber",
    "Tree",
    "byte_order",
    "pack_table",
    "read_orientation",
    "read_table",
    "read_tables",
    "with_tag",
]

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type of TIFF 6.0 and BigTIFF."""
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""The types that hold counts, offsets and codes, as struct letters."""


class TagNumber(enum.IntEnum):
    """The tags that are looked at, named much as TIFF 6.0 and EXIF do."""

    SUBFILE = 254
    WIDTH = 256
    LENGTH = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    DESCRIPTION = 270
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PLANAR = 284
    RESOLUTION_UNIT = 296
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    EXTRA_SAMPLES = 338
    XMP = 700
    EXIF = 34665
    ICC_PROFILE = 34675
    GPS = 34853
    LAYERS = 37724
    INTEROPERABILITY = 40965


@dataclass(frozen=True)
class Tag:
    """One tag: its type and count, and where its values lie in the file (bytes from its start)."""

    data: bytes = field(repr=False)
    order: str
    kind: int
    count: int
    at: int

    @property
    def raw(self) -> bytes:
        """The values as they lie in the file."""
        return bytes(self.data[self.at : self.at + self.count * SIZES[self.kind]])

    @property
    def values(self) -> tuple[int, ...]:
        """The values of an integer type; of other types, none."""
        return struct.unpack_from(self.layout, self.data, self.at)

    @property
    def layout(self) -> str:
        """The struct format of `values`."""
        return f"{self.order}{self.count}{INTEGERS[self.kind]}" if self.kind in INTEGERS else self.order


class Table(dict[int, Tag]):
    """The tags of one page by their number, where the table lies in the file, and where it tells of the next."""

    offset: int = 0
    link: int = 0

    def first(self, number: int, default: int) -> int:
        """Return a tag's first integer, or `default` where the tag is missing or holds none."""
        values = self[number].values if number in self else ()
        return values[0] if values else default


def byte_order(data: bytes) -> tuple[str, bool]:
    """Return the struct letter of a TIFF's byte order, and whether it is a BigTIFF.

    Raises
    ------
    ValueError
        The bytes are no TIFF.

    Examples
    --------
    >>> byte_order(b"MM\\0*")
    ('>', False)
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None or len(data) < 4:
        raise ValueError("not a TIFF: it starts with neither II nor MM")
    return order, struct.unpack_from(order + "H", data, 2)[0] == 43


def read_tables(data: bytes) -> list[Table]:
    """List the tag tables (one a page) of a classic or big TIFF in memory.

    Parameters
    ----------
    data : bytes
        The file from its first byte, "II" or "MM".

    Raises
    ------
    ValueError
        The bytes are no TIFF, or a table lies outside of them or in another's place.

    Examples
    --------
    >>> exif = b"II*\\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, 6, 0)
    >>> read_tables(exif)[0][274].values
    (6,)
    """
    order, big = byte_order(data)
    offset = _first_offset(data, order, big)
    tables: list[Table] = []
    room = len(data)
    while offset:
        table, following = _read_table(data, offset, order, big)
        room -= 6 + 12 * len(table)  # what it takes at least: a chain that goes round, or over itself, runs out
        if room < 0:
            raise ValueError("the tag tables overlap")
        tables.append(table)
        offset = following
    return tables


def read_table(data: bytes, offset: int | None = None) -> Table:
    """Read the one table at an offset, such as that of EXIF's own tags; None takes the first, whatever follows it.

    Raises
    ------
    ValueError
        The bytes are no TIFF, or the table lies outside of them.
    """
    order, big = byte_order(data)
    return _read_table(data, _first_offset(data, order, big) if offset is None else offset, order, big)[0]


def _first_offset(data: bytes, order: str, big: bool) -> int:
    try:
        return int(struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])
    except struct.error as error:
        raise ValueError(f"the header is cut short ({error})") from None


def _read_table(data: bytes, offset: int, order: str, big: bool) -> tuple[Table, int]:
    """Read one table; return it and the offset of the next (0: none)."""
    head, entry, inline = (order + "Q", order + "HHQ", 12) if big else (order + "H", order + "HHI", 8)
    pointer = order + ("Q" if big else "I")
    wide = struct.calcsize(pointer)
    table = Table()
    table.offset = offset
    try:
        (count,) = struct.unpack_from(head, data, offset)
        start = offset + struct.calcsize(head)
        end = table.link = start + count * (inline + wide)
        for at in range(start, min(end, len(data)), inline + wide):
            number, kind, length = struct.unpack_from(entry, data, at)
            size = length * SIZES.get(kind, 0)
            where = at + inline if size <= wide else struct.unpack_from(pointer, data, at + inline)[0]
            if where + size > len(data):
                raise ValueError(f"the values of tag {number} lie beyond its end")
            if kind in SIZES:
                table[number] = Tag(data, order, kind, length, where)
        return table, struct.unpack_from(pointer, data, end)[0]
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a tag table lies outside the file ({error})") from None


Field = tuple[int, int, bytes]
Tree = dict[int, "Field | Tree"]
"""A table to be written: a tag's type, count and values, or a table of its own."""


def pack_table(tree: Tree, order: str, at: int, *, big: bool = False) -> bytes:
    """Lay out a table and all that hangs from it, for a place in a file.

    Parameters
    ----------
    tree : dict
        From the tag's number to (type, count, values in this byte order), or to a table that the tag points to.
    order : str
        "<" or ">".
    at : int
        Where in the file the bytes will lie; even.
    big : bool
        For a BigTIFF.

    Examples
    --------
    >>> exif = b"II*\\0" + struct.pack("<I", 8) + pack_table({34665: {274: (3, 1, b"\\6\\0")}}, "<", 8)
    >>> read_table(exif, read_tables(exif)[0][34665].values[0])[274].values
    (6,)
    """
    head, pointer, pointer_kind = ("Q", "Q", 16) if big else ("H", "I", 4)
    wide = struct.calcsize(pointer)
    entries, behind = [], bytearray()
    start = at + struct.calcsize(head) + (4 + 2 * wide) * len(tree) + wide
    for number, item in sorted(tree.items()):
        kind, count, raw = (pointer_kind, 1, b"") if isinstance(item, dict) else item
        if isinstance(item, dict) or len(raw) > wide:
            place = start + len(behind)
            behind += pack_table(item, order, place, big=big) if isinstance(item, dict) else raw
            behind += bytes(len(behind) % 2)
            raw = struct.pack(order + pointer, place)
        entries.append(struct.pack(order + "HH" + pointer, number, kind, count) + raw.ljust(wide, b"\0"))
    return struct.pack(order + head, len(tree)) + b"".join(entries) + bytes(wide) + bytes(behind)


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
        values = read_table(exif or b"")[TagNumber.ORIENTATION].values
    except (ValueError, LookupError):
        return 1
    return values[0] if values and 1 <= values[0] <= 8 else 1
