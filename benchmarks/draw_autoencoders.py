"""The pictures of docs/autoencoders.md: `python -m benchmarks.draw_autoencoders --data data/mnist`; it trains nothing.

They are drawn from the packaged models and those of models/, results/codes.json, and the layers of train.resampling.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aeinfer import AEInfer, InputError, kernels
from benchmarks import options, results
from benchmarks.packaged import digit_models
from train import pictures
from train.digit_networks import WAYS_UP
from train.evaluate import SIGMA, Digits, curves, noisy_digits
from train.idx import read_digits
from train.resampling import MaxUnpool, MeanUnpool, double, transposed

FOLDER = Path(__file__).parents[1] / "docs" / "autoencoders"
SHOWN = 10  # digits
STEP = 0.25  # by which a pixel is changed, to see where that is felt
PROBED = 8  # digits that are changed so


def load(name: str) -> AEInfer:
    return AEInfer.load(digit_models()[f"{name} fp32"])


def draw_outputs(clean: Digits, names: list[str], path: Path) -> None:
    """What networks make of the same noisy digits."""
    noisy = noisy_digits(clean, SIGMA)
    outputs = {name: load(name).denoise_batch(noisy) for name in names}
    pictures.grid({"clean": clean, "noisy": noisy, **outputs}, path, scale=3)


def draw_layers(path: Path) -> None:
    """What each way up makes of 7x7 pixels, before anything is trained: one bright pixel, and an even grey."""
    torch.manual_seed(0)
    one, even = torch.zeros(1, 1, 7, 7), torch.full((1, 1, 7, 7), 0.6)
    one[..., 3, 3] = 1
    fine = torch.rand(1, 1, 14, 14)  # what was pooled: the places of its maxima are remembered
    spread = transposed(1, 1, 14)[0]
    torch.nn.init.uniform_(spread.weight, 0.2, 0.6)
    torch.nn.init.zeros_(spread.bias)
    layers: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "upsample-nearest, unpool-average": MeanUnpool(14),
        "upsample-bilinear": double("bilinear"),
        "transposed (random weights)": spread,
        "unpool-max": lambda x: MaxUnpool()(x, fine),
    }
    with torch.no_grad():
        rows = {name: torch.cat([layer(one), layer(even)])[:, 0].numpy() for name, layer in layers.items()}
    pictures.grid(rows, path, scale=5)


def draw_reach(clean: Digits, names: list[str], path: Path) -> None:
    """How much the output's middle pixel changes with each pixel of a noisy digit; the mean over several digits."""
    side = clean.shape[1]
    rows = {}
    for name in names:
        felt = np.zeros((side, side), np.float32)
        with load(name) as ae:
            for digit in noisy_digits(clean[:PROBED], SIGMA):
                changed = np.repeat(digit[None], side**2, 0)
                changed.reshape(side**2, -1)[np.arange(side**2), np.arange(side**2)] += STEP
                middle = ae.denoise_batch(changed)[:, side // 2, side // 2] - ae(digit)[side // 2, side // 2]
                felt += np.abs(middle).reshape(side, side)
        rows[name] = (felt / felt.max())[None] ** 0.5  # faint influence is to be seen as well
    pictures.grid(rows, path, scale=3)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draw_autoencoders", description=__doc__)
    options.add_digits(parser)
    args = parser.parse_args()
    try:
        images, labels = read_digits(args.data, "test")
    except InputError as error:
        parser.exit(2, f"draw_autoencoders: {error}\n")
    clean = kernels.to_float(images)
    draw_layers(FOLDER / "layers.png")
    ways_up = ["mnist-conv", *(f"conv-{way_up}" for way_up in WAYS_UP if way_up != "upsample-nearest")]
    draw_outputs(clean[:SHOWN], [*ways_up, "conv-dilated", "pyramid-64", "unet"], FOLDER / "outputs.png")
    draw_reach(clean, ["mnist-conv", "conv-undilated", "conv-dilated", "unet"], FOLDER / "reach.png")
    with load("mnist-dense") as ae:
        codes = ae.encode(clean)
        pictures.latent(codes, labels, FOLDER / "latent.png")
        pictures.grid({"": ae.decode(pictures.between(codes[0], codes[1]))}, FOLDER / "line.png", scale=3)
    pictures.curve(curves(results.load("codes")["rows"]), FOLDER / "codes.png")
    print(f"{FOLDER} written")


if __name__ == "__main__":
    main()
