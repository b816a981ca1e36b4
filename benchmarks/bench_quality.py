"""PSNR and SSIM of the packaged colour models and their peers: `python -m benchmarks.bench_quality --data DIR`.

Noise, inputs and averages are those of README.md. Rows go into results/quality.json (noise), results/camera.json
(clean images; real cameras) and results/grey.json (noise on a grey set), each as soon as it is measured; those of
methods not run this time stay.
"""

import argparse
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from aeinfer import AEInfer, metrics
from aeinfer.cli.options import whole
from benchmarks import options, results
from benchmarks.noisy import INPUTS, SIGMAS, Image, Images, noisy_image, read_set, real_pairs, rounded
from benchmarks.packaged import model_files, photo_models
from benchmarks.peers import PEERS, Peer

SETS = ("cbsd68", "kodak24")
GREY_SETS = ("bsd68",)  # of the models alone: they were trained on colours, and peers' figures are published
NOISY = "noisy"
NOISE_KEYS = ("method", "set", "input", "sigma")
KEYS = {"quality": NOISE_KEYS, "grey": NOISE_KEYS, "camera": ("method", "set")}  # what names a row
Denoise = Callable[[Image, float], Image]  # (noisy image, sigma) -> denoised image


class Model:
    """A packaged model as a method: blind, so sigma is not passed on."""

    def __init__(self, path: Path) -> None:
        self.denoiser = AEInfer.load(path)
        self.fingerprint = self.denoiser.info.fingerprint
        self.grey = self.denoiser.info.channels == 1

    def __call__(self, image: Image, _sigma: float) -> Image:
        return self.denoiser(image)


def chosen(parser: argparse.ArgumentParser, texts: Sequence[str], files: dict[str, Path]) -> dict[str, Denoise]:
    """Of the noisy image itself, what a user would otherwise take, and these models, those that `texts` name.

    None ends the program.
    """
    others: dict[str, Denoise] = {NOISY: lambda image, _sigma: image, **PEERS}
    names = options.chosen(parser, [*others, *files], texts)
    return {name: others[name] if name in others else Model(files[name]) for name in names}


def named(method: str, denoise: Denoise) -> results.Row:
    """What a row begins with: the method, and of a model which file it was."""
    return {"method": method, **({"fingerprint": denoise.fingerprint} if isinstance(denoise, Model) else {})}


def psnr(image: Image, reference: Image) -> float:
    """PSNR in dB of the image clipped to [0, 1]; 100 where the two are equal, so that a mean exists."""
    return min(metrics.psnr(np.clip(image, 0, 1), reference, data_range=1.0), 100.0)


def measure_noise(denoise: Denoise, images: Images, sigma: float, shown: str) -> results.Row:
    """Mean PSNR in dB and mean SSIM under Gaussian noise of sigma."""
    psnrs, ssims = [], []
    for index, clean in images:
        denoised = np.clip(denoise(noisy_image(clean, sigma, index, shown), sigma), 0, 1)
        psnrs.append(psnr(denoised, clean))
        ssims.append(metrics.ssim(denoised, clean, data_range=1.0))
    return {"images": len(images), "psnr": round(np.mean(psnrs), 2), "ssim": round(np.mean(ssims), 4)}


def measure_clean(denoise: Denoise, images: Images) -> results.Row:
    """Mean and lowest PSNR in dB of what becomes of clean 8-bit images, the output rounded to 8 bits as well."""
    psnrs = [psnr(rounded(denoise(clean, 0)), clean) for _index, clean in images]
    return {"images": len(images), "psnr": round(np.mean(psnrs), 2), "worst": round(min(psnrs), 2)}


def measure_real(denoise: Denoise, pairs: Iterable[tuple[Image, Image]]) -> results.Row:
    """Mean PSNR in dB over real pairs and over every third, there of the rounded output as well; the worst gain.

    A gain is the PSNR of the output less that of the noisy photograph.
    """
    psnrs = []
    for noisy, clean in pairs:
        denoised = denoise(noisy, 0)
        psnrs.append((psnr(noisy, clean), psnr(denoised, clean), psnr(rounded(denoised), clean)))
    before, after, in_file = np.array(psnrs).T
    figures = {
        "psnr": after.mean(),
        "psnr_third": after[::3].mean(),
        "psnr_third_rounded": in_file[::3].mean(),
        "worst_gain": (after - before).min(),
    }
    return {"images": len(psnrs), **{key: round(float(value), 2) for key, value in figures.items()}}


def measurements(
    denoise: Denoise, images: dict[str, Images], real: Path | None, sigmas: Sequence[int] = SIGMAS
) -> Iterator[tuple[str, results.Row]]:
    """Yield all figures of one method, each with the name of the results it goes into."""
    peer = denoise if isinstance(denoise, Peer) else None
    model = denoise if isinstance(denoise, Model) else None
    colors = [name for name in images if name not in GREY_SETS and not (model and model.grey)]
    greys = [name for name in images if name in GREY_SETS and not peer]
    for name, shown, sigma in itertools.product(colors + greys, INPUTS, sigmas):
        if peer is None or shown == "8-bit" or not peer.eight_bit_only:
            some = images[name][:: peer.every] if peer else images[name]
            row = {"set": name, "input": shown, "sigma": sigma, **measure_noise(denoise, some, sigma, shown)}
            yield "grey" if name in GREY_SETS else "quality", row
    if model:
        for name in colors:
            yield "camera", {"set": name, **measure_clean(denoise, images[name])}
    if real and peer is None and not (model and model.grey):  # a peer needs to be told a sigma
        yield "camera", {"set": "real", **measure_real(denoise, real_pairs(real))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the test sets, each a folder of PNG")
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=[*SETS, *GREY_SETS],
        default=SETS,
        metavar="SET",
        help=f"of {', '.join([*SETS, *GREY_SETS])} [{' '.join(SETS)}]",
    )
    parser.add_argument(
        "--sigmas", nargs="+", type=whole(0), default=SIGMAS, metavar="SIGMA", help="other noise than the tables show"
    )
    parser.add_argument("--real", type=Path, help="folder of real pairs NAME_real, NAME_mean")
    parser.add_argument(
        "--every", type=whole(1), default=1, help="every Nth image only: a quick look that saves nothing"
    )
    options.add_methods(parser)
    args = parser.parse_args()
    if missing := [name for name in args.sets if not any((args.data / name).glob("*.png"))]:
        parser.exit(2, f"bench_quality: no {', '.join(missing)} in {args.data}: expected a folder of PNG images each\n")
    if args.real and not any(real_pairs(args.real)):
        parser.exit(2, f"bench_quality: no real pairs in {args.real}: expected files NAME_real and NAME_mean\n")
    if not args.real:
        print("real cameras: skipped, for --real was not given")
    found = chosen(parser, args.methods, photo_models())
    images = {name: read_set(args.data / name, args.every) for name in args.sets}
    for method, denoise in found.items():
        for name, figures in measurements(denoise, images, args.real, args.sigmas):
            row = named(method, denoise) | figures
            if args.every == 1:
                results.merge(name, [row], KEYS[name], {NOISY, *PEERS, *model_files()})  # those there are by now
            else:
                results.show(row)


if __name__ == "__main__":
    main()
