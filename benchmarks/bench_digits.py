"""PSNR of the packaged digit models on the 10,000 test digits: `python -m benchmarks.bench_digits --data data/mnist`.

The dense autoencoder gets clean digits, the conv one digits under Gaussian noise of sigma 127.5 (0.5 in [0, 1] units):
unclipped float, and clipped and rounded to 8 bits. PCA is fitted on the training digits, the Wiener filter as well.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from aeinfer import AEInfer, InputError, kernels, noise
from aeinfer.models import packaged_models
from benchmarks import results
from train.idx import read_digits

SIGMA = 127.5
NOISE_SEED = 1000  # training counts its seeds from 0, one an epoch


def mean_psnr(output: np.ndarray, clean: np.ndarray) -> float:
    """Mean over the images of the PSNR in dB."""
    errors = np.square(output.astype(np.float64) - clean).mean((1, 2))
    return float((-10 * np.log10(errors)).mean())


def pca(train: np.ndarray, test: np.ndarray, numbers: int) -> np.ndarray:
    """Reconstruct from the first principal components of the training digits."""
    flat, mean = train.reshape(len(train), -1), train.mean(0).ravel()
    _values, vectors = np.linalg.eigh(np.cov(flat - mean, rowvar=False))
    basis = vectors[:, -numbers:]
    return (((test.reshape(len(test), -1) - mean) @ basis) @ basis.T + mean).reshape(test.shape)


def wiener(train: np.ndarray, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """The best linear filter for unclipped noise: C (C + sigma^2 I)^-1 around the mean of the training digits."""
    flat, mean = train.reshape(len(train), -1), train.mean(0).ravel()
    covariance = np.cov(flat - mean, rowvar=False)
    gain = np.linalg.solve(covariance + (sigma / 255) ** 2 * np.eye(len(covariance)), covariance)
    return ((noisy.reshape(len(noisy), -1) - mean) @ gain + mean).reshape(noisy.shape)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_digits", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    args = parser.parse_args()
    try:
        train, clean = (kernels.to_float(read_digits(args.data, split)[0]) for split in ("train", "test"))
    except InputError as error:
        parser.exit(2, f"bench_digits: {error}\n")
    unclipped = noise.add_gaussian(clean, SIGMA, seed=NOISE_SEED, index=np.arange(len(clean)))
    eight_bit = kernels.from_float(unclipped, np.uint8)
    inputs = {"clean": clean, "sigma 127.5, float": unclipped, "sigma 127.5, 8-bit": eight_bit}
    rows: list[dict[str, Any]] = []

    def add(method: str, shown: str, output: np.ndarray) -> None:
        rows.append({"method": method, "input": shown, "psnr": round(mean_psnr(kernels.to_float(output), clean), 2)})

    add("noisy", "sigma 127.5, float", unclipped)
    add("noisy", "sigma 127.5, 8-bit", eight_bit)
    add("PCA, 64 numbers", "clean", np.clip(pca(train, clean, 64), 0, 1).astype(np.float32))
    add("Wiener filter", "sigma 127.5, float", np.clip(wiener(train, unclipped, SIGMA), 0, 1).astype(np.float32))
    for name, shown in (("mnist-dense", ["clean"]), ("mnist-conv", list(inputs)[1:])):
        for precision in ("fp32", "int8"):
            path = packaged_models()[name]
            with AEInfer.load(path, precision=precision) as ae:
                for each in shown:
                    add(f"{name} {precision}", each, ae.denoise_batch(inputs[each]))
    results.save("digits", rows)


if __name__ == "__main__":
    main()
