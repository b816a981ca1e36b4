"""Which format a file is of, by its first bytes; each format's own room reads what the file says of itself."""

import re
from collections.abc import Callable

from aeinfer.avif import avif_facts
from aeinfer.bmp import bmp_facts
from aeinfer.errors import ImageReadError
from aeinfer.file_facts import FileFacts
from aeinfer.formats import FORMATS
from aeinfer.jpeg import jpeg_facts
from aeinfer.png import png_facts
from aeinfer.pnm import pnm_facts
from aeinfer.tiff_facts import check_page, tiff_facts
from aeinfer.webp import webp_facts

__all__ = ["START", "check_packed", "check_start", "inspect", "inspect_pages"]

START = 256
"""How many bytes tell what a file is."""


def inspect(data: bytes) -> FileFacts:
    """Read a file's own description of itself.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    ImageReadError
        It is empty, no image, cut short, has several pages or frames, or holds what cannot be carried faithfully.
        The message does not name the file.

    Examples
    --------
    >>> inspect(b"BM" + bytes(16) + (3).to_bytes(4, "little") + (2).to_bytes(4, "little")).size
    (2, 3)
    """
    pages = inspect_pages(data)
    if len(pages) > 1:
        raise ImageReadError(
            f"a TIFF of {len(pages)} pages: only single images are read here; split it first, or call read_pages"
        )
    return pages[0]


def inspect_pages(data: bytes) -> list[FileFacts]:
    """Read a file's own description of each of its pages; all formats but TIFF have one.

    Raises
    ------
    ImageReadError
        As `inspect`, but for several pages.
    """
    check_start(data[:START])
    facts = next(reader for signature, reader in READERS if signature.match(data))(data)
    return facts if isinstance(facts, list) else [facts]


def check_packed(data: bytes, facts: FileFacts) -> None:
    """Refuse damage that shows where packed pixels are unpacked, which is for a size that is allowed.

    Raises
    ------
    ImageReadError
        Pixels are missing or damaged.
    """
    if facts.page:
        check_page(data, facts.page)


def check_start(start: bytes) -> None:
    """Refuse a file by its first `START` bytes.

    Raises
    ------
    ImageReadError
        It is empty or no image of a known format.
    """
    if not start:
        raise ImageReadError("the file is empty")
    if not any(signature.match(start) for signature, _ in READERS):
        raise ImageReadError(f"{_what_else(start)}; expected one of {', '.join(FORMATS)}")


def _what_else(data: bytes) -> str:
    known = {
        rb"version https://git-lfs": "a Git LFS pointer instead of the image (run `git lfs pull`)",
        rb"GIF8": "a GIF, which is not read (save it as png)",
        rb"....ftyp(heic|heix|mif1|msf1)": "a HEIC picture, which is not read (save it as png or jpg)",
        rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture, which is not read (save it as png or jpg)",
        rb"%PDF": "a PDF, not an image",
        rb"....ftyp(iso|mp4|avc|M4V|qt|3g)": "a video file, which `aeinfer video` denoises",
        rb"\x1a\x45\xdf\xa3|RIFF....AVI ": "a video file, which `aeinfer video` denoises",
    }
    for pattern, name in known.items():
        if re.match(pattern, data, re.DOTALL):
            return name
    if all(byte in b"\t\n\r\f" or 32 <= byte != 127 for byte in data):
        return f"not an image but text, which starts {data[:24].decode('utf-8', 'replace')!r}"
    return f"not an image of a known format: it starts with the bytes {data[:8].hex(' ')}"


READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], FileFacts | list[FileFacts]]], ...] = (
    (re.compile(rb"II[*+]\0|MM\0[*+]"), tiff_facts),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), png_facts),
    (re.compile(rb"\xff\xd8\xff"), jpeg_facts),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), webp_facts),
    (re.compile(rb"BM.{16}", re.DOTALL), bmp_facts),
    (re.compile(rb"....ftyp(avi[fs]|.{8,64}?avif)", re.DOTALL), avif_facts),
    (re.compile(rb"P[1-6][\s#]"), pnm_facts),
)
