"""How large the activations of each channel become: what sets channels anew and what scales them both ask that."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def highest(model: nn.Module, steps: Sequence[nn.Module], batches: Iterable[Tensor]) -> list[Tensor]:
    """Return the largest magnitude of each channel, (C,), of each step: a part of the model that gives (N, C, H, W)."""
    peaks = {step: torch.zeros(()) for step in steps}

    def record(step: nn.Module, output: Tensor) -> None:
        peaks[step] = torch.maximum(peaks[step], output.abs().amax((0, 2, 3)))

    hooks = [step.register_forward_hook(lambda step, _inputs, output: record(step, output)) for step in steps]
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
    return [peaks[step] for step in steps]
