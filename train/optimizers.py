"""Which optimizer changes which weights, and at what rate in which step."""

import math

import torch
from torch import nn

from train.muon import Muon
from train.quantization import RoundedActivation
from train.recipes import Recipe

WARM_UP_STEPS = 200
RANGE_RATE = 10.0  # learning rate of the logarithm of a range, in that of the weights


def make_optimizers(recipe: Recipe, model: nn.Module) -> list[torch.optim.Optimizer]:
    """One or two; no weight decay: fresh noise is all the regularization needed."""
    if recipe.optimizer == "adadelta":
        made = [torch.optim.Adadelta(model.parameters(), lr=recipe.learning_rate)]
    else:
        convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
        inner = convolutions[1:-1] if recipe.optimizer == "muon" else []
        hidden = [layer.weight for layer in inner if layer.groups == 1]  # depthwise filters are no matrix
        ranges = [layer.log_scale for layer in model.modules() if isinstance(layer, RoundedActivation)]
        rest = set(model.parameters()) - set(hidden) - set(ranges)
        ordered = [parameter for parameter in model.parameters() if parameter in rest]
        groups = [{"params": ordered}, {"params": ranges, "lr": RANGE_RATE * recipe.learning_rate}]
        made = [torch.optim.AdamW(groups[: 1 + bool(ranges)], lr=recipe.learning_rate, weight_decay=0.0)]
        made += [Muon(hidden, lr=recipe.muon_rate)] if hidden else []
    for group in (group for optimizer in made for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]
    return made


def schedule(recipe: Recipe, step: int, total: int) -> float:
    """Share of the learning rate as a pure function of the step, so that resuming needs no scheduler."""
    if not recipe.cosine:
        return 1.0
    return min(1.0, (step + 1) / WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / total))
