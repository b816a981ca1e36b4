"""Measure digits' autoencoders on test digits, and draw what they do: `python -m train.evaluate runs/sweep/*/best.pt`.

It writes evaluate.json, and pictures: what every network makes of the same noisy digits, the space of the codes and a
line through it for each network that has codes, and the PSNR over the size of the code beside that of principal
components.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aeinfer import kernels, noise
from aeinfer.errors import InputError
from aeinfer.metrics import ssim
from train import pictures
from train.checkpoint import trained_model
from train.device import check_device
from train.idx import read_digits
from train.linear import PrincipalComponents
from train.models import macs, parameter_count
from train.validation import image_psnr

Digits = NDArray[np.float32]  # (N, 28, 28) in [0, 1]
Codes = NDArray[np.float32]
Run = Callable[[Digits], Digits]
Figures = dict[str, Any]
SIGMA = 127.5  # the seed's 0.5
SIGMAS = (0.0, 63.75, SIGMA, 191.25)
NOISE_SEED = 1000  # training counts its seeds from 0, one an epoch
BATCH = 500
SHOWN = 10  # digits in a picture
CODE_SIZES = (2, 4, 8, 16, 32, 64, 128, 256)


def read_both(folder: Path, verify: bool = True) -> tuple[Digits, Digits, NDArray[np.uint8]]:
    """Return the digits of a folder of IDX files: those to train with, the test digits, and the labels of these."""
    (train, _), (test, labels) = (read_digits(folder, split, verify=verify) for split in ("train", "test"))
    return kernels.to_float(train), kernels.to_float(test), labels


def noisy_digits(clean: Digits, sigma: float) -> Digits:
    """Return the test digits, (N, 28, 28), with the noise that all are measured with: Gaussian, unclipped."""
    return noise.add_gaussian(clean, sigma, seed=NOISE_SEED, index=np.arange(len(clean))) if sigma else clean


def mean_psnr(output: Digits, clean: Digits) -> float:
    """Mean over the images of the PSNR in dB."""
    return float(image_psnr(torch.from_numpy(output).double(), torch.from_numpy(clean)).mean())


def mean_ssim(output: Digits, clean: Digits) -> float:
    """Mean over the images of the structural similarity."""
    side_by_side = (np.ascontiguousarray(images.transpose(1, 2, 0)) for images in (output, clean))
    return ssim(*side_by_side, data_range=1.0)  # the mean over the channels, which are the images here


def mean_bce(output: Digits, clean: Digits) -> float:
    """Binary cross-entropy, the seed's loss."""
    inside = np.clip(output.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-(clean * np.log(inside) + (1 - clean) * np.log(1 - inside)).mean())


class Trained:
    """A checkpoint of a network of digits, which takes and gives numpy arrays, (N, 28, 28); called as its folder.

    Raises
    ------
    InputError
        The file is no checkpoint, or another network's.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        model, recipe = trained_model(path)
        if model.window != 28:
            raise InputError(f"expected a network of digits, but {path} is one of {recipe['model']}")
        self.name, self.code, self.device = path.resolve().parent.name, model.code, device
        self.facts = {"method": self.name, "trained on sigma": recipe["sigma"], "code": model.code}
        self.facts |= {"parameters": parameter_count(model), "kmac": round(macs(model, 28, 28) / 1000)}
        self.model = model.to(device)

    def __call__(self, images: Digits) -> Digits:
        return self._run(self.model, images[:, None])[:, 0]

    def encode(self, images: Digits) -> Codes:
        return self._run(self.model.encoder, images[:, None])

    def decode(self, codes: Codes) -> Digits:
        return self._run(self.model.decoder, codes)[:, 0]

    def _run(self, network: nn.Module, given: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = torch.from_numpy(np.ascontiguousarray(given)).split(BATCH)
        with torch.no_grad():
            return torch.cat([network(part.to(self.device)).cpu() for part in parts]).numpy()


def check_names(names: list[str]) -> None:
    """Refuse two networks of one name: of their pictures only the last one's would be there."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"expected folders of different names, as runs are called by them, got more than one {', '.join(twice)}; "
            "rename them, or evaluate one after the other with another --out"
        )


