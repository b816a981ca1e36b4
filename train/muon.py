"""Muon, the optimizer of the hidden convolutions: momentum whose singular values are all made one; no other is here.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). torch.optim.Muon takes matrices alone;
a convolution's weights are one here, a row per output channel. Biases, first and last layer are AdamW's.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the paper's quintic
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized; `lr` is the spectral norm of a square matrix's step."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure: nothing here evaluates the loss again
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                matrix = weight.grad.lerp(state["momentum"], group["momentum"]).reshape(len(weight), -1)
                rows, columns = matrix.shape
                update = orthogonalized(matrix) * max(1.0, rows / columns) ** 0.5
                weight.add_(update.reshape(weight.shape), alpha=-group["lr"])


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return the matrix with all singular values near one, by Newton-Schulz iteration on the shorter side."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T).T
    a, b, c = NEWTON_SCHULZ
    x = matrix / (matrix.norm() + 1e-7)
    gram = x @ x.T
    # every iterate is a polynomial of the first gram times x: iterating on that small square alone is twice as fast
    product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor @ product
        gram = factor @ gram @ factor
    return product @ x
