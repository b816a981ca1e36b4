"""The packaged fp32 files are the committed checkpoints, exported."""

from pathlib import Path

import pytest

from aeinfer.models import packaged_models
from export import verify

CHECKPOINTS = Path(__file__).parents[2] / "train" / "checkpoints"


@pytest.mark.parametrize("name", sorted(packaged_models()))
def test_the_packaged_file_is_its_checkpoint(name: str) -> None:
    assert verify.main([str(packaged_models()[name]), "--checkpoint", str(CHECKPOINTS / f"{name}.pt")]) == 0


def test_a_text_file_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(SystemExit) as stop:
        verify.main([str(packaged_models()["photo"]), "--checkpoint", str(tmp_path / "text.pt")])
    assert stop.value.code == 2
    assert "expected a checkpoint" in capsys.readouterr().err
