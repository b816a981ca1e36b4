"""What a run begins with, or goes on from: network, teacher, optimizers and counts; nothing is learnt here."""

import copy
import hashlib
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aeinfer.errors import InputError
from train.checkpoint import load_checkpoint, read_checkpoint, trained_model
from train.data import Data
from train.device import check_device
from train.equalize import equalize
from train.gptq import round_weights
from train.grow import can_grow, grow
from train.models import build_model
from train.optimizers import make_optimizers
from train.quantization import calibrate, rounded
from train.recipes import Recipe
from train.rehearsal import rehearse
from train.revive import revive

CALIBRATION_BATCHES = 10


@dataclass(frozen=True)
class Run:
    """A run at some step; `averaged` is what is validated and exported, `teaching` the teacher's network."""

    recipe: Recipe
    data: Data
    device: str
    model: nn.Module
    averaged: nn.Module
    optimizers: list[torch.optim.Optimizer]
    teaching: nn.Module | None
    state: dict[str, Any]


def prepare(
    recipe: Recipe, data: Data, folder: Path, resume: bool, device: str, start: Path | None, teacher: Path | None
) -> Run:
    """Build a run at its beginning, or where the one to resume was left: the arguments are those of `fit`."""
    check_device(device)
    if recipe.int8:
        if start is None:
            raise InputError(
                "the recipe int8 learns to give what a trained network gives: name its checkpoint with --start"
            )
        teacher = teacher or start  # what rounding changes is all there is to learn
    torch.manual_seed(recipe.seed)
    torch.set_flush_denormal(True)  # gradients of a saturated sigmoid are denormal, and three times as slow
    model = begin(recipe, data, None if resume else start)  # last.pt has the weights of what goes on
    model = model.to(device, memory_format=torch.channels_last)  # a quarter faster on a CPU
    if recipe.rehearse:
        rehearse(model)
    teaching = trained_model(teacher)[0].to(device, memory_format=torch.channels_last) if teacher else None
    if teaching and (teaching.channels, teaching.window) != (model.channels, model.window):
        raise InputError(f"expected a teacher of images like those of {recipe.model}, got another: {teacher}")
    optimizers = make_optimizers(recipe, model)
    averaged = copy.deepcopy(model)  # the model itself where nothing is averaged
    state = {"step": 0, "best": math.inf, "stale": 0, "start": digest(start), "teacher": digest(teacher)}
    state["data"] = data.digest
    if resume:
        state |= load_checkpoint(folder / "last.pt", recipe, model, averaged, optimizers)  # an old one names less
        check_teacher(state, teacher)
        if state["data"] != data.digest:
            raise InputError(
                "expected the pictures that the run has had, unchanged, got other data: "
                "give the same --data, or another --out"
            )
    return Run(recipe, data, device, model, averaged, optimizers, teaching, state)


def digest(checkpoint: Path | None) -> str:
    """Return what tells a start's or a teacher's file from any other: its content's SHA-256, "" if there is none."""
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest() if checkpoint else ""


def check_teacher(state: dict[str, Any], teacher: Path | None) -> None:
    """Refuse to go on with another teacher than the run has had: that would give neither run's result."""
    if state["teacher"] != digest(teacher):
        had = "the teacher that the run has had, unchanged" if state["teacher"] else "no teacher, as the run had none"
        raise InputError(
            f"expected {had}, got {teacher or 'none'}; "
            "give the same --teacher (the recipe int8 has --start for one), or another --out"
        )


def begin(recipe: Recipe, data: Data, start: Path | None) -> nn.Module:
    """Return the network at step 0: fresh, or with the weights of a checkpoint and its dead channels set anew.

    If it rounds, its channels are equalized, its ranges measured and its weights rounded instead.
    """
    if start is None:
        return build_model(asdict(recipe))
    model = load_start(recipe, start)
    noisy = [torch.from_numpy(data.batch(step)[0]) for step in range(CALIBRATION_BATCHES)]
    if recipe.int8:
        equalize(model, noisy)
        calibrate(rounded(model), noisy)
        round_weights(model, noisy)
    elif count := revive(model, noisy):
        print(f"{count} dead channels set anew")
    return model


def load_start(recipe: Recipe, start: Path) -> nn.Module:
    """Return the network, without rounding, with the weights of a checkpoint: grown, if that is of a smaller one."""
    saved = read_checkpoint(start)
    if saved["recipe"].get("int8"):
        raise InputError(f"{start} was trained with rounding: name the one that it began with")
    model, weights = build_model(asdict(replace(recipe, int8=False))), saved["weights"]
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        if recipe.int8 or not can_grow(model, weights):
            message = f"expected a checkpoint of {recipe.model} to start from, but {start} is another's"
            raise InputError(message) from error
        print(f"{grow(model, weights):,} parameters more than in {start}")
    return model
