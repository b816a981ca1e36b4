"""Text, charts and flat colours under white noise: `python -m benchmarks.bench_drawings [--methods TEXT...]`.

The pictures are made here, in fonts and with plots that training's drawings (train/drawings.py) do not have, so no
test set is needed. Inputs are 8-bit, sigma and averages those of README.md. Rows go into results/drawings.json.
"""

import argparse
from collections.abc import Iterator

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from aeinfer import kernels
from benchmarks import options, results
from benchmarks.bench_quality import NOISY, Denoise, Model, chosen, measure_clean, measure_noise, named
from benchmarks.noisy import SIGMAS, Images
from benchmarks.packaged import color_models
from benchmarks.peers import PEERS

SIDE = 512
SENTENCE = "A denoiser that people install without thinking twice on a laptop, a server or a Pi, 0123456789."
PAGES = (  # font, em in pixels, ink, paper
    ("serif", 13, (0, 0, 0), (255, 255, 255)),
    ("sans", 15, (205, 214, 244), (30, 30, 46)),
    ("italic", 28, (32, 48, 64), (250, 240, 220)),
)
Pixels = NDArray[np.uint8]


def text(
    font: str, em: int, ink: tuple[int, ...], paper: tuple[int, ...], rng: np.random.Generator, side: int = SIDE
) -> Pixels:
    """A page of random words, in a font that OpenCV 5 brings along."""
    page = np.full((side, side, 3), paper, np.uint8)
    for y in range(em, side, em * 3 // 2):
        line = " ".join(rng.choice(SENTENCE.split(), 2 * side // em // 3))
        cv2.putText(page, line, (em // 2, y), ink, cv2.FontFace(font), em)
    return page


def chart(rng: np.random.Generator) -> Pixels:
    """Curves, bars, a heat map and points, as matplotlib draws them."""
    figure, axes = plt.subplots(2, 2, figsize=(SIDE / 100, SIDE / 100), dpi=100)
    axes[0, 0].plot(rng.normal(size=(60, 5)).cumsum(0))
    axes[0, 1].bar(range(12), rng.random(12), color=[f"C{i % 10}" for i in range(12)])
    axes[1, 0].imshow(rng.random((16, 16)))
    axes[1, 1].scatter(*rng.random((2, 200)), c=rng.random(200), s=8)
    axes[1, 1].grid()
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return drawn


def cartoon(rng: np.random.Generator) -> Pixels:
    """Discs and bars of flat colours with black outlines under a sky."""
    sky = np.linspace((90, 150, 255), (220, 235, 255), SIDE)[:, None].repeat(SIDE, 1).astype(np.uint8)
    for _ in range(40):
        (x, y), size, colour = rng.integers(0, SIDE, 2), int(rng.integers(10, 80)), rng.integers(0, 256, 3).tolist()
        for fill, thickness in ((colour, cv2.FILLED), ((0, 0, 0), 2)):
            cv2.circle(sky, (int(x), int(y)), size, fill, thickness, cv2.LINE_AA)
            cv2.rectangle(sky, (int(y), int(x), size, 2 * size), fill, thickness)
    return sky


def drawings() -> dict[str, Images]:
    """Kind -> pictures with the place that seeds their noise."""
    rng = np.random.default_rng(0)
    kinds = {
        "text": [text(*page, rng) for page in PAGES],
        "charts": [chart(rng) for _ in range(2)],
        "cartoons": [cartoon(rng) for _ in range(2)],
    }
    return {kind: list(enumerate(map(kernels.to_float, pictures))) for kind, pictures in kinds.items()}


def measurements(denoise: Denoise, kinds: dict[str, Images]) -> Iterator[results.Row]:
    """Yield all figures of one method; of the models, which nobody tells that there is no noise, of sigma 0 as well."""
    for kind, pictures in kinds.items():
        if isinstance(denoise, Model):
            yield {"set": kind, "sigma": 0, **measure_clean(denoise, pictures)}
        for sigma in SIGMAS:
            yield {"set": kind, "sigma": sigma, **measure_noise(denoise, pictures, sigma, "8-bit")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_drawings", description=__doc__)
    options.add_methods(parser)
    args = parser.parse_args()
    if not hasattr(cv2, "FontFace"):
        parser.exit(3, f"bench_drawings: expected OpenCV 5, which brings fonts, found {cv2.__version__}; install it\n")
    models, kinds = color_models(), drawings()
    for method, denoise in chosen(parser, args.methods, models).items():
        for figures in measurements(denoise, kinds):
            row = named(method, denoise) | figures
            results.merge("drawings", [row], ("method", "set", "sigma"), {NOISY, *PEERS, *models})


if __name__ == "__main__":
    main()
