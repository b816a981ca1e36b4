"""A folder of photographs, read once: their pixels, which of them are held out, and a digest of them all."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import ImageReadError, InputError
from aeinfer.file_format import inspect

Photo = NDArray[np.uint8]  # (H, W, 3), RGB

HELD_OUT = 20  # every 20th photograph, in sorted order
LEAST_SIDE = 8  # pixels a side of photographs
LEAST_HELD_OUT = 64  # pixels a side of those: one pixel in four of them is still 16, the largest stride


def read_photos(folder: Path) -> tuple[list[Photo], list[Photo], str]:
    """Return the photographs to train with, those held out, and what tells all files, in their order, from any others.

    Raises
    ------
    InputError
        There are fewer than two photographs, or one is damaged or too small.
    """
    trained_on: list[Photo] = []
    held_out: list[Photo] = []
    digest = hashlib.sha256()
    for i, path in enumerate(_find_photos(folder)):
        content = path.read_bytes()
        digest.update(hashlib.sha256(content).digest())
        photo = _decoded(content, path)
        if i % HELD_OUT:
            trained_on.append(photo)
            continue
        height, width = photo.shape[:2]
        if min(height, width) < LEAST_HELD_OUT:
            raise InputError(
                f"expected held-out photographs of at least {LEAST_HELD_OUT}x{LEAST_HELD_OUT} pixels, "
                f"got {height}x{width} in {path}; take it out of the folder"
            )
        held_out.append(photo)
    return trained_on, held_out, digest.hexdigest()


def _find_photos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"expected a folder of photographs, but there is no folder {folder}; name one with --data")
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))  # macOS leaves hidden ._NAME.jpg
    paths = sorted(path for path in visible if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if len(paths) < 2:
        raise InputError(f"expected a folder with at least 2 photographs (.jpg, .png), found {len(paths)} in {folder}")
    return paths


def _decoded(content: bytes, path: Path) -> Photo:
    try:
        inspect(content)  # OpenCV reads a file that was cut, and fills it up with grey
    except ImageReadError as error:
        raise InputError(f"expected a photograph, but {path}: {error}") from None
    image: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None or min(image.shape[:2]) < LEAST_SIDE:
        what = "OpenCV cannot read it" if image is None else f"it has {image.shape[0]}x{image.shape[1]} pixels"
        raise InputError(f"expected a photograph of at least {LEAST_SIDE}x{LEAST_SIDE} pixels, but {path}: {what}")
    return image
