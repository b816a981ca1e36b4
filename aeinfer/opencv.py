"""OpenCV itself: imported on first use, silenced, asked what it can do, and its one line of text; no image files."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import BackendMissingError
from aeinfer.forking import importing

__all__ = ["can_write", "caption_strip", "has_metadata", "load_opencv", "quiet_opencv"]


def load_opencv() -> Any:
    """Import OpenCV on first use, and return it.

    Raises
    ------
    BackendMissingError
        It is not installed.
    """
    try:
        with importing:
            import cv2
    except ImportError as error:
        raise BackendMissingError(
            f'images need OpenCV, which does not import ({error}); install it with: pip install "aeinfer[cpu]"'
        ) from error
    return cv2


def quiet_opencv() -> None:
    """Stop OpenCV's own lines on stderr, for the whole process: a program that reports each bad file needs no echo.

    Raises
    ------
    BackendMissingError
        OpenCV is not installed.
    """
    cv2 = load_opencv()
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # version 4, and 5
    logging.setLogLevel(0)


def has_metadata() -> bool:
    """Tell whether this OpenCV reads and writes metadata: version 5 does.

    Raises
    ------
    BackendMissingError
        OpenCV is not installed.
    """
    return hasattr(load_opencv(), "imencodeWithMetadata")


def can_write(suffix: str) -> bool:
    """Tell whether this OpenCV was built to write files of a suffix such as ".avif".

    Raises
    ------
    BackendMissingError
        OpenCV is not installed.
    """
    return bool(load_opencv().haveImageWriter("a" + suffix))


def caption_strip(caption: str, width: int) -> NDArray[np.uint8]:
    """Draw one line of black text on white, to stand below a picture.

    Parameters
    ----------
    caption : str
        OpenCV can draw ASCII; a question mark stands for all else.
    width : int
        The picture's; the strip is wider where the text needs it.

    Returns
    -------
    (H, W, 3) uint8 array.

    Raises
    ------
    BackendMissingError
        OpenCV is not installed.

    Examples
    --------
    >>> caption_strip("noisy 20.17 dB", 200).shape
    (20, 200, 3)
    """
    cv2 = load_opencv()
    caption = caption.encode("ascii", "replace").decode()  # OpenCV crashes on a lone surrogate
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, width / 1200)
    (length, height), below = cv2.getTextSize(caption, font, scale, 1)
    strip = np.full((height + below + 6, max(length + 8, width), 3), 255, np.uint8)
    cv2.putText(strip, caption, (4, height + 3), font, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
