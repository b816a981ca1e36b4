"""Muon against its definition by singular values."""

import pytest
import torch

from train.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 8), (8, 10), (4, 36), (36, 4), (1, 9)])
def test_all_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _s, vh = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalized(matrix)
    values = torch.linalg.svdvals(result)
    assert 0.6 < values.min() <= values.max() < 1.3  # the quintic's coefficients trade exactness for speed
    assert torch.linalg.matrix_norm(result - u @ vh, 2) < 0.4


def test_a_step_goes_down_by_the_rate_in_every_direction() -> None:
    weight = torch.nn.Parameter(torch.zeros(6, 2, 3, 3))
    target = (
        torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.logspace(0, -2, 6)[:, None, None, None]
    )
    optimizer = Muon([weight], lr=0.1)
    (weight - target).square().sum().backward()
    optimizer.step()
    values = torch.linalg.svdvals(weight.detach().reshape(6, -1))
    assert 0.06 < values.min() <= values.max() < 0.13
    assert (weight.detach() * target).sum() > 0


def test_it_finds_the_minimum() -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 3, 3, 3))
    target = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    optimizer = Muon([weight], lr=0.2)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
        optimizer.zero_grad()
        (weight - target).square().sum().backward()
        optimizer.step()
    assert (weight - target).abs().max() < 0.05
