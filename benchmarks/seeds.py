"""Valid files of every format: what damage and fuzzing begin with."""

import struct
import tempfile
from pathlib import Path

import cv2
import numpy as np

from aeinfer.image import write_image

DATA = Path(__file__).parents[1] / "tests" / "data"
SIZE = (37, 53)


def image_seeds(size: tuple[int, int] = SIZE) -> dict[str, bytes]:
    """Return name -> content of small valid files: every format, depth and kind of alpha that can be written here."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (5, 7, 4), dtype=np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
    kinds = {"grey": smooth[..., 0], "rgb": smooth[..., :3], "rgba": smooth}
    deep = {kind: pixels.astype(np.uint16) * 257 for kind, pixels in kinds.items()}
    wide = {kind: pixels.astype(np.float32) / 255 for kind, pixels in kinds.items() if kind != "rgba"}
    facts = {"exif": _exif(6), "icc": _icc(), "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"}
    wanted = {"png": {**kinds, **_named(deep, "16")}, "tiff": {**kinds, **_named(deep, "16"), **_named(wide, "float")}}
    opaque = {kind: kinds[kind] for kind in ("grey", "rgb")}
    wanted |= {"webp": kinds, "bmp": kinds, "avif": kinds, "jpg": opaque}
    wanted |= {"pgm": {"grey": kinds["grey"], "grey16": deep["grey"]}, "ppm": {"rgb": kinds["rgb"]}}
    seeds = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix, pictures in wanted.items():
            for kind, pixels in pictures.items():
                path = Path(folder, f"{kind}.{suffix}")
                write_image(path, np.ascontiguousarray(pixels), metadata=facts if kind == "rgb" else None)
                seeds[path.name] = path.read_bytes()
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    seeds["progressive.jpg"] = bytes(cv2.imencode(".jpg", kinds["rgb"], options)[1])
    seeds["lossy.webp"] = bytes(cv2.imencode(".webp", kinds["rgba"], [cv2.IMWRITE_WEBP_QUALITY, 60])[1])
    seeds["colours.gif"] = bytes(cv2.imencode(".gif", kinds["rgb"])[1])
    for poison in (np.nan, np.inf):
        holed = wide["rgb"].copy()
        holed[3, 4] = poison
        seeds[f"{poison}.tiff"] = bytes(cv2.imencode(".tiff", holed)[1])
    return seeds


def _named(pictures: dict[str, np.ndarray], mark: str) -> dict[str, np.ndarray]:
    return {f"{kind}{mark}": pixels for kind, pixels in pictures.items()}


def _exif(orientation: int) -> bytes:
    """A TIFF header and a table of one tag."""
    return struct.pack("<4sIHHHIII", b"II*\0", 8, 1, 274, 3, 1, orientation, 0)


def _icc() -> bytes:
    """The smallest colour profile that libpng accepts: a header without tags."""
    header = bytearray(132)
    header[:4] = len(header).to_bytes(4, "big")
    header[8:24] = b"\x02\0\0\0mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[68:80] = bytes.fromhex("0000f6d6000100000000d32d")  # the D50 white that every profile names
    return bytes(header)
