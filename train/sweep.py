"""Train a table of digits' autoencoders: `python -m train.sweep --data data/mnist`; stopped, it goes on where it was.

Each variant has a folder of its own in --out, as train.fit makes it. Two sweeps side by side share the work where they
are given different names.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from aeinfer.cli.options import whole
from aeinfer.errors import InputError
from train.checkpoint import read_checkpoint
from train.data import open_data
from train.digit_networks import WAYS_UP
from train.fit import fit
from train.recipes import RECIPES, Recipe

EPOCHS = 6  # enough to tell the variants apart
CONV, UNET = (replace(RECIPES[model, "default"], epochs=EPOCHS) for model in ("conv", "unet"))
DENSE = RECIPES["dense", "default"]  # a hundredth of the work
PYRAMID = (32, 64, 128)  # channels that grow as the resolution falls: less work, and twice the weights
CODES = (8, 16, 32, 64, 128, 256)

VARIANTS: dict[str, Recipe] = {
    "unet": UNET,
    **{f"conv-{way_up}": replace(CONV, options={"decoder": way_up}) for way_up in WAYS_UP},
    "conv-dilated": replace(CONV, options={"bottleneck": "dilated"}),
    "conv-undilated": replace(CONV, options={"bottleneck": "none"}),
    **{f"pyramid-{code}": replace(CONV, options={"code": code, "widths": PYRAMID}) for code in CODES},
    "pyramid-64-long": replace(CONV, options={"code": 64, "widths": PYRAMID}, epochs=4 * EPOCHS),  # the U-Net's time
    **{f"dense-{code}": replace(DENSE, options={"code": code}) for code in CODES},
    "dense-64-noisy": replace(DENSE, options={"code": 64}, sigma=127.5),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.sweep", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of {', '.join(VARIANTS)}")
    parser.add_argument("--data", type=Path, default=Path("data/mnist"), help="folder of IDX files [data/mnist]")
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"), help="a folder for each goes here [runs/sweep]")
    parser.add_argument("--epochs", type=whole(1), help="of every variant, instead of its recipe's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-verify", action="store_true", help="accept IDX files whose checksum is not a known set's")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - VARIANTS.keys():
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    try:
        for name in args.names or VARIANTS:
            recipe = replace(VARIANTS[name], epochs=args.epochs or VARIANTS[name].epochs)
            print(f"{name}: python -m train.fit {arguments(recipe)}")
            train(recipe, args.out / name, args.data, args.device, not args.no_verify)
    except (InputError, OSError) as error:
        parser.exit(2, f"train.sweep: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "train.sweep: stopped; the same command goes on\n")
    return 0


def train(recipe: Recipe, folder: Path, data: Path, device: str, verify: bool) -> None:
    """Begin a run, or go on with it; one that has ended is left as it is."""
    last = folder / "last.pt"
    best = fit(recipe, open_data(recipe, data, verify), folder, resume=last.exists(), device=device)
    state = read_checkpoint(best)["state"]
    print(f"{folder.name}: lowest held-out loss {state['best']:.5f} after step {state['step']:,}")


def arguments(recipe: Recipe) -> str:
    """Return what train.fit is given for the same network."""
    plain = RECIPES[recipe.model, "default"]
    options = {key: ",".join(map(str, value)) if key == "widths" else value for key, value in recipe.options.items()}
    options |= {key: getattr(recipe, key) for key in ("sigma", "epochs") if getattr(recipe, key) != getattr(plain, key)}
    return " ".join([recipe.model, *(f"--{key} {value}" for key, value in options.items())])


if __name__ == "__main__":
    raise SystemExit(main())
