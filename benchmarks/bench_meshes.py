"""Regular patterns, which denoisers take for noise: `python -m benchmarks.bench_meshes --data DIR [--methods TEXT...]`.

Crops of photographs without noise, each seen through meshes as training makes them (other ones), with the mild noise of
a camera. What counts is how far a result is from the noisy picture's own PSNR: a mesh that is wiped out costs 10 dB.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer, kernels
from aeinfer.cli.options import whole
from aeinfer.metrics import psnr
from benchmarks import options
from benchmarks.noisy import read_set
from benchmarks.packaged import color_models
from train.camera import add_camera_noise
from train.crops import middle, through_mesh

SIDE, MESHES, SEED = 256, 4, 7
Image = NDArray[np.uint8]


def pairs(photos: list[Image]) -> list[tuple[Image, Image]]:
    """(noisy, clean), of the middle of each photograph through each mesh."""
    made = []
    for index, photo in enumerate(photos):
        for mesh in range(MESHES):
            rng = np.random.default_rng([SEED, index, mesh])
            clean = through_mesh(middle(photo, SIDE), rng)
            noisy = add_camera_noise(clean, rng)
            made.append((kernels.from_float(noisy, np.uint8), clean))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_meshes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs without noise, PNG")
    parser.add_argument("--every", type=whole(1), default=1, help="every Nth of them")
    options.add_methods(parser)
    args = parser.parse_args()
    photos = [kernels.from_float(photo, np.uint8) for _, photo in read_set(args.data, args.every)]
    if not photos:
        parser.error(f"expected a folder of PNG photographs, found none in {args.data}")
    made = pairs(photos)
    print(f"{len(made)} pictures; PSNR over the noisy one's, dB: mean, worst, and the share more than 0.2 below")
    before = [psnr(noisy, clean, data_range=255) for noisy, clean in made]
    files = color_models()
    for method in options.chosen(parser, files, args.methods):
        with AEInfer.load(files[method], precision=method.rpartition(" ")[2]) as ae:
            gains = np.array([psnr(ae(noisy), clean, data_range=255) for noisy, clean in made]) - before
        print(f"{method:16} {gains.mean():6.2f} {gains.min():7.2f} {np.mean(gains < -0.2):6.2f}", flush=True)


if __name__ == "__main__":
    main()
