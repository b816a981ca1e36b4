"""Every autoencoder of digits side by side: `python -m benchmarks.bench_autoencoders --data data/mnist`; trains none.

The packaged ones and those of models/, fp32 and int8, on the 10,000 test digits: clean, and under Gaussian noise of
sigma 127.5 (0.5 in [0, 1] units), unclipped float, and clipped and rounded to 8 bits. Beside them principal components
and the Wiener filter, fitted on the training digits and told sigma, OpenCV's non-local means, BM3D, and the figures of
keras_seed.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from aeinfer import AEInfer, InputError, kernels
from aeinfer.model_bytes import fingerprint_of
from benchmarks import options, results
from benchmarks.graph import graph_cost, remembered_places
from benchmarks.noisy import rounded
from benchmarks.packaged import digit_models
from benchmarks.timing import interleaved_seconds
from train.evaluate import SIGMA, Digits, mean_psnr, noisy_digits, read_both
from train.linear import PrincipalComponents

SIDE = 28
CODE = 64
TIMED, ROUNDS = 500, 3  # digits of a call, and calls of which the median counts
STRENGTH, PATCH = 0.5, 3  # of non-local means, in sigma and pixels: the best of many on a thousand training digits
BM3D_EVERY = 100
Denoise = Callable[[Digits], Digits]
Inputs = dict[str, Digits]


def psnrs(denoise: Denoise, inputs: Inputs, shown: tuple[str, ...]) -> dict[str, float]:
    return {name: round(mean_psnr(denoise(inputs[name]), inputs["clean"]), 2) for name in shown}


def sharpness(images: Digits) -> float:
    """Energy of the differences between neighbours: what blur takes away."""
    return sum(float(np.square(np.diff(images, axis=axis), dtype=np.float64).sum()) for axis in (1, 2))


def checkerboard(images: Digits) -> float:
    """Share of the energy that lies in the finest checkerboard, which 2x2 blocks have in common with it."""
    a, b, c, d = (images[:, y::2, x::2] for y in (0, 1) for x in (0, 1))
    return float(np.square((a - b - c + d) / 2).sum() / np.square(images).sum())


def measure_model(method: str, path: Path, inputs: Inputs) -> results.Row:
    """What a model costs and gives; an int8 file where it is at home."""
    content, clean = path.read_bytes(), inputs["clean"]
    macs, parameters = graph_cost(content, SIDE, SIDE)
    with AEInfer.load(path) as ae:
        row = {"method": method, "fingerprint": fingerprint_of(content), "code": ae.info.code}
        row |= {"places": remembered_places(content, SIDE, SIDE), "parameters": parameters, "kmac": round(macs / 1000)}
        output = ae.denoise_batch(inputs["float"])
        row["float"] = round(mean_psnr(output, clean), 2)
        if method.endswith("fp32"):
            row |= psnrs(ae.denoise_batch, inputs, ("8-bit", "clean"))
            row["sharpness"] = round(sharpness(output) / sharpness(clean), 3)
            row["checkerboard"] = round(checkerboard(output) / checkerboard(clean), 3)
        elif ae.info.noise == "none":
            row |= psnrs(ae.denoise_batch, inputs, ("clean",))
        return row


def images_per_second(files: dict[str, Path], images: Digits) -> dict[str, int]:
    """Digits a second through denoise_batch, all models by turns, in the median round."""
    given = kernels.from_float(images, np.uint8)
    loaded = {method: AEInfer.load(path) for method, path in files.items()}
    seconds = interleaved_seconds({method: partial(ae.denoise_batch, given) for method, ae in loaded.items()}, ROUNDS)
    return {method: round(len(given) / float(np.median(times))) for method, times in seconds.items()}


def non_local_means(noisy: Digits) -> Digits:
    given = kernels.from_float(noisy, np.uint8)
    denoised = [cv2.fastNlMeansDenoising(image, None, STRENGTH * SIGMA, PATCH, 21) for image in given]
    return kernels.to_float(np.stack(denoised))


def bm3d(noisy: Digits) -> Digits:
    from bm3d import bm3d as by_its_authors

    denoised = [by_its_authors(image.astype(np.float64), SIGMA / 255) for image in noisy]
    return np.clip(np.stack(denoised), 0, 1).astype(np.float32)


def measure_others(train: Digits, inputs: Inputs) -> list[results.Row]:
    """What is told sigma, or only linear, or both."""
    components = PrincipalComponents(train)
    squeezed = partial(components.denoise, numbers=CODE, sigma=SIGMA)
    rows = [
        {"method": "noisy", **psnrs(lambda images: images, inputs, ("float", "8-bit"))},
        {"method": f"PCA, {CODE} numbers", "code": CODE}
        | psnrs(partial(components.denoise, numbers=CODE), inputs, ("clean",))
        | timed(squeezed, inputs, "float"),
        {"method": "Wiener filter"} | timed(partial(components.denoise, numbers=SIDE**2, sigma=SIGMA), inputs, "float"),
        {"method": "OpenCV non-local means"} | timed(non_local_means, inputs, "8-bit"),
    ]
    some = {name: images[::BM3D_EVERY] for name, images in inputs.items()}
    try:
        rows.append({"method": f"BM3D, every {BM3D_EVERY}th digit"} | timed(bm3d, some, "float"))
    except ImportError:
        print("BM3D is not measured: pip install bm3d")
    return rows


def timed(denoise: Denoise, inputs: Inputs, shown: str) -> results.Row:
    """PSNR, and images a second of that one call."""
    begin = time.perf_counter()
    output = denoise(inputs[shown])
    seconds = time.perf_counter() - begin
    figure = round(mean_psnr(output, inputs["clean"]), 2)
    return {shown: figure, "images_per_s": round(len(output) / seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_autoencoders", description=__doc__)
    options.add_digits(parser)
    args = parser.parse_args()
    try:
        train, clean, _labels = read_both(args.data)
    except InputError as error:
        parser.exit(2, f"bench_autoencoders: {error}\n")
    noisy = noisy_digits(clean, SIGMA)
    inputs = {"clean": clean, "float": noisy, "8-bit": rounded(noisy)}
    files = digit_models()
    rows = measure_others(train, inputs)
    if (results.FOLDER / "keras.json").exists():
        rows += results.load("keras")["rows"]
    speeds = images_per_second(files, noisy[:TIMED])
    rows += [measure_model(method, path, inputs) | {"images_per_s": speeds[method]} for method, path in files.items()]
    results.save("autoencoders", rows)


if __name__ == "__main__":
    main()
