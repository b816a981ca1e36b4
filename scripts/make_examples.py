"""Make examples/ again: small CC0 photographs and test digits, clean and noisy.

`python -m scripts.make_examples --photos data/photos --digits data/mnist`
"""

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np

from aeinfer import kernels
from aeinfer.cli import main as aeinfer
from aeinfer.errors import InputError
from train.camera import add_camera_noise
from train.idx import read_digits

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = ("budgie__abstract-spiral", "budgie__canyon-wren", "budgie__singaporean-cityscape")  # CC0-1.0
CAMERA = "canyon-wren"  # has a camera's noise, the others white noise
CAMERA_SEED = 0
LONGEST_SIDE = 400
DIGITS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.make_examples", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--digits", type=Path, required=True)
    args = parser.parse_args()
    paths = [args.photos / f"{name}.jpg" for name in PHOTOS]
    photos = [cv2.imread(str(path)) for path in paths]
    if unread := [str(path) for path, photo in zip(paths, photos, strict=True) if photo is None]:
        parser.exit(2, f"make_examples: cannot read {', '.join(unread)}\n")
    try:
        images, labels = read_digits(args.digits, "test")
    except InputError as error:
        parser.exit(2, f"make_examples: {error}\n")
    for folder in ("photos", "digits"):
        shutil.rmtree(EXAMPLES / folder, ignore_errors=True)
        (EXAMPLES / folder / "clean").mkdir(parents=True)
    for name, photo in zip(PHOTOS, photos, strict=True):
        scale = LONGEST_SIDE / max(photo.shape)
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(EXAMPLES / "photos" / "clean" / f"{name.partition('__')[2]}.png"), small)
    for digit in range(DIGITS):
        cv2.imwrite(str(EXAMPLES / "digits" / "clean" / f"{digit}.png"), images[(labels == digit).argmax()])
    for folder, sigma in (("photos", "25"), ("digits", "127.5")):
        clean, noisy = str(EXAMPLES / folder / "clean"), str(EXAMPLES / folder / "noisy")
        code = aeinfer(["noise", clean, "-o", noisy, "--sigma", sigma, "--quiet"])
        if code:
            raise SystemExit(code)
    clean = cv2.imread(str(EXAMPLES / "photos" / "clean" / f"{CAMERA}.png"), cv2.IMREAD_COLOR_RGB)
    noisy = kernels.from_float(add_camera_noise(clean, np.random.default_rng(CAMERA_SEED)), np.uint8)
    cv2.imwrite(str(EXAMPLES / "photos" / "noisy" / f"{CAMERA}.png"), noisy[..., ::-1])


if __name__ == "__main__":
    main()
