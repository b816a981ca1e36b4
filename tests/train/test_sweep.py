"""A table of variants: each is a run of train.fit, and what was stopped goes on."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from train import sweep
from train.checkpoint import read_checkpoint, trained_model
from train.data import open_data
from train.fit import fit, main
from train.models import build_model
from train.sweep import VARIANTS, arguments


def test_every_variant_can_be_built_and_says_its_command(tmp_path: Path, digits: Path) -> None:
    for name, recipe in VARIANTS.items():
        assert build_model(asdict(recipe))(torch.rand(1, 1, 28, 28)).shape == (1, 1, 28, 28), name
        assert arguments(recipe).split()[0] == recipe.model, name
    command = arguments(VARIANTS["pyramid-8"]).split()
    assert main([*command, "--epochs", "1", "--data", str(digits), "--no-verify", "--out", str(tmp_path)]) == 0
    model, recipe = trained_model(tmp_path / "best.pt")
    assert (model.code, recipe["options"]) == (8, VARIANTS["pyramid-8"].options)


def test_a_stopped_sweep_goes_on(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["dense-8", "dense-16", "--data", str(digits), "--out", str(tmp_path), "--no-verify", "--epochs", "2"]
    data = open_data(VARIANTS["dense-8"], digits, verify=False)
    recipe = sweep.replace(VARIANTS["dense-8"], epochs=2)
    fit(recipe, data, tmp_path / "dense-8", stop_after=data.steps_per_epoch + 1)  # it was stopped here
    assert sweep.main(arguments) == 0
    weights = {name: (tmp_path / name / "best.pt").read_bytes() for name in ("dense-8", "dense-16")}
    for name in weights:
        assert read_checkpoint(tmp_path / name / "last.pt")["state"]["step"] == 2 * data.steps_per_epoch
        assert trained_model(tmp_path / name / "best.pt")[0].code == int(name.removeprefix("dense-"))
    assert sweep.main(arguments) == 0  # nothing is left to do
    assert all((tmp_path / name / "best.pt").read_bytes() == content for name, content in weights.items())
    assert "dense-16: lowest held-out loss" in capsys.readouterr().out


def test_an_unknown_variant_is_named(complaint: Callable[..., str]) -> None:
    assert "no variant conv-sideways" in complaint(sweep.main, "conv-sideways")