def measure(run: Run, clean: Digits, sigma: float) -> Figures:
    """PSNR, SSIM and BCE of what becomes of digits under that noise; without noise it is reconstruction."""
    output = run(noisy_digits(clean, sigma))
    figures = {"psnr": mean_psnr(output, clean), "ssim": mean_ssim(output, clean), "bce": mean_bce(output, clean)}
    return {"sigma": sigma, **{name: round(figure, 4) for name, figure in figures.items()}}


def measure_components(train: Digits, clean: Digits, sigmas: Iterable[float] = SIGMAS) -> list[Figures]:
    """The same of principal components, at several sizes of the code."""
    components = PrincipalComponents(train)
    return [
        {"method": "PCA", "code": size} | measure(partial(components.denoise, numbers=size, sigma=sigma), clean, sigma)
        for size in CODE_SIZES
        for sigma in sigmas
    ]


def curves(rows: Iterable[Figures]) -> dict[str, list[tuple[int, float]]]:
    """Return the PSNR over the size of the code of each family (names but for the size at their end) at what it is for.

    That is the noise it was trained on; of principal components both, without noise and with the seed's.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        wanted = (0.0, SIGMA) if row["method"] == "PCA" else (row["trained on sigma"],)
        if row["code"] and row["sigma"] in wanted:
            family = row["method"].removesuffix(f"-{row['code']}")
            what = f"noise of {row['sigma']:g}" if row["sigma"] else "clean"
            found.setdefault(f"{family}, {what}", []).append((row["code"], row["psnr"]))
    return {name: sorted(points) for name, points in found.items()}


def draw_codes(network: Trained, clean: Digits, labels: NDArray[np.uint8], folder: Path) -> None:
    """Draw where the digits lie in the space of the codes, and what lies between two of them."""
    codes = network.encode(clean)
    pictures.latent(codes, labels, folder / f"{network.name}-latent.png")
    line = pictures.between(codes[0], codes[1])  # MNIST's first test digits: a seven and a two
    pictures.grid({"": network.decode(line)}, folder / f"{network.name}-line.png")


def evaluate(
    networks: Sequence[Trained], train: Digits, clean: Digits, labels: NDArray[np.uint8], folder: Path
) -> None:
    """Measure the networks on the test digits `clean`, and write figures and pictures."""
    rows: list[Figures] = []
    noisy = noisy_digits(clean[:SHOWN], SIGMA)
    shown = {"clean": clean[:SHOWN], "noisy": noisy}
    for network in networks:
        for sigma in SIGMAS:
            rows.append(network.facts | measure(network, clean, sigma))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
        shown[network.name] = network(noisy)
        if network.code:
            draw_codes(network, clean, labels, folder)
    rows += measure_components(train, clean)
    (folder / "evaluate.json").write_text(json.dumps(rows, indent=1) + "\n")
    pictures.grid(shown, folder / "grid.png")
    pictures.curve(curves(rows), folder / "codes.png")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="best.pt of one run or many; called as their folders")
    parser.add_argument("--data", type=Path, default=Path("data/mnist"), help="folder of IDX files [data/mnist]")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/evaluate"), help="of figures and pictures [runs/evaluate]"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-verify", action="store_true", help="accept IDX files whose checksum is not a known set's")
    args = parser.parse_args(argv)
    try:
        check_device(args.device)
        train, clean, labels = read_both(args.data, not args.no_verify)
        if len(clean) < 2:
            raise InputError(f"expected at least two test digits, between which codes lie, in {args.data}")
        networks = [Trained(path, args.device) for path in args.checkpoints]
        check_names([network.name for network in networks])
        args.out.mkdir(parents=True, exist_ok=True)
        evaluate(networks, train, clean, labels, args.out)
    except (InputError, OSError) as error:
        parser.exit(2, f"train.evaluate: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "train.evaluate: stopped\n")
    print(f"figures and pictures: {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
