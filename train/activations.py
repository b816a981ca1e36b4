"""What a network's steps read and give while it runs, and how large its channels become; nothing is changed here."""

from collections.abc import Callable, Iterable, Sequence

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

    def record(step: nn.Module, _read: Tensor, output: Tensor) -> None:
        values = output.abs().transpose(0, 1).flatten(1)
        within = values.shape[1] - int(outside * values.shape[1])
        peaks[step] = torch.maximum(peaks[step], values.kthvalue(within, dim=1).values)

    watch(model, steps, batches, record)
    return [peaks[step] for step in steps]


@torch.no_grad()
def watch(
    model: nn.Module,
    steps: Iterable[nn.Module],
    batches: Iterable[Tensor],
    record: Callable[[nn.Module, Tensor, Tensor], None],
) -> None:
    """Run the model on the batches, and call `record(step, read, output)` whenever one of its steps has run.

    `read` is the first thing that it was given.
    """
    hooks = [step.register_forward_hook(lambda step, inputs, output: record(step, inputs[0], output)) for step in steps]
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
