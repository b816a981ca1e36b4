"""What the header of a PNM (PBM, PGM or PPM) says, and whether all that it says follows; no pixels, no disk."""

import re

from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts, truncated

__all__ = ["pnm_facts"]

HEADER = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:(?:\s|#[^\n]*\n)+(\d+))?")
NUMBERS = bytes(b" 1"[not bytes([byte]).isspace()] for byte in range(256))
"""What `bytes.translate` makes blanks and all else one kind each by: numbers begin where a blank ends."""


def pnm_facts(data: bytes) -> FileFacts:
    """Read the header of a PNM.

    Raises
    ------
    ImageReadError
        It is cut short, holds several images, or its largest value is neither 255 nor 65535.

    Examples
    --------
    >>> pnm_facts(b"P5 3 2 255\\n" + bytes(6)).size
    (2, 3)
    """
    head = HEADER.match(data[: 1 << 16])
    bitmap = data[1:2] in (b"1", b"4")
    if head is None or (head[4] is None and not bitmap):
        raise truncated("the PNM's header is incomplete")
    kind, width, height = int(head[1]), int(head[2][:12]), int(head[3][:12])
    most = 1 if bitmap else int(head[4][:12])
    if most not in (1 if bitmap else 255, 65535):
        raise ImageReadError(f"a PNM whose largest value is {most} is not read; expected 255 or 65535")
    end = _end(data, head.end(3 if bitmap else 4), kind, height, width, 2 if most > 255 else 1)
    if HEADER.match(data, end):
        raise ImageReadError("a PNM of several images: only single images are read; split it first")
    return FileFacts("pnm", (height, width))


def _end(data: bytes, header: int, kind: int, height: int, width: int, sample: int) -> int:
    """Return where the picture behind the header ends, of numbers with the file; refuse a file that holds less of it.

    `kind` is the digit of its magic number: 1 to 3 hold numbers, 4 to 6 bytes, `sample` of them a value.
    """
    channels = 3 if kind in (3, 6) else 1
    row = (width + 7) // 8 if kind == 4 else width * channels * (sample if kind > 4 else 1)
    needed = height * row
    if kind > 3:
        held = len(data) - header - 1  # one blank follows the header
    elif kind == 1:
        held = sum(data.count(digit, header) for digit in (b"0", b"1"))
    else:
        held = (b" " + data[header:]).translate(NUMBERS).count(b" 1")
    if held < needed:
        raise truncated(f"the PNM holds {max(held, 0)} of {needed} {'bytes' if kind > 3 else 'values'}")
    return header + 1 + needed if kind > 3 else len(data)
