"""What is fuzzed: bytes in, and nothing out but a result or the error that the library promises; knows no fuzzer."""

import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from aeinfer import AEInfer
from aeinfer.errors import ImageReadError, ImageWriteError, InputError, ModelError
from aeinfer.image import read_image, read_pages, write_image, write_pages

KEPT = Path(__file__).parents[1] / "tests" / "data" / "fuzz.zip"
MAX_PIXELS = 1 << 16
SUFFIXES = ("png", "jpg", "webp", "tiff", "avif", "bmp")
KINDS = ("exif", "xmp", "icc", "resolution", "cicp")
PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def image(data: bytes) -> None:
    """Read a file of any format, page by page, and write what was read into the same format."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.write_bytes(data)
        try:
            pages = list(read_pages(source, max_pixels=MAX_PIXELS))
        except ImageReadError:
            return
        target = Path(folder, "target")
        with suppress(ImageWriteError):  # float32 in a PNM, say, is read and cannot be written
            write_pages(target, pages, format=pages[0].format)
            for written, page in zip(read_pages(target), pages, strict=True):
                assert written.pixels.shape[:2] == page.pixels.shape[:2]


def metadata(data: bytes) -> None:
    """Write a picture with a block of metadata into a format, both chosen by the first byte, and read it again."""
    if not data:
        return
    choice, kind = divmod(data[0] % (len(SUFFIXES) * len(KINDS)), len(KINDS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"picture.{SUFFIXES[choice]}")
        try:
            write_image(path, PIXELS, metadata={KINDS[kind]: data[1:]})
        except InputError:
            assert KINDS[kind] == "resolution"  # which has a form of this library's own; other blocks are dropped
            return
        assert sorted(read_image(path).pixels.shape) == sorted(PIXELS.shape)  # turned, where it cannot say so


def model(data: bytes) -> None:
    """Load a model from bytes and denoise with it."""
    with warnings.catch_warnings(action="ignore"):  # facts that are missing are said
        try:
            with AEInfer.load(data, device="cpu", threads=1) as loaded:
                side = loaded.info.tile or 16
                if side <= 256:
                    loaded(np.zeros((side, side, loaded.info.channels), np.uint8))
        except (ModelError, MemoryError):
            return


TARGETS: dict[str, Callable[[bytes], None]] = {"image": image, "metadata": metadata, "model": model}


def valid_metadata(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return inputs of `metadata`: the blocks of these files, each for every format."""
    blocks = {b"300 300 inch", b"3/2 1 none"}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.write_bytes(content)
            with suppress(ImageReadError):
                blocks |= set(read_image(path).metadata.values())
    choices = range(len(SUFFIXES) * len(KINDS))
    return {f"{choice} {number}": bytes([choice]) + block for choice in choices for number, block in enumerate(blocks)}


def kept_cases(target: str) -> dict[str, bytes]:
    """Return name -> content of the cases that fuzzing this target has kept."""
    if not KEPT.exists():
        return {}
    with zipfile.ZipFile(KEPT) as cases:
        return {name: cases.read(name) for name in cases.namelist() if name.startswith(f"{target}/")}
