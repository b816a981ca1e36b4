"""The test images and the noise put on them, the same in every run (README.md); nothing is denoised here."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels
from aeinfer.image import read_image

Image = NDArray[np.float32]  # (H, W, 3), RGB, [0, 1] nominal
Images = list[tuple[int, Image]]  # each with its place in the whole set's sorted order, which seeds its noise

SIGMAS = (15, 25, 50)  # in 8-bit levels
INPUTS = ("float", "8-bit")
JPEGS = {"JPEG 95": 95, "JPEG 80": 80}  # with colour at half the resolution, as most programs write them


def read_float(path: Path) -> Image:
    """Return the pixels of a file as float32 in [0, 1]."""
    return kernels.to_float(read_image(path).pixels)


def read_set(folder: Path, every: int = 1) -> Images:
    """Return every Nth image of a test set."""
    paths = sorted(folder.glob("*.png"))
    return [(index, read_float(paths[index])) for index in range(0, len(paths), every)]


def noisy_image(clean: Image, sigma: float, index: int, shown: str = "float") -> Image:
    """Return the image under Gaussian noise of `sigma` 8-bit levels; "8-bit" clips and rounds it, as files hold it.

    One of JPEGS is then written and read as a JPEG of that quality.
    """
    noise = np.random.default_rng([int(sigma * 10), index]).standard_normal(clean.shape)
    noisy = clean + noise.astype(np.float32) * np.float32(sigma / 255)
    if shown in JPEGS:
        return through_jpeg(noisy, JPEGS[shown])
    return rounded(noisy) if shown == "8-bit" else noisy


def rounded(image: Image) -> Image:
    """Clip and round to 8 bits, as files hold it."""
    return kernels.to_float(kernels.from_float(image, np.uint8))


def through_jpeg(image: Image, quality: int) -> Image:
    """Write and read an image as a JPEG with colour at half the resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _ok, file = cv2.imencode(".jpg", kernels.from_float(image, np.uint8)[..., ::-1], options)
    return kernels.to_float(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB))


def real_pairs(folder: Path) -> Iterator[tuple[Image, Image]]:
    """Yield (noisy photograph, reference) of each pair NAME_real, NAME_mean in sorted order."""
    for path in sorted(folder.glob("*_real.*")):
        yield read_float(path), read_float(path.with_name(path.name.replace("_real.", "_mean.")))
