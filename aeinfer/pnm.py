"""What the header of a PNM (PBM, PGM or PPM) says; no pixels, no disk."""

import re

from aeinfer.damage import check_pnm_length
from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts, truncated

__all__ = ["pnm_facts"]

HEADER = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:(?:\s|#[^\n]*\n)+(\d+))?")


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
    end = check_pnm_length(data, head.end(3 if bitmap else 4), kind, height, width, 2 if most > 255 else 1)
    if HEADER.match(data, end):
        raise ImageReadError("a PNM of several images: only single images are read; split it first")
    return FileFacts("pnm", (height, width))
