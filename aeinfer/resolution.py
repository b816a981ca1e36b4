"""How many pixels go to an inch or a centimetre on paper, as each format writes it down; no pixels, no disk."""

import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction

from aeinfer.errors import InputError
from aeinfer.tiff_tags import Table, TagNumber

__all__ = ["Resolution", "of_tiff", "with_resolution"]

MOST = (1 << 31) - 1  # of pixels per unit, and of a rational's two numbers: what all readers take
PER_INCH = {"inch": Fraction(1), "cm": Fraction(254, 100), "m": Fraction(254, 10000)}


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit along x and y; the unit "inch", "cm", "m", or "none": then only their ratio means something."""

    x: Fraction
    y: Fraction
    unit: str

    def __bytes__(self) -> bytes:
        return f"{self.x} {self.y} {self.unit}".encode()

    @classmethod
    def parse(cls, block: bytes) -> "Resolution":
        """Undo `bytes(resolution)`, the form in which `Picture.metadata` holds it.

        Raises
        ------
        InputError
            The bytes say something else.

        Examples
        --------
        >>> Resolution.parse(b"300 300 inch").rounded("m", most=65535)
        (11811, 11811)
        """
        try:
            x, y, unit = block.decode("ascii").split()
            found = cls(Fraction(x), Fraction(y), unit)
        except (ValueError, ZeroDivisionError):
            found = None
        if found is None or min(found.x, found.y) <= 0 or found.unit not in (*PER_INCH, "none"):
            raise InputError(f"a resolution is like b'300 300 inch' (or cm, m, none), not {block[:40]!r}")
        return found

    @classmethod
    def known(cls, x: int | Fraction, y: int | Fraction, unit: str | None) -> bytes | None:
        """Give the block for what a file says, or None where that says nothing: no unit, and square pixels."""
        if unit is None or min(x, y) <= 0 or (unit == "none" and x == y):
            return None
        return bytes(cls(Fraction(x), Fraction(y), unit))

    def per(self, unit: str) -> tuple[Fraction, Fraction]:
        """Pixels per another unit; without a unit of its own, the bare ratio."""
        factor = Fraction(1) if self.unit == "none" else PER_INCH[self.unit] / PER_INCH[unit]
        return self.x * factor, self.y * factor

    def rounded(self, unit: str, most: int) -> tuple[int, int]:
        """Whole pixels per unit, from 1 to `most`; a bare ratio is kept as near as two numbers up to 32768 can."""
        x, y = self.per(unit)
        if self.unit == "none":
            ratio = (x / y).limit_denominator(1 << 15)
            x, y = Fraction(ratio.numerator), Fraction(ratio.denominator)
        return min(max(round(x), 1), most), min(max(round(y), 1), most)

    def rationals(self) -> tuple[tuple[int, int], tuple[int, int], str]:
        """What a TIFF holds: numerator and denominator of 32 bits along x and y, and "inch", "cm" or "none"."""
        unit = "cm" if self.unit == "m" else self.unit
        pair = self.per(unit) if self.unit == "m" else (self.x, self.y)
        nearest = [value.limit_denominator(min(1 << 16, max(1, int(MOST // value)))) for value in pair]
        x, y = (min(max(value, Fraction(1, MOST)), Fraction(MOST)) for value in nearest)
        return x.as_integer_ratio(), y.as_integer_ratio(), unit


def of_tiff(page: Table) -> bytes | None:
    """Read a TIFF page's resolution into the block for `Picture.metadata`; None where it says nothing."""
    pair = []
    for number in (TagNumber.X_RESOLUTION, TagNumber.Y_RESOLUTION):
        tag = page.get(number)
        if tag is None or tag.kind != 5 or tag.count != 1:
            return None
        numerator, denominator = struct.unpack(tag.order + "II", tag.raw)
        if not numerator or not denominator:
            return None
        pair.append(Fraction(numerator, denominator))
    unit = {1: "none", 2: "inch", 3: "cm"}.get(page.first(TagNumber.RESOLUTION_UNIT, 2))
    return Resolution.known(pair[0], pair[1], unit)


def with_resolution(data: bytes, name: str, resolution: Resolution) -> bytes:
    """Write a resolution into a coded file.

    Parameters
    ----------
    data : bytes
        A JPEG that starts with its JFIF header, a PNG without a resolution, or a BMP.
    name : str
        "jpg", "png" or "bmp".
    resolution : Resolution
        JPEG holds whole pixels per inch or centimetre, PNG and BMP per metre.

    Examples
    --------
    >>> head = b"BM" + bytes(52)
    >>> with_resolution(head, "bmp", Resolution(Fraction(300), Fraction(300), "inch"))[38:46].hex()
    '232e0000232e0000'
    """
    if name == "jpg":
        unit = "cm" if resolution.unit == "cm" else "inch"
        x, y = resolution.rounded(unit, 65535)
        density = struct.pack(">BHH", {"none": 0, "cm": 2}.get(resolution.unit, 1), x, y)
        return data[:13] + density + data[18:] if data[6:11] == b"JFIF\0" else data
    x, y = resolution.rounded("m", MOST)
    if name == "bmp":
        return data[:38] + struct.pack("<II", x, y) + data[46:]
    chunk = b"pHYs" + struct.pack(">IIB", x, y, resolution.unit != "none")
    return data[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
