"""What files make of pictures: JPEG, and colour at half the resolution, as in most JPEGs and videos; adds no noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["as_file", "through_jpeg", "with_half_colour"]

Levels = NDArray[np.uint8]

QUALITY = 60, 100  # of JPEGs
FULL_COLOUR = 0.3  # that share of the JPEGs has colour at full resolution
VIDEO = 0.35  # that share of what is held as files is held as video does: colour halved, nothing else lost
WHOLE_COLUMNS = 0.3  # that share of those has colour halved along the rows alone, as webcams and studios have it


def through_jpeg(levels: Levels, rng: np.random.Generator) -> Levels:
    """(H, W, 3) RGB as a JPEG of some quality gives it back, mostly with colour at half the resolution."""
    full = rng.random() < FULL_COLOUR
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    quality = int(rng.integers(*QUALITY, endpoint=True))
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _ok, file = cv2.imencode(".jpg", levels[..., ::-1], options)
    decoded: Levels = cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)
    return decoded


def as_file(levels: Levels, rng: np.random.Generator) -> Levels:
    """(H, W, 3) RGB of even sides as a JPEG or a frame of a video gives it back.

    Noise that was white is so no longer: what of it differs between the colours is coarser, and much of it gone, so
    that the rest is alike in all colours. A network that never saw this takes it for texture, and leaves all of it.
    Which two pixels share a video's colour is drawn: in a part of a frame, or after another conversion, it is others.
    """
    if rng.random() >= VIDEO:
        return through_jpeg(levels, rng)
    top, left = rng.integers(2, size=2)
    frame = cv2.copyMakeBorder(levels, top, top, left, left, cv2.BORDER_REPLICATE)
    shown = with_half_colour(frame, rows=1 if rng.random() < WHOLE_COLUMNS else 2)
    return shown[top : top + levels.shape[0], left : left + levels.shape[1]]


def with_half_colour(frame: Levels, rows: int = 2) -> Levels:
    """(H, W, 3) RGB of even sides as a frame of video, whose colour two pixels share in each of one or two `rows`."""
    luma, *chroma = cv2.split(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb))
    small = [cv2.resize(plane, None, fx=0.5, fy=1 / rows, interpolation=cv2.INTER_AREA) for plane in chroma]
    size = luma.shape[::-1]
    repeated = [cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST) for plane in small]
    shown: Levels = cv2.cvtColor(cv2.merge([luma, *repeated]), cv2.COLOR_YCrCb2RGB)
    return shown
