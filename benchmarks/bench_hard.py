"""What the models are bad at: `python -m benchmarks.bench_hard --data DIR [--methods TEXT...]`.

Noise that none or few of them have seen, regular patterns that are taken for noise, and pictures made here. Noise,
pictures and figures are those of README.md. Rows go into results/hard.json.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels
from benchmarks import options, results
from benchmarks.bench_drawings import PAGES, text
from benchmarks.bench_quality import NOISY, Denoise, Model, named, psnr
from benchmarks.noisy import Image, Images, rounded
from benchmarks.packaged import color_models
from train.camera import add_camera_noise
from train.crops import in_two_colours, middle, through_mesh
from train.drawings import STRIPES, on_stripes
from train.files import with_half_colour
from train.screens import on_screen

SET, EVERY = "kodak24", 3
SIGMA = 25 / 255
DARK = 32  # of a picture that fills so small a part of its range
RIM = 32  # rows
MESH_SIDE, MESHES, MESH_SEED = 256, 4, 7
PATTERN_SIDE, LETTERS_SIDE, COLOUR_SHAPE = 256, 256, (64, 64, 3)
PATTERNS = (  # what, made how, from which seed, how many of each image
    ("crops in 2 to 5 levels", on_screen, 8, 8),
    ("patterns in colour alone", in_two_colours, 9, 4),
)
# of a picture that is one level off, in dB: one that comes back as it was has no PSNR
UNTOUCHED = 20 * np.log10(255)
SKY, STAR, APART = 8 / 255, 220 / 255, 16  # stars of one pixel, so many pixels from each other
SKY_SHAPE, FLAT_SHAPE = (256, 256, 3), (240, 320, 3)
Noise = NDArray[np.floating]
Change = Callable[[Image, np.random.Generator], Image]


def white(clean: Image, rng: np.random.Generator) -> Noise:
    return rng.standard_normal(clean.shape)


def blurred(clean: Image, rng: np.random.Generator) -> Noise:
    return cv2.GaussianBlur(white(clean, rng), (0, 0), 2.0)


def grey(clean: Image, rng: np.random.Generator) -> Noise:
    return np.broadcast_to(rng.standard_normal(clean.shape[:2])[..., None], clean.shape)


def grain(clean: Image, rng: np.random.Generator) -> Noise:
    return cv2.GaussianBlur(grey(clean, rng), (0, 0), 1.0)


def half_grey(clean: Image, rng: np.random.Generator) -> Noise:
    return white(clean, rng) + grey(clean, rng)


def red(clean: Image, rng: np.random.Generator) -> Noise:
    return white(clean, rng) * np.array([1, 0, 0])


def in_corners(clean: Image, rng: np.random.Generator) -> Noise:
    down, across = (np.linspace(-1, 1, length) ** 2 for length in clean.shape[:2])
    return white(clean, rng) * (1 + down[:, None, None] + across[:, None])


def enlarged(clean: Image, rng: np.random.Generator) -> Noise:
    height, width = clean.shape[:2]
    return cv2.resize(white(clean[: height * 2 // 3, : width * 2 // 3], rng), (width, height))


def under(noise: Callable[[Image, np.random.Generator], Noise]) -> Change:
    """Noise brought to a standard deviation of SIGMA, and added."""

    def change(clean: Image, rng: np.random.Generator) -> Image:
        drawn = noise(clean, rng)
        return (clean + drawn * (SIGMA / drawn.std())).astype(np.float32)

    return change


def video(clean: Image, rng: np.random.Generator) -> Image:
    """White noise through a frame of video, seen from its second row and column on: other pixels share a colour."""
    levels = kernels.from_float(under(white)(clean, rng), np.uint8)
    frame = cv2.copyMakeBorder(levels, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return kernels.to_float(with_half_colour(frame)[1:-1, 1:-1])


def black_and_white(clean: Image, rng: np.random.Generator) -> Image:
    chance = rng.random(clean.shape[:2])[..., None]
    return np.where(chance < 0.025, 0, np.where(chance > 0.975, 1, clean)).astype(np.float32)


def hot(clean: Image, rng: np.random.Generator) -> Image:
    return np.where(rng.random(clean.shape[:2])[..., None] < 0.002, 1, clean).astype(np.float32)


def rows_of(clean: Image, rng: np.random.Generator) -> Image:
    return clean + rng.normal(0, 10 / 255, (len(clean), 1, 1)).astype(np.float32)


CHANGES: dict[str, Change] = {
    "white noise": under(white),
    "white noise, half of it alike in all colours": under(half_grey),
    "white noise in red alone": under(red),
    "white noise, three times as strong in the corners": under(in_corners),
    "white noise enlarged by half": under(enlarged),
    "white noise alike in all colours": under(grey),
    "the same, blurred by 1 pixel (grain)": under(grain),
    "white noise blurred by 2 pixels": under(blurred),
    "white noise, in a part of a frame of video": video,
    "5 % of the pixels black or white": black_and_white,
    "0.2 % of the pixels white": hot,
    "rows brighter or darker by 10 levels": rows_of,
}


def noises(denoise: Denoise, images: Images) -> Iterator[tuple[str, float]]:
    """Mean PSNR in dB of 8-bit pictures under each noise; last, of a 32nd of the range in 16 bits."""
    for what, change in CHANGES.items():
        changed = ((rounded(change(clean, np.random.default_rng(index))), clean) for index, clean in images)
        yield f"{what}, dB", np.mean([psnr(denoise(noisy, 0), clean) for noisy, clean in changed])
    figures = []
    for index, clean in images:
        dark = kernels.from_float(under(white)(clean, np.random.default_rng(index)) / DARK, np.uint16)
        figures.append(psnr(denoise(kernels.to_float(dark), 0) * DARK, clean))
    yield f"white noise, all in a {DARK}nd of the range, 16 bits, dB", np.mean(figures)


def beside_bars(denoise: Denoise, images: Images) -> Iterator[tuple[str, float]]:
    """PSNR in dB of the rows beside a bar of one colour without noise, as a letterbox has it; 8-bit pictures."""
    for name, colour in (("black", 0), ("white", 1)):
        figures = []
        for index, clean in images:
            noisy = rounded(under(white)(clean, np.random.default_rng(index)))
            bar = len(clean) // 8
            noisy[-bar:] = colour
            figures.append(psnr(*(image[-bar - RIM : -bar] for image in (denoise(noisy, 0), clean))))
        yield f"white noise, {RIM} rows beside a {name} bar, dB", np.mean(figures)


def meshes(denoise: Denoise, images: Images) -> Iterator[tuple[str, float]]:
    """Crops through meshes as training makes them (other ones), with a camera's mild noise: PSNR over the noisy one's.

    A mesh that is wiped out costs 10 dB.
    """
    gains = []
    for (index, photo), mesh in itertools.product(images, range(MESHES)):
        rng = np.random.default_rng([MESH_SEED, index, mesh])
        clean = through_mesh(middle(kernels.from_float(photo, np.uint8), MESH_SIDE), rng)
        noisy, clean = rounded(add_camera_noise(clean, rng)), kernels.to_float(clean)
        gains.append(psnr(denoise(noisy, 0), clean) - psnr(noisy, clean))
    yield "gain through meshes, mean, dB", np.mean(gains)
    yield "gain through meshes, the worst, dB", min(gains)


def fine_patterns(denoise: Denoise, images: Images) -> Iterator[tuple[str, float]]:
    """Crops in few levels and under patterns in colour alone, as training makes them (other ones), without noise."""
    for what, change, seed, count in PATTERNS:
        figures = []
        for (index, photo), number in itertools.product(images, range(count)):
            rng = np.random.default_rng([seed, index, number])
            clean = kernels.to_float(change(middle(kernels.from_float(photo, np.uint8), PATTERN_SIDE), rng))
            figures.append(kept(denoise, clean, clean))
        yield f"no noise, {what}, mean, dB", np.mean(figures)
        yield f"no noise, {what}, the worst, dB", min(figures)


def kept(denoise: Denoise, noisy: Image, clean: Image) -> float:
    """PSNR in dB of the result in 8 bits, at most UNTOUCHED."""
    return min(UNTOUCHED, psnr(rounded(denoise(noisy, 0)), clean))


def letters(denoise: Denoise) -> Iterator[tuple[str, float]]:
    """Pages of small letters whose colours lie where a screen's stripes show them: PSNR in dB, 8 bits."""
    fine, rng = len(STRIPES), np.random.default_rng(0)
    pages = [text(font, fine * em, ink, paper, rng, fine * LETTERS_SIDE) for font, em, ink, paper in PAGES[:2]]
    clean = [kernels.to_float(on_stripes(page)) for page in pages]
    for sigma in (0, 10):
        noisy = [rounded(page + rng.normal(0, sigma / 255, page.shape).astype(np.float32)) for page in clean]
        figures = [kept(denoise, *pair) for pair in zip(noisy, clean, strict=True)]
        yield f"letters for a screen's stripes, sigma {sigma}, dB", np.mean(figures)


