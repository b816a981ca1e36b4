"""Noise that went through a JPEG: `python -m benchmarks.bench_files --data DIR [--methods TEXT...]`.

White noise, then a JPEG with colour at half the resolution, which leaves other noise: of what differed between the
colours little, and that coarser. Noise and averages are those of README.md. Rows go into results/files.json.
"""

import argparse
import itertools
from pathlib import Path

from benchmarks import options, results
from benchmarks.bench_quality import NOISY, chosen, measure_noise, named
from benchmarks.noisy import JPEGS, SIGMAS, read_set
from benchmarks.packaged import color_models
from benchmarks.peers import PEERS

SET = "kodak24"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_files", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=f"folder with the test set {SET}, a folder of PNG")
    options.add_methods(parser)
    args = parser.parse_args()
    if not (images := read_set(args.data / SET)):
        parser.exit(2, f"bench_files: no {SET} in {args.data}: expected a folder of PNG images\n")
    models = color_models()
    for method, denoise in chosen(parser, args.methods, models).items():
        for shown, sigma in itertools.product(JPEGS, SIGMAS):
            row = {"set": SET, "input": shown, "sigma": sigma, **measure_noise(denoise, images, sigma, shown)}
            row = named(method, denoise) | row
            results.merge("files", [row], ("method", "input", "sigma"), {NOISY, *PEERS, *models})


if __name__ == "__main__":
    main()
