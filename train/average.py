"""The mean of the weights of runs that went on from each other: `python -m train.average A.pt B.pt -o MEAN.pt`.

Where a later run's rate was low enough that both are in one valley, their mean is nearer to its middle: after Izmailov
et al., "Averaging Weights Leads to Wider Optima and Better Generalization" (UAI 2018). Nothing is trained here.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from aeinfer.errors import InputError
from train.checkpoint import read_checkpoint, save_checkpoint, trained_model
from train.recipes import Recipe


def average(paths: Sequence[Path], target: Path) -> None:
    """Write the checkpoint at `target`: the mean of those at `paths`, with the recipe and state of the last.

    Raises
    ------
    InputError
        One is no checkpoint, or is of another network than the last.
    """
    networks, recipes = zip(*map(trained_model, paths), strict=True)
    mean = AveragedModel(networks[-1])  # a copy: the first one that is counted replaces it
    for path, network, recipe in zip(paths, networks, recipes, strict=True):
        if _shapes(network) != _shapes(mean.module) or recipe["model"] != recipes[-1]["model"]:
            raise InputError(f"expected checkpoints of one network, but {path} holds another than {paths[-1]}")
        mean.update_parameters(network)
    last = read_checkpoint(paths[-1])
    save_checkpoint(target, Recipe(**last["recipe"]), last["state"], mean.module)


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Average what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m train.average", description=__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CHECKPOINT.pt")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MEAN.pt")
    args = parser.parse_args(argv)
    try:
        average(args.checkpoints, args.output)
    except (InputError, OSError) as error:
        parser.exit(2, f"train.average: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
