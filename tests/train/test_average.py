"""The mean of checkpoints: of their weights, with what the last one knows of its run."""

from collections.abc import Callable
from pathlib import Path

import torch

from train.average import main
from train.checkpoint import read_checkpoint, save_checkpoint
from train.models import MODELS
from train.recipes import Recipe


def save(path: Path, recipe: Recipe, value: float, step: int) -> str:
    model = MODELS[recipe.model](**recipe.options)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, value)
    save_checkpoint(path, recipe, {"step": step}, model)
    return str(path)


def test_the_mean_has_what_the_last_one_knows(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.pt", Recipe("dense", seed=i), value, i) for i, value in enumerate((1.0, 2.0, 6.0))]
    mean = tmp_path / "mean.pt"
    assert main([*paths, "-o", str(mean)]) == 0
    saved = read_checkpoint(mean)
    assert all(torch.all(value == 3) for value in saved["weights"].values())
    assert (saved["recipe"]["seed"], saved["state"]) == (2, {"step": 2})


def test_another_network_or_none_is_refused(tmp_path: Path, complaint: Callable[..., str]) -> None:
    dense = save(tmp_path / "dense.pt", Recipe("dense"), 1.0, 0)
    smaller = save(tmp_path / "smaller.pt", Recipe("dense", options={"code": 16}), 1.0, 0)
    camera = save(tmp_path / "conv.pt", Recipe("conv"), 1.0, 0)
    for wrong, said in (
        (smaller, "holds another than"),
        (camera, "holds another than"),
        (str(tmp_path / "none.pt"), "there is no file"),
    ):
        assert said in complaint(main, wrong, dense, "-o", tmp_path / "mean.pt")
        assert not (tmp_path / "mean.pt").exists()
