"""Pictures for the tests of image files: made from a seed, coded by Pillow; and which files lie in a folder."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

try:
    import cv2
except ImportError:
    cv2 = None

needs_metadata = pytest.mark.skipif(
    not hasattr(cv2, "imdecodeWithMetadata"), reason="metadata needs OpenCV 5 (imdecodeWithMetadata)"
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep OpenCV's own lines out of the tests' output."""
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # version 4, and 5
    before = logging.getLogLevel()
    logging.setLogLevel(0)
    yield
    logging.setLogLevel(before)


def pixels_of(shape: tuple[int, ...] = (24, 32, 3), dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.normal(0.5, 1, shape).astype(np.float32)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def saved(pixels: np.ndarray, name: str, **options: object) -> bytes:
    pil = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pil.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def files(place: str | Path) -> list[str]:
    """List the files of a tree."""
    return sorted(path.relative_to(place).as_posix() for path in Path(place).rglob("*") if path.is_file())
