"""Muon, the optimizer of the hidden convolutions: momentum whose singular values are all made one; no other is here.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). torch.optim.Muon takes matrices alone;
a convolution's weights are one here, a row per output channel. Biases, first and last layer are AdamW's.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the paper's quintic
ITERATIONS = 5
WIDE = 1.5  # columns a row from which on it is less work to iterate on the square of the rows


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
    rows, columns = matrix.shape
    if rows > columns:
        return orthogonalized(matrix.T).T
    x = matrix / (matrix.norm() + 1e-7)
    if columns < WIDE * rows:
        for _ in range(ITERATIONS):
            x = _quintic(x @ x.T) @ x
        return x
    # every iterate is a polynomial of the first gram times x: iterating on that small square alone is less work
    gram, product = x @ x.T, torch.eye(rows, dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        factor = _quintic(gram)
        gram, product = factor @ gram @ factor, factor @ product
    return product @ x


def _quintic(gram: Tensor) -> Tensor:
    """Return what the quintic multiplies x with, of x @ x.T."""
    a, b, c = NEWTON_SCHULZ
    factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal().add_(a)
    return factor
