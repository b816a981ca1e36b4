"""Noise that went through a JPEG: `python -m benchmarks.bench_files --data DIR [--methods TEXT...]`.

White noise, then a JPEG with colour at half the resolution, which leaves other noise: of what differed between the
colours little, and that coarser. Noise and averages are those of README.md. Rows go into results/files.json.
"""

import argparse
import itertools

from benchmarks import options, results
from benchmarks.bench_quality import NOISY, chosen, measure_noise, named
from benchmarks.noisy import JPEGS, SIGMAS
from benchmarks.packaged import color_models
from benchmarks.peers import PEERS

SET = "kodak24"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_files", description=__doc__)
    options.add_set(parser, SET)
    options.add_methods(parser)
    args = parser.parse_args()
    images = options.images(parser, args.data, SET)
    models = color_models()
    for method, denoise in chosen(parser, args.methods, models).items():
        for shown, sigma in itertools.product(JPEGS, SIGMAS):
            row = {"set": SET, "input": shown, "sigma": sigma, **measure_noise(denoise, images, sigma, shown)}
            row = named(method, denoise) | row
            results.merge("files", [row], ("method", "input", "sigma"), {NOISY, *PEERS, *models})


if __name__ == "__main__":
    main()
