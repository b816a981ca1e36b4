"""The denoisers a user would otherwise install, told sigma, at their best settings; none of their code is in aeinfer.

Their settings were chosen for the highest mean PSNR on held-out training photographs, never on a test set:
`python -m benchmarks.peers PHOTOS` prints the choice again (every 20th photograph in sorted order, the 256x256 pixels
of its middle, noise of the protocol). What needs more than `pip install aeinfer[cpu]` comes with the extra `bench`;
bm3d's licence allows non-commercial use only, so it is measured and never shipped.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from aeinfer import kernels, metrics
from benchmarks.noisy import SIGMAS, Image, noisy_image, read_float
from train.crops import middle

Settings = dict[str, float]


def non_local_means(image: Image, sigma: float, strength: float) -> Image:
    """OpenCV's fast non-local means, each channel by itself."""
    channels = cv2.split(kernels.from_float(image, np.uint8))
    return kernels.to_float(np.stack([cv2.fastNlMeansDenoising(c, None, strength * sigma, 7, 21) for c in channels], 2))


def non_local_means_colored(image: Image, sigma: float, strength: float, color: float) -> Image:
    """The same in Lab, colours apart from lightness."""
    bgr = kernels.from_float(image, np.uint8)[..., ::-1]
    denoised = cv2.fastNlMeansDenoisingColored(bgr, None, strength * sigma, color * sigma, 7, 21)
    return kernels.to_float(np.ascontiguousarray(denoised[..., ::-1]))


def bilateral(image: Image, sigma: float, color: float, space: float) -> Image:
    return cv2.bilateralFilter(image, -1, color * sigma / 255, space)


def gaussian_blur(image: Image, _sigma: float, radius: float) -> Image:
    return cv2.GaussianBlur(image, (0, 0), radius)


def wavelet(image: Image, sigma: float, strength: float) -> Image:
    """scikit-image's, in YCbCr, with its default threshold (BayesShrink) and the smooth wavelet sym4."""
    from skimage.restoration import denoise_wavelet

    return denoise_wavelet(image, strength * sigma / 255, wavelet="sym4", convert2ycbcr=True, channel_axis=2)


def total_variation(image: Image, sigma: float, strength: float) -> Image:
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, strength * sigma / 255, channel_axis=2)


def non_local_means_float(image: Image, sigma: float, strength: float) -> Image:
    """scikit-image's fast mode, told sigma, with windows a little smaller than its default."""
    from skimage.restoration import denoise_nl_means

    level = sigma / 255
    return denoise_nl_means(image, 5, 6, strength * level, sigma=level, channel_axis=2)


def bm3d_color(image: Image, sigma: float) -> Image:
    """CBM3D by its authors, as it comes."""
    from bm3d import bm3d_rgb

    return bm3d_rgb(image.astype(np.float64), sigma / 255)


@dataclass(frozen=True)
class Peer:
    """One method: its function, the settings found for each of SIGMAS, and the grid they were found on.

    `every` is for a slow method, of which every Nth image is measured.
    """

    function: Callable[..., Image]
    settings: tuple[Settings, ...] = ({}, {}, {})
    grid: dict[str, Sequence[float]] = field(default_factory=dict)
    eight_bit_only: bool = False
    every: int = 1

    def __call__(self, image: Image, sigma: float) -> Image:
        nearest = min(range(len(SIGMAS)), key=lambda i: abs(SIGMAS[i] - sigma))
        return np.asarray(self.function(image, sigma, **self.settings[nearest]), np.float32)


PEERS = {
    "OpenCV Gaussian blur": Peer(
        gaussian_blur,
        ({"radius": 0.7}, {"radius": 1.0}, {"radius": 1.7}),
        grid={"radius": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0)},
    ),
    "OpenCV bilateral": Peer(
        bilateral,
        ({"color": 4, "space": 3}, {"color": 4, "space": 3}, {"color": 5, "space": 3}),
        grid={"color": (3, 3.5, 4, 5, 6), "space": (2, 3, 4, 6)},
    ),
    "OpenCV non-local means": Peer(
        non_local_means,
        ({"strength": 1.0}, {"strength": 0.9}, {"strength": 0.8}),
        grid={"strength": (0.7, 0.8, 0.9, 1.0, 1.1)},
        eight_bit_only=True,
    ),
    "OpenCV non-local means, colored": Peer(
        non_local_means_colored,
        ({"strength": 0.6, "color": 0.7}, {"strength": 0.6, "color": 0.7}, {"strength": 0.6, "color": 0.5}),
        grid={"strength": (0.5, 0.6, 0.7), "color": (0.3, 0.4, 0.5, 0.7, 1.0)},
        eight_bit_only=True,
    ),
    "scikit-image wavelet": Peer(
        wavelet,
        ({"strength": 1.0}, {"strength": 1.0}, {"strength": 0.9}),
        grid={"strength": (0.8, 0.9, 1.0, 1.1, 1.2)},
    ),
    "scikit-image total variation": Peer(
        total_variation,
        ({"strength": 0.7}, {"strength": 0.7}, {"strength": 0.9}),
        grid={"strength": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)},
    ),
    "scikit-image non-local means": Peer(
        non_local_means_float,
        ({"strength": 0.6}, {"strength": 0.5}, {"strength": 0.3}),
        grid={"strength": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)},
        every=4,
    ),
    "BM3D": Peer(bm3d_color, every=17),
}


def tune(peer: Peer, images: Sequence[Image], sigma: float) -> tuple[float, Settings]:
    """Return the highest mean PSNR in dB over the images, 8-bit input, and the settings that give it."""

    def score(settings: Settings) -> float:
        psnrs = []
        for index, clean in enumerate(images):
            denoised = peer.function(noisy_image(clean, sigma, index, "8-bit"), sigma, **settings)
            psnrs.append(metrics.psnr(np.clip(denoised, 0, 1).astype(np.float32), clean, data_range=1.0))
        return float(np.mean(psnrs))

    choices = [dict(zip(peer.grid, values, strict=True)) for values in itertools.product(*peer.grid.values())]
    return max(((score(settings), settings) for settings in choices), key=lambda scored: scored[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of training photographs")
    folder = parser.parse_args().photos
    if not (paths := sorted(folder.glob("*.jpg"))):
        parser.exit(2, f"peers: no photographs in {folder}: expected .jpg files\n")
    images = [np.ascontiguousarray(middle(read_float(path), 256)) for path in paths[::20]]
    for name, peer in PEERS.items():
        for sigma in SIGMAS if peer.grid else ():
            psnr, settings = tune(peer, images, sigma)
            print(f"{name}, sigma {sigma}: {settings}, {psnr:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
