"""What the header of a BMP says; no pixels, no disk."""

from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts, present
from aeinfer.resolution import Resolution

__all__ = ["bmp_facts"]


def bmp_facts(data: bytes) -> FileFacts:
    """Read the header of a BMP.

    Raises
    ------
    ImageReadError
        It is of OS/2, or its channels are not of 8 bits in an order that OpenCV reads.

    Examples
    --------
    >>> bmp_facts(b"BM" + bytes(16) + (3).to_bytes(4, "little") + (2).to_bytes(4, "little")).size
    (2, 3)
    """
    head, bits, packing = (int.from_bytes(data[at:end], "little") for at, end in ((14, 18), (28, 30), (30, 34)))
    if head == 12:
        raise ImageReadError("a BMP of OS/2, which OpenCV does not read faithfully (save it as png)")
    alpha = _bmp_alpha(data, head) if packing == 3 else 0
    if bits == 16 or alpha is None:
        raise ImageReadError("a BMP whose channels are not of 8 bits in the usual order is not read: save it as png")
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    across, down = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (38, 42))
    known = len(data) >= 46 and data[14] >= 40
    resolution = Resolution.known(across, down, "m") if known else None
    profile = head >= 124 and data[70:74] in (b"DEBM", b"KNIL")  # embedded, or in a file of its own
    return FileFacts(
        "bmp",
        (abs(height), width),
        frozenset({"icc"} if profile else ()),
        padded=not alpha,
        blocks=present(resolution=resolution),
    )


def _bmp_alpha(data: bytes, head: int) -> int | None:
    """Return the mask of a BMP's alpha, 0 where it has none; None where its masks are other than OpenCV reads."""
    *colours, alpha = (int.from_bytes(data[at : at + 4], "little") for at in (54, 58, 62, 66))
    alpha = alpha if head >= 56 else 0
    whole = {0xFF << shift for shift in (0, 8, 16, 24)}
    # OpenCV looks for masks in the header alone, and takes the usual ones where it is too short for alpha's
    known = whole.issuperset(colours) if head >= 56 else colours == [0xFF0000, 0xFF00, 0xFF]
    return alpha if known and alpha in {0, *whole} else None