def flat_colours(denoise: Denoise) -> Iterator[tuple[str, float]]:
    """By how many levels of 255 the mean of one colour is off in the channel that is off most, 8 bits, sigma 25."""
    off = []
    for colour in itertools.product((0, 0.25, 0.5, 0.75, 1), repeat=3):
        flat = np.full(COLOUR_SHAPE, colour, np.float32)
        noisy = rounded(under(white)(flat, np.random.default_rng(len(off))))
        off.append(255 * np.abs((denoise(noisy, 0) - flat).mean((0, 1))).max())
    yield "one flat colour of 125, levels off, median", np.median(off)
    yield "one flat colour of 125, levels off, the worst tenth from", np.percentile(off, 90)


def stars(denoise: Denoise) -> Iterator[tuple[str, float]]:
    """The share of their height over the sky that stars of one pixel keep, in the mean."""
    clean = np.full(SKY_SHAPE, SKY, np.float32)
    places = np.s_[APART // 2 :: APART, APART // 2 :: APART]
    clean[places] = STAR
    for sigma in (0, 10, 25):
        noisy = clean + np.random.default_rng(sigma).normal(0, sigma / 255, clean.shape).astype(np.float32)
        height = denoise(rounded(noisy), 0)[places].mean() - SKY
        yield f"height of stars of one pixel, sigma {sigma}", height / (STAR - SKY)


def saturated(denoise: Denoise) -> Iterator[tuple[str, float]]:
    """By how many levels of 255 the outermost pixels of one saturated colour are off, without noise."""
    off = []
    for colour in list(itertools.product((0, 1), repeat=3))[1:-1]:
        flat = np.full(FLAT_SHAPE, colour, np.float32)
        difference = 255 * np.abs(rounded(denoise(flat, 0)) - flat)
        off += [difference[0], difference[-1], difference[:, 0], difference[:, -1]]
    yield "outermost pixels of one saturated colour, levels off, mean", np.concatenate(off).mean()
    yield "the same, at most", np.concatenate(off).max()


def measurements(denoise: Denoise, images: Images) -> Iterator[results.Row]:
    """Every figure of one method, each with what it is of."""
    for what, figure in itertools.chain(
        noises(denoise, images),
        beside_bars(denoise, images),
        meshes(denoise, images),
        fine_patterns(denoise, images),
        letters(denoise),
        flat_colours(denoise),
        stars(denoise),
        saturated(denoise),
    ):
        yield {"what": what, "figure": round(float(figure), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_hard", description=__doc__)
    options.add_set(parser, SET)
    options.add_methods(parser)
    args = parser.parse_args()
    images = options.images(parser, args.data, SET, EVERY)
    files = color_models()
    for method in options.chosen(parser, [NOISY, *files], args.methods):
        denoise: Denoise = Model(files[method]) if method in files else lambda image, _sigma: image
        rows = [named(method, denoise) | row for row in measurements(denoise, images)]
        results.merge("hard", rows, ("method", "what"), {NOISY, *files})


if __name__ == "__main__":
    main()
