"""How large the activations of each channel become: what sets channels anew and what scales them both ask that."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def highest(
    model: nn.Module, steps: Sequence[nn.Module], batches: Iterable[Tensor], outside: float = 0.0
) -> list[Tensor]:
    """Return the largest magnitude of each channel, (C,), of each step: a part of the model that gives (N, C, H, W).

    `outside` is the share of a channel's values in a batch that may be larger.
    """
    peaks = {step: torch.zeros(()) for step in steps}

    def record(step: nn.Module, output: Tensor) -> None:
        values = output.abs().transpose(0, 1).flatten(1)
        within = values.shape[1] - int(outside * values.shape[1])
        peaks[step] = torch.maximum(peaks[step], values.kthvalue(within, dim=1).values)

    hooks = [step.register_forward_hook(lambda step, _inputs, output: record(step, output)) for step in steps]
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
    return [peaks[step] for step in steps]
