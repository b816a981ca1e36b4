"""Checkpoints (.pt): everything a run needs to go on exactly, and what export needs to know; no loop is here."""

import io
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aeinfer.atomic import write_whole
from aeinfer.errors import InputError
from train.models import MODELS, build_model
from train.recipes import Recipe

DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)


def save_checkpoint(
    path: Path,
    recipe: Recipe,
    state: dict[str, Any],
    averaged: nn.Module,
    running: tuple[nn.Module, Sequence[torch.optim.Optimizer]] | None = None,
) -> None:
    """Write a checkpoint; the file of that name is the old one or the new one at every moment.

    Without `running`, the network in training and its optimizers, it is enough to export and too little to go on.
    """
    content = {"recipe": asdict(recipe), "state": dict(state), "weights": averaged.state_dict()}
    if running is not None:
        content |= {
            "model": running[0].state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in running[1]],
        }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getbuffer())


def load_checkpoint(
    path: Path, recipe: Recipe, model: nn.Module, averaged: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Fill the model, the average and the optimizers from `path`, and return the state of the loop.

    Raises
    ------
    InputError
        The checkpoint was made with another recipe: going on would give neither run's result. Or it holds weights only,
        or those of an earlier design of the network.
    """
    saved = read_checkpoint(path)
    if "optimizers" not in saved:
        raise InputError(f"{path} holds the weights alone, as best.pt does: going on needs a last.pt")
    then, now = saved["recipe"], asdict(recipe)
    if then != now:
        changed = [f"{key}: {then.get(key)} then, {now[key]} now" for key in now if then.get(key) != now[key]]
        raise InputError(
            f"{path} was trained with another recipe ({'; '.join(changed)}); give the same or another --out"
        )
    with _refusing_another_design(path):
        model.load_state_dict(saved["model"])
        averaged.load_state_dict(saved["weights"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
    return saved["state"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote, on the CPU, without running any code in the file."""
    if not path.is_file():
        raise InputError(f"expected a checkpoint, but there is no file {path}; train one with python -m train.fit")
    content = path.read_bytes()  # what the disk refuses is no damage
    try:
        saved: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise InputError(f"expected a checkpoint, but {path} is damaged or something else; train one anew") from error
    if not isinstance(saved, dict) or not {"recipe", "weights"} <= saved.keys():
        raise InputError(f"expected a checkpoint of train.fit, but {path} holds something else")
    return saved


def trained_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of a checkpoint with its averaged weights, ready to evaluate, and the recipe.

    Raises
    ------
    InputError
        The file is no checkpoint, its network is unknown, or was of another design then.
    """
    saved = read_checkpoint(path)
    recipe = saved["recipe"]
    if recipe["model"] not in MODELS:
        raise InputError(
            f"expected a checkpoint of {', '.join(MODELS)}, but {path} is one of {recipe['model']}, no network here; "
            "take the version of aeinfer that trained it, or another checkpoint"
        )
    model = build_model(recipe)
    with _refusing_another_design(path):
        model.load_state_dict(saved["weights"])
    return model.eval(), recipe


@contextmanager
def _refusing_another_design(path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"expected the network as it is designed now, but {path} holds one of another design; "
            "take the version of aeinfer that trained it, or train anew"
        ) from error
