"""Noise as a camera makes it: sensor noise put into a clean photograph before demosaicing, tone curve and JPEG.

The way to linear light and back, and the strengths, follow Brooks et al., "Unprocessing Images for Learned Raw
Denoising" (CVPR 2019); mosaic and JPEG inside the loop follow Guo et al., "Toward Convolutional Blind Denoising of Real
Photographs" (CVPR 2019). What the mosaic alone changes is taken out, so that the photograph itself stays the target.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels, noise
from train.files import through_jpeg

Image = NDArray[np.float32]

# from CIE XYZ to the colours of four cameras' sensors, as Brooks et al. give them
XYZ_TO_CAMERA = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.6130, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.8380, -0.2630, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.0970, 0.1581, 0.5181]],
    ]
)
# linear sRGB (D65) to CIE XYZ, IEC 61966-2-1
RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)

DEMOSAIC = {  # OpenCV's code for the corner (y, x) of the 2x2 pattern R G / G B that a mosaic starts at
    (0, 0): (cv2.COLOR_BayerRGGB2RGB, cv2.COLOR_BayerRGGB2RGB_EA),
    (0, 1): (cv2.COLOR_BayerGRBG2RGB, cv2.COLOR_BayerGRBG2RGB_EA),
    (1, 0): (cv2.COLOR_BayerGBRG2RGB, cv2.COLOR_BayerGBRG2RGB_EA),
    (1, 1): (cv2.COLOR_BayerBGGR2RGB, cv2.COLOR_BayerBGGR2RGB_EA),
}
BLACK = 1 / 16  # of the raw range lies below black, as sensors have it: noise around black is not cut off
RAW_MAX = 65535
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
LEVELS = 4096  # of the table from linear light to sRGB
GAMMA = 2.2


def to_linear(x: Image) -> Image:
    """Undo the tone curve 3x^2 - 2x^3 and then the gamma, both on [0, 1]."""
    return (0.5 - np.sin(np.arcsin(1 - 2 * x) / 3)) ** GAMMA


def from_linear(x: Image) -> Image:
    """Gamma and then the tone curve 3x^2 - 2x^3, both on [0, 1]."""
    x = x ** (1 / GAMMA)
    return 3 * x**2 - 2 * x**3


LINEAR = to_linear(np.linspace(0, 1, 256)).astype(np.float32)
DISPLAYED = from_linear(np.linspace(0, 1, LEVELS)).astype(np.float32)


def add_camera_noise(photo: NDArray[np.uint8], rng: np.random.Generator, at_edges: float = 1.0) -> Image:
    """Return the photograph as a camera with a noisy sensor would have given it.

    Parameters
    ----------
    photo : uint8 (H, W, 3)
        Clean RGB.
    rng : Generator
        Draws the camera, the light, the strength of the noise and the quality of the JPEG.
    at_edges : float
        How many times the sensor's noise there is at most: above 1 is what sharpening makes of it.

    Returns
    -------
    float32 (H, W, 3) in [0, 1], of whole 8-bit levels.
    """
    to_camera = rng.dirichlet(np.ones(len(XYZ_TO_CAMERA))) @ XYZ_TO_CAMERA.reshape(-1, 9)
    to_camera = to_camera.reshape(3, 3) @ RGB_TO_XYZ
    to_camera /= to_camera.sum(1, keepdims=True)  # white stays white
    white_balance = np.array([rng.uniform(1.9, 2.4), 1.0, rng.uniform(1.5, 1.9)])
    exposure = 1 / rng.normal(0.8, 0.1)
    develop = np.linalg.inv(to_camera) * white_balance * exposure
    corner, edge_aware = (int(rng.integers(2)), int(rng.integers(2))), int(rng.integers(2))

    light = cv2.transform(LINEAR[photo], np.linalg.inv(develop))
    raw = _mosaic(np.clip(light, 0, 1), corner)
    log_shot = rng.uniform(np.log(1e-4), np.log(0.012))
    log_read = 2.18 * log_shot + 1.2 + rng.normal(0, 0.26)
    noisy_raw = noise.add_poisson_gaussian(
        raw, sigma=255 * np.exp(log_read / 2), peak=np.exp(-log_shot), seed=int(rng.integers(2**62))
    )
    noisy, plain = (_develop(r, DEMOSAIC[corner][edge_aware], develop) for r in (noisy_raw, raw))
    return _jpeg(kernels.to_float(photo) + _smoothed(noisy - plain, photo, rng, at_edges), rng)


def _mosaic(light: Image, corner: tuple[int, int]) -> Image:
    """(H, W, 3) -> (H, W): of each pixel the one colour that its filter lets through."""
    y, x = corner
    raw = light[..., 1].copy()
    raw[y::2, x::2] = light[y::2, x::2, 0]
    raw[1 - y :: 2, 1 - x :: 2] = light[1 - y :: 2, 1 - x :: 2, 2]
    return raw


def _develop(raw: Image, demosaic: int, develop: NDArray[np.float64]) -> Image:
    """Raw values -> displayed (H, W, 3) in [0, 1]."""
    stored = np.clip((raw * (1 - BLACK) + BLACK) * RAW_MAX, 0, RAW_MAX).astype(np.uint16)
    light = cv2.cvtColor(stored, demosaic) / np.float32(RAW_MAX * (1 - BLACK)) - np.float32(BLACK / (1 - BLACK))
    light = np.clip(cv2.transform(light, develop), 0, 1)
    return DISPLAYED[(light * (LEVELS - 1) + 0.5).astype(np.int32)]


def _smoothed(difference: Image, photo: NDArray[np.uint8], rng: np.random.Generator, at_edges: float) -> Image:
    """What the camera's own noise reduction leaves: a little of the grain blurred, of the colour faint wide blotches.

    Both are least where the picture is flat, as that is where a camera smooths, and grow with its local contrast, up to
    `at_edges` times what the sensor gave.

    Widths and strengths cover the PolyU photographs (Xu et al. 2018): correlation of neighbours in luma 0.56, of pixels
    four apart in the colour differences 0.54, and colour differences of a quarter of the luma's variance. Luma's noise
    is four times as strong there at edges as between them, that of the colour differences twice: networks that are to
    keep sharp textures as well see less. One photograph of ten is left as the sensor gave it.
    """
    if rng.random() < 0.1:
        return difference
    luma = (difference @ LUMA)[..., None]
    grain, colour, kept = rng.uniform(0.2, 0.8), rng.uniform(1.0, 6.0), rng.uniform(0.3, 1.0)
    flat, slope = rng.uniform(0.3, 1.0), rng.uniform(0.0, 0.4 * at_edges)
    left = np.minimum(flat * (1 + slope * _contrast(photo) ** 0.75), at_edges)[..., None]
    blurred = cv2.GaussianBlur(luma, (0, 0), grain)[..., None]
    return left * blurred + np.float32(kept) * np.sqrt(left) * cv2.GaussianBlur(difference - luma, (0, 0), colour)


def _contrast(photo: NDArray[np.uint8]) -> Image:
    """(H, W) of how far luma is from its surroundings, in 8-bit levels: 0.5 where it is flat, 5 to 30 at edges."""
    luma = photo.astype(np.float32) @ LUMA
    return cv2.GaussianBlur(np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 1.5)), (0, 0), 1.5)


def _jpeg(image: Image, rng: np.random.Generator) -> Image:
    """Round to 8 bits and, nine times of ten, go through JPEG.

    A coarse JPEG makes specks of noise: single cosines of 8x8 pixels. All of PolyU's files are of quality 75.
    """
    levels = kernels.from_float(image, np.uint8)
    return kernels.to_float(levels if rng.random() < 0.1 else through_jpeg(levels, rng))
