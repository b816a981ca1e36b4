"""PSNR and SSIM of the packaged photo models under Gaussian noise: `python -m benchmarks.bench_quality --data DIR`.

Protocol: image in [0, 1], RGB; noise from numpy's default_rng([10 * sigma, index in sorted order]). "float" input is
unclipped, "8-bit" is clipped and rounded, as files hold it. PSNR and SSIM per image on the output clipped to [0, 1],
then the mean over the images.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aeinfer import AEInfer, kernels, metrics
from aeinfer.image import read_image
from aeinfer.models import packaged_models, precision_files
from benchmarks import results

SETS = ("kodak24", "cbsd68")
SIGMAS = (15, 25, 50)
Denoise = Callable[[np.ndarray, float], np.ndarray]  # (noisy image, sigma) -> denoised image
NLM_STRENGTH = 0.9  # h per sigma: the best single factor of 0.7 to 1.3 on crops of Kodak24 itself, in its favour


def noisy_image(clean: np.ndarray, sigma: float, index: int) -> np.ndarray:
    noise = np.random.default_rng([int(sigma * 10), index]).standard_normal(clean.shape)
    return clean + noise.astype(np.float32) * np.float32(sigma / 255)


def non_local_means(image: np.ndarray, sigma: float) -> np.ndarray:
    """OpenCV's fast non-local means, told sigma, each channel by itself."""
    image = kernels.from_float(image, np.uint8)
    channels = [cv2.fastNlMeansDenoising(c, None, NLM_STRENGTH * sigma, 7, 21) for c in cv2.split(image)]
    return kernels.to_float(np.stack(channels, 2))


def denoisers() -> dict[str, Denoise]:
    """The packaged colour models, fp32 and int8, and what a user would otherwise take."""
    found: dict[str, Denoise] = {
        "noisy": lambda image, _sigma: image,
        "OpenCV non-local means": non_local_means,
    }
    for name, path in packaged_models().items():
        for precision, file in precision_files(path).items():
            if (ae := AEInfer.load(file)).info.channels == 3:
                found[f"{name} {precision}"] = lambda image, _sigma, ae=ae: ae(image)
    return found


def measure(denoise: Denoise, images: list[np.ndarray], sigma: float, eight_bit: bool) -> tuple[float, float]:
    """Mean PSNR in dB and mean SSIM over the images."""
    psnrs, ssims = [], []
    for index, clean in enumerate(images):
        noisy = noisy_image(clean, sigma, index) if sigma else clean
        if eight_bit:
            noisy = kernels.to_float(kernels.from_float(noisy, np.uint8))
        denoised = np.clip(denoise(noisy, sigma), 0, 1)
        psnrs.append(metrics.psnr(denoised, clean, data_range=1.0))
        ssims.append(metrics.ssim(denoised, clean, data_range=1.0))
    return float(np.mean(psnrs)), float(np.mean(ssims))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=f"folder with the test sets {', '.join(SETS)}")
    parser.add_argument("--every", type=int, default=1, help="measure every Nth image only, for a quick look")
    args = parser.parse_args()
    if missing := [name for name in SETS if not (args.data / name).is_dir()]:
        parser.exit(
            2, f"bench_quality: no {', '.join(missing)} in {args.data}: expected a folder of PNG images of each\n"
        )
    sets = {name: sorted((args.data / name).glob("*.png"))[:: args.every] for name in SETS}
    images = {name: [kernels.to_float(read_image(path).pixels) for path in paths] for name, paths in sets.items()}
    rows: list[dict[str, Any]] = []
    for method, denoise in denoisers().items():
        for name in SETS:
            for eight_bit in (False, True):
                for sigma in SIGMAS:
                    if method == "OpenCV non-local means" and not eight_bit:
                        continue  # it takes 8-bit images only
                    psnr, ssim = measure(denoise, images[name], sigma, eight_bit)
                    row = {"method": method, "set": name, "input": "8-bit" if eight_bit else "float", "sigma": sigma}
                    rows.append({**row, "images": len(images[name]), "psnr": round(psnr, 2), "ssim": round(ssim, 4)})
                    print(rows[-1], flush=True)
    if args.every == 1:
        results.save("quality", rows)


if __name__ == "__main__":
    main()
