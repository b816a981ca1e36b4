"""Whether a model file is said to do what its checkpoint does."""

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
    dense: Path, dense_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix, said in ((".encoder.onnx", "expected a whole network"), (".int8.onnx", "got one of int8")):
        with pytest.raises(SystemExit) as stop:
            verify.main([str(dense.with_suffix(suffix)), "--checkpoint", str(dense_checkpoint)])
        assert stop.value.code == 2
        assert said in capsys.readouterr().err


def test_verify_refuses_what_is_missing(dense: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        verify.main([str(dense), "--checkpoint", "nowhere.pt"])
    assert stop.value.code == 2
    assert "nowhere.pt" in capsys.readouterr().err


def test_verify_refuses_a_checkpoint_of_another_kind(
    tiny_model: Path, dense_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        verify.main([str(tiny_model), "--checkpoint", str(dense_checkpoint)])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "takes images of 1 channel(s) and 28x28 pixels, got one that takes images of 3 channel(s)" in said
    assert said.count("\n") == 1


def test_verify_says_what_cannot_be_read(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(verify, "trained_model", refuse)
    with pytest.raises(SystemExit) as stop:
        verify.main([str(tiny_model), "--checkpoint", str(tmp_path / "closed.pt")])
    assert stop.value.code == 2
    assert "Permission denied" in capsys.readouterr().err
