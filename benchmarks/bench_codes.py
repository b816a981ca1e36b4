"""PSNR over the size of the code: `python -m benchmarks.bench_codes runs/sweep --data data/mnist` after train.sweep.

The convolutional autoencoders pyramid-N at the noise they were trained on, the dense ones dense-N on clean digits, and
principal components at both, on the 10,000 test digits. The checkpoints are too large to be kept; the figures are.
"""

import argparse
import re
from pathlib import Path

from aeinfer import InputError
from benchmarks import options, results
from train.evaluate import SIGMA, Trained, measure, measure_components, read_both

FAMILIES = re.compile(r"(pyramid|dense)-\d+")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_codes", description=__doc__)
    parser.add_argument("sweep", type=Path, help="the folder that train.sweep wrote")
    options.add_digits(parser)
    args = parser.parse_args()
    try:
        train, clean, _labels = read_both(args.data)
        paths = sorted(path for path in args.sweep.glob("*/best.pt") if FAMILIES.fullmatch(path.parent.name))
        if not paths:
            raise InputError(f"expected what train.sweep wrote, found no pyramid-N, no dense-N in {args.sweep}")
        networks = [Trained(path) for path in paths]
    except InputError as error:
        parser.exit(2, f"bench_codes: {error}\n")
    rows = [network.facts | measure(network, clean, network.facts["trained on sigma"]) for network in networks]
    results.save("codes", rows + measure_components(train, clean, sigmas=(0.0, SIGMA)))


if __name__ == "__main__":
    main()
