"""The picture of `aeinfer compare`: images side by side, each above its caption; measures and writes nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aeinfer.kernels import from_float, to_float
from aeinfer.opencv import caption_strip
from aeinfer.picture import Pixels

__all__ = ["side_by_side", "stacked"]

Sheet = NDArray[np.uint8]  # (H, W, 3)

GAP = 8  # pixels between images
WHITE = 255


def side_by_side(images: Sequence[Pixels], captions: Sequence[str]) -> Sheet:
    """Lay images of any dtype, (H, W) or (H, W, 3), beside each other in 8 bits, each above its caption."""
    cells = []
    for image, caption in zip(images, captions, strict=True):
        shown = from_float(to_float(image), np.uint8)
        colour = shown if shown.ndim == 3 else np.dstack([shown] * 3)
        cells.append(stacked([colour, caption_strip(caption, colour.shape[1])]))
    height = max(cell.shape[0] for cell in cells)
    return np.hstack([_padded(cell, height, cell.shape[1] + GAP) for cell in cells])[:, :-GAP]


def stacked(sheets: Sequence[Sheet]) -> Sheet:
    """Lay sheets below each other, white where one is narrower."""
    width = max(sheet.shape[1] for sheet in sheets)
    return np.vstack([_padded(sheet, sheet.shape[0], width) for sheet in sheets])


def _padded(sheet: Sheet, height: int, width: int) -> Sheet:
    return np.pad(sheet, ((0, height - sheet.shape[0]), (0, width - sheet.shape[1]), (0, 0)), constant_values=WHITE)
