"""The packaged fp32 files are the committed checkpoints, exported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aeinfer.models import packaged_models
from export import verify

CHECKPOINTS = Path(__file__).parents[2] / "train" / "checkpoints"


@pytest.mark.parametrize("name", sorted(packaged_models()))
def test_the_packaged_file_is_its_checkpoint(name: str) -> None:
    assert verify.main([str(packaged_models()[name]), "--checkpoint", str(CHECKPOINTS / f"{name}.pt")]) == 0


def test_a_text_file_is_no_checkpoint(tmp_path: Path, complaint: Callable[..., str]) -> None:
    (tmp_path / "text.pt").write_text("hello")
    assert "expected a checkpoint" in complaint(
        verify.main, packaged_models()["photo"], "--checkpoint", tmp_path / "text.pt"
    )
