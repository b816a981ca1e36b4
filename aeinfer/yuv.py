"""YUV 4:2:0 frames to BGR and back, in the colours of ITU-R BT.601; knows neither files nor networks.

The network needs no exact colours, and what leaves by the matrix that it came by keeps its own: piped frames of another
matrix, BT.709 of HD video for one, are taken alike. Those of a capture OpenCV has made BGR by their own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.opencv import load_opencv
from aeinfer.rawvideo import Layout

__all__ = ["from_bgr", "to_bgr"]

Bytes = NDArray[np.uint8]


def to_bgr(buffer: Bytes, layout: Layout) -> Bytes:
    """Return the pixels (H, W, 3) of a yuv420p or nv12 frame."""
    cv2 = load_opencv()
    frame, y, u, v = _i420(layout)
    y[: layout.height, : layout.width] = layout.pixels(buffer)
    y[layout.height :] = y[layout.height - 1]
    y[:, layout.width :] = y[:, layout.width - 1 : layout.width]
    u[:], v[:] = layout.chroma(buffer)
    if layout.full_range:
        colors = [plane.repeat(2, 0).repeat(2, 1) for plane in (v, u)]
        bgr = cv2.cvtColor(cv2.merge([y, *colors]), cv2.COLOR_YCrCb2BGR)
    else:
        bgr = cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420)
    pixels: Bytes = bgr[: layout.height, : layout.width]
    return pixels


def from_bgr(bgr: Bytes, buffer: Bytes, layout: Layout) -> None:
    """Write pixels into a yuv420p or nv12 frame; padding between its rows stays as it is."""
    cv2 = load_opencv()
    if layout.full_range:
        y, v, u = cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb))
        u, v = u[::2, ::2], v[::2, ::2]
    else:
        frame, y, u, v = _i420(layout)
        odd = layout.height % 2, layout.width % 2
        even = cv2.copyMakeBorder(bgr, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE) if any(odd) else bgr
        cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420, dst=frame)
    layout.pixels(buffer)[:] = y[: layout.height, : layout.width]
    for plane, values in zip(layout.chroma(buffer), (u, v), strict=True):
        plane[:] = values


def _i420(layout: Layout) -> tuple[Any, Bytes, Bytes, Bytes]:
    """Return a frame of even sides as OpenCV wants it, (H * 3 / 2, W), and the views on its planes."""
    rows, columns = -(-layout.height // 2), -(-layout.width // 2)
    frame = np.empty((3 * rows, 2 * columns), np.uint8)
    count = rows * columns
    y, u, v = np.split(frame.reshape(-1), [4 * count, 5 * count])
    return frame, y.reshape(2 * rows, 2 * columns), u.reshape(rows, columns), v.reshape(rows, columns)
