"""EXIF blocks to and from the tags of a TIFF page, which are the same tags in another place; no pixels, no disk."""

import struct
from typing import Any

from aeinfer.tiff_tags import Table, TagNumber, Tree, byte_order, pack_table, read_table

__all__ = ["exif_of_page", "fields_of_exif"]

SUB_TABLES: dict[int, dict[int, Any]] = {TagNumber.EXIF: {TagNumber.INTEROPERABILITY: {}}, TagNumber.GPS: {}}
"""The tags that point to tables of EXIF, and of those the ones that point on."""
POINTERS = (TagNumber.EXIF, TagNumber.GPS, TagNumber.INTEROPERABILITY)
"""All of these."""
STRUCTURE = frozenset(
    {*range(254, 267), 273, *range(277, 282), 284, *range(288, 294), 301, 317, *range(320, 326), 330, *range(332, 348)}
    | {351, 400, *range(512, 522), *range(529, 533), 559, 700, 32997, 32998, 34675, 37724}
)
"""Tags that say how a page's pixels are stored, point to more pixels, or are kept elsewhere (XMP, ICC)."""


def exif_of_page(data: bytes, page: Table) -> bytes | None:
    """Gather what a TIFF page says of its picture, but for its resolution, into an EXIF block that says "upright".

    Parameters
    ----------
    data : bytes
        The file.
    page : Table
        One of its tables.

    Returns
    -------
    The block, from its "II" or "MM"; None where there is nothing to say, or what there is lies outside the file.
    """
    order, _ = byte_order(data)
    try:
        tree = _tree(data, page, SUB_TABLES, [len(data)])
    except ValueError:
        return None
    for number in (TagNumber.X_RESOLUTION, TagNumber.Y_RESOLUTION, TagNumber.RESOLUTION_UNIT):
        tree.pop(number, None)
    if TagNumber.ORIENTATION in tree:
        tree[TagNumber.ORIENTATION] = (3, 1, struct.pack(order + "H", 1))
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "I", 8) + pack_table(tree, order, 8) if tree else None


def _tree(data: bytes, table: Table, below: dict[int, dict[int, Any]], room: list[int]) -> Tree:
    """Copy a table and those it points to. `room` counts the bytes left: values that overlap use them up."""
    tree: Tree = {}
    for number, tag in table.items():
        if number in below:
            inner = _tree(data, read_table(data, table.first(number, 0)), below[number], room)
            if inner:
                tree[number] = inner
        elif number not in STRUCTURE and number not in POINTERS and tag.kind < 14:
            raw = tag.raw
            room[0] -= len(raw)
            if room[0] < 0:
                raise ValueError("the values of the tags overlap")
            tree[number] = (tag.kind, tag.count, raw)
    return tree


def fields_of_exif(exif: bytes) -> tuple[str, Tree]:
    """Take an EXIF block apart: its byte order, and its first table with EXIF's and GPS's own inside.

    Raises
    ------
    ValueError
        The block is damaged.

    Examples
    --------
    >>> fields_of_exif(b"II*\\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, 6, 0))
    ('<', {274: (3, 1, b'\\x06\\x00')})
    """
    return byte_order(exif)[0], _tree(exif, read_table(exif), SUB_TABLES, [len(exif)])
