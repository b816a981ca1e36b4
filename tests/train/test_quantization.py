"""The rounding network: what is rounded, to which steps, and that it can be copied, saved and trained."""

import copy

import pytest
import torch
from torch import nn

from train.photo_networks import Add, Conv, PhotoAutoencoder
from train.quantization import (
    ACTIVATION_MAX,
    WEIGHT_MAX,
    RoundedActivation,
    RoundedWeight,
    Rounding,
    calibrate,
    rounded,
)


@pytest.fixture
def network() -> PhotoAutoencoder:
    torch.manual_seed(0)
    network = PhotoAutoencoder((4, 8), encoder=(1,), middle=1, decoder=(1,))
    nn.init.normal_(network.tail.weight, std=0.1)
    return network


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_weights_have_few_steps_per_channel() -> None:
    weight = (
        torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.logspace(0, -3, 5)[:, None, None, None]
    )
    result = RoundedWeight()(weight)
    scale = weight.abs().amax((1, 2, 3), keepdim=True) / WEIGHT_MAX
    steps = result / scale
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert (result - weight).abs().max() <= scale.max() / 2 * 1.001
    assert torch.all((result - weight).abs() <= scale / 2 * 1.001)


def test_two_products_fit_16_bits() -> None:
    assert 2 * WEIGHT_MAX * ACTIVATION_MAX < 2**15


def test_the_range_is_that_of_nearly_all_values() -> None:
    rounding = RoundedActivation()
    holder = nn.Sequential(rounding)
    values = torch.cat([torch.linspace(-1, 3, 100_000), torch.tensor([50.0])])
    calibrate(holder, [values])
    assert rounding.log_scale.exp().item() * ACTIVATION_MAX == pytest.approx(4, rel=0.01)
    assert rounding.zero_point == 64
    assert (rounding(values[:-1]) - values[:-1]).abs().max() < 0.01
    assert rounding(values[-1:]) < 3.1


def test_a_relus_range_begins_at_zero() -> None:
    rounding = RoundedActivation()
    calibrate(nn.Sequential(nn.ReLU(), rounding), [torch.randn(10_000)])
    assert rounding.zero_point == 0


@pytest.mark.parametrize(("encoder", "chosen"), [(0, ()), (1, ()), (0, (1,)), (1, (0, 2))])
def test_of_separable_blocks_at_half_resolution_those_chosen_round_and_the_sums_do_not(
    encoder: int, chosen: tuple[int, ...], images: torch.Tensor
) -> None:
    network = PhotoAutoencoder((4, 8), encoder=(encoder,), middle=1, decoder=(2,), separable=True, int8_blocks=chosen)
    rounded(network)
    calibrate(network, [images])
    given: dict[str, torch.Tensor] = {}
    seen: dict[str, torch.Tensor] = {}
    steps = {name: step for name, step in network.named_modules() if isinstance(step, Conv | Add)}
    for name, step in steps.items():
        step.register_forward_hook(lambda _step, inputs, _output, name=name: given.update({name: inputs[0]}))
        step.register_forward_hook(lambda _step, _inputs, output, name=name: seen.update({name: output}))
    network(images)
    blocks = [f"encoder.0.{i}" for i in range(encoder)] + ["decoder.0.0", "decoder.0.1"]
    parts = ("spread", "first", "second", "add")
    exact = {"head", "up.0", "join.0", *(f"{block}.{part}" for block in blocks for part in parts)}
    exact -= {f"{blocks[i]}.{part}" for i in chosen for part in ("spread", "first", "second")}
    assert {name for name, step in steps.items() if not hasattr(step, "rounding")} == exact
    floating = exact | {f"{blocks[i]}.spread" for i in chosen}
    for name, step in steps.items():
        if name not in exact:
            assert on_steps(seen[name], step.rounding), name
        assert nn.utils.parametrize.is_parametrized(step) != (isinstance(step, Add) or name in floating), name
    skipped = "encoder.0.0.add" if encoder else "head"
    assert on_steps(given["down.0"], network.down[0].before)
    assert not on_steps(seen[skipped], network.down[0].before)


def on_steps(values: torch.Tensor, rounding: RoundedActivation) -> bool:
    levels = values.detach() / rounding.log_scale.exp().detach()
    return torch.allclose(levels, levels.round(), atol=1e-3)


def test_of_dense_blocks_the_sums_at_half_resolution_are_exact_and_the_convolutions_are_not() -> None:
    network = rounded(PhotoAutoencoder((4, 8), encoder=(1,), middle=1, decoder=(1,), int8_blocks=(0, 1)))
    steps = {name: step for name, step in network.named_modules() if isinstance(step, Conv | Add)}
    exact = {"head", "up.0", "join.0", "encoder.0.0.add", "decoder.0.0.add"}
    assert {name for name, step in steps.items() if not hasattr(step, "rounding")} == exact
    floating = {name for name, step in steps.items() if not nn.utils.parametrize.is_parametrized(step)}
    assert floating == exact | {"middle.0.add", "down.0"}
    before = {name for name, step in steps.items() if hasattr(step, "before")}
    assert before == {"encoder.0.0.first", "decoder.0.0.first"}


def test_the_gradient_of_rounding_is_that_of_the_plain_expression() -> None:
    """The twin leaves to autograd what `Rounding` has written out."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 7, generator=generator).requires_grad_()
    weights = torch.randn(x.shape, generator=generator)
    scale, zero_point = torch.tensor(0.01, requires_grad=True), torch.tensor(100, dtype=torch.int32)

    def plain() -> torch.Tensor:
        steps = (x / scale + zero_point).clamp(0, ACTIVATION_MAX)
        return (steps + (steps.round() - steps).detach() - zero_point) * scale

    results = []
    for result in (plain(), Rounding.apply(x, scale, zero_point)):
        x.grad = scale.grad = None
        (result * weights).sum().backward()
        results.append((result.detach(), x.grad, scale.grad))
    assert 0 < (results[0][1] == 0).sum() < x.numel(), "some are clamped"
    for mine, naive in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(mine, naive, rtol=1e-4, atol=1e-5)


def test_the_scale_learns_from_rounding_and_clipping() -> None:
    rounding = RoundedActivation()
    calibrate(nn.Sequential(nn.ReLU(), rounding), [torch.linspace(0, 255, 100_001)])
    assert rounding.log_scale.item() == pytest.approx(0, abs=1e-3)
    for value, slope in ((10.25, -0.25), (10.75, 0.25), (300.0, 255.0)):
        rounding.log_scale.grad = None
        rounding(torch.tensor(value)).backward()
        assert rounding.log_scale.grad.item() == pytest.approx(slope, abs=0.1)


def test_rounding_changes_little_and_survives_copy_and_checkpoint(
    network: PhotoAutoencoder, images: torch.Tensor
) -> None:
    exact = network.eval()(images)
    calibrate(rounded(network), [images])
    with torch.no_grad():
        coarse = network(images)
        assert 0 < (coarse - exact).abs().mean() < 0.01
        assert torch.equal(copy.deepcopy(network)(images), coarse)
        other = rounded(PhotoAutoencoder((4, 8), encoder=(1,), middle=1, decoder=(1,))).eval()
        other.load_state_dict(network.state_dict())
        assert torch.equal(other(images), coarse)


def test_gradients_reach_every_weight(network: PhotoAutoencoder, images: torch.Tensor) -> None:
    calibrate(rounded(network), [images])
    network.train()(images).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
