"""Compares images that two machines made of the same ones; makes none itself.

python -m scripts.compare_results theirs/ ours/
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from aeinfer.image import read_image
from aeinfer.inputs import list_images

ALLOWED = {"float32": (1e-5, 1e-6), "uint8": (6, 0.5)}
"""Largest and mean difference. In fp32, sums are made in another order. In int8, convolutions give the same bits on
every processor, but onnxruntime 1.32 rounds a few of the quantized sums (QLinearAdd) and of what was added up in
floating point to the other side of a tie, and the layers behind spread each over its surroundings. That is a level
here and there; a product that saturates would be tens of them."""


def compare(path: Path, other: Path) -> tuple[str, bool]:
    """Say how much two images differ, and whether it is little enough."""
    if not path.is_file():
        return "missing", False
    pixels, others = read_image(path).pixels, read_image(other).pixels
    if pixels.shape != others.shape or pixels.dtype != others.dtype:
        return f"{pixels.shape} {pixels.dtype} is not {others.shape} {others.dtype}", False
    distance = np.abs(pixels.astype(np.float64) - others)
    largest, mean = float(distance.max()), float(distance.mean())
    most, usual = ALLOWED[str(others.dtype)]
    said = f"differs by {largest:.2g}, on average {mean:.2g}; allowed are {most:g} and {usual:g}"
    return said, math.isfinite(mean) and largest <= most and mean <= usual


def main() -> int:
    """Print a line for each image of the second folder; return 1 if one is missing in the first or differs too much."""
    parser = argparse.ArgumentParser(description="Compare images that two machines made of the same ones.")
    parser.add_argument("theirs", type=Path)
    parser.add_argument("ours", type=Path)
    args = parser.parse_args()
    good = []
    for ours in list_images(args.ours):
        said, close = compare(args.theirs / ours.name, ours)
        print(f"{ours.name}: {said}")
        good.append(close)
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
