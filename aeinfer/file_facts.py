"""What a file says of itself, whatever its format: what the readers of bytes hand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from aeinfer.errors import ImageReadError
from aeinfer.tiff_tags import Table

__all__ = ["FileFacts", "present", "truncated"]


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    `format` is a key of FORMATS, `size` (height, width) in pixels or None, `metadata` the kinds it carries,
    `orientation` what a viewer applies (EXIF's 1 to 8), `grey_alpha` a grey image with alpha,
    `clear_grey` the one grey value that is transparent, `extra` a TIFF's word for its alpha (0: there is none, 1: the
    colours are multiplied by it, 2: they are not), `padded` a BMP whose fourth byte is no alpha, `cmyk` a picture in
    inks, `blocks` the metadata that was read from the file's own bytes, `page` a TIFF's table, `odd_layout` a TIFF that
    OpenCV does not read faithfully and tifffile does, `end` where a JPEG's picture ends.
    """

    format: str
    size: tuple[int, int] | None = None
    metadata: frozenset[str] = frozenset()
    orientation: int = 1
    grey_alpha: bool = False
    clear_grey: int | None = None
    extra: int = 2
    padded: bool = False
    cmyk: bool = False
    blocks: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    page: Table | None = None
    odd_layout: bool = False
    end: int = 0


def truncated(what: str) -> ImageReadError:
    """Return the error of a file that was cut short."""
    return ImageReadError(f"truncated: {what}")


def present(**blocks: bytes | None) -> Mapping[str, bytes]:
    """Return the blocks of metadata that hold something."""
    return MappingProxyType({kind: block for kind, block in blocks.items() if block})
