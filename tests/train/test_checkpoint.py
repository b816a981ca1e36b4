"""What is no checkpoint of a network here is told; what a run goes on from is tested in test_fit.py."""

from pathlib import Path

import pytest
import torch

from aeinfer.errors import InputError
from train.checkpoint import read_checkpoint, save_checkpoint, trained_model
from train.models import MODELS
from train.recipes import Recipe


@pytest.mark.parametrize("content", [b"", b"words", b"0", b"PK\x03\x04 and no more"])
def test_what_is_no_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or something else"):
        read_checkpoint(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.99])
def test_a_checkpoint_that_was_cut_is_told(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, Recipe("dense"), {"step": 0}, MODELS["dense"]())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="damaged or something else"):
        read_checkpoint(path)


def test_an_unknown_network_is_named(tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.pt"
    save_checkpoint(unknown, Recipe("photo-tiny"), {}, torch.nn.Identity())
    with pytest.raises(InputError, match=r"unknown\.pt is one of photo-tiny, no network here; take"):
        trained_model(unknown)
