"""What a file says of itself, whatever its format: what the readers of bytes hand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aeinfer.errors import ImageReadError
from aeinfer.tiff_tags import Table

__all__ = ["FileFacts", "present", "truncated"]


@dataclass(frozen=True)
class FileFacts:
    """What a file, or a page of a TIFF, says of itself.

    Attributes
    ----------
    format : str
        A key of FORMATS.
    size : (height, width) or None
        In pixels; None where it does not say.
    metadata : frozenset of str
        The kinds it carries.
    orientation : int
        What a viewer applies: EXIF's 1 to 8.
    grey_alpha : bool
        A grey image with alpha.
    clear_grey : int or None
        The one grey value that is transparent.
    extra : int
        A TIFF's word for its alpha: 0, there is none; 1, the colours are multiplied by it; 2, they are not.
    padded : bool
        A BMP whose fourth byte is no alpha.
    cmyk : bool
        A picture in inks.
    blocks : mapping of str to bytes
        The metadata that was read from the file's own bytes.
    page : Table or None
        A TIFF's.
    odd_layout : bool
        A TIFF that OpenCV does not read faithfully and tifffile does.
    end : int
        Where a JPEG's picture ends, in bytes from the start.
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
    blocks: Mapping[str, bytes] = field(default_factory=dict)
    page: Table | None = None
    odd_layout: bool = False
    end: int = 0


def truncated(what: str) -> ImageReadError:
    """Return the error of a file that was cut short."""
    return ImageReadError(f"truncated: {what}")


def present(**blocks: bytes | None) -> Mapping[str, bytes]:
    """Return the blocks of metadata that hold something."""
    return {kind: block for kind, block in blocks.items() if block}
