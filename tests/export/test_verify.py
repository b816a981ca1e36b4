"""Whether a model file is said to do what its checkpoint does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from export import verify
from train.checkpoint import read_checkpoint


def test_verify_finds_other_weights(dense: Path, dense_checkpoint: Path, tmp_path: Path) -> None:
    saved = read_checkpoint(dense_checkpoint)
    saved["weights"]["decoder.0.bias"] += 0.01
    torch.save(saved, tmp_path / "other.pt")
    assert verify.main([str(dense), "--checkpoint", str(tmp_path / "other.pt")]) == 1


def test_verify_refuses_halves_and_what_rounds(
    dense: Path, dense_checkpoint: Path, complaint: Callable[..., str]
) -> None:
    for suffix, said in ((".encoder.onnx", "expected a whole network"), (".int8.onnx", "got one of int8")):
        assert said in complaint(verify.main, dense.with_suffix(suffix), "--checkpoint", dense_checkpoint)


def test_verify_refuses_what_is_missing(dense: Path, complaint: Callable[..., str]) -> None:
    assert "nowhere.pt" in complaint(verify.main, dense, "--checkpoint", "nowhere.pt")


def test_verify_refuses_a_checkpoint_of_another_kind(
    tiny_model: Path, dense_checkpoint: Path, complaint: Callable[..., str]
) -> None:
    said = complaint(verify.main, tiny_model, "--checkpoint", dense_checkpoint)
    assert "takes images of 1 channel(s) and 28x28 pixels, got one that takes images of 3 channel(s)" in said
    assert said.count("\n") == 1


def test_verify_says_what_cannot_be_read(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(verify, "trained_model", refuse)
    assert "Permission denied" in complaint(verify.main, tiny_model, "--checkpoint", tmp_path / "closed.pt")
