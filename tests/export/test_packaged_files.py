"""The packaged files are portable, and those of fp32 are the committed checkpoints, exported."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from aeinfer.doctor.models import RECORD
from aeinfer.models import packaged_models
from export import verify

CHECKPOINTS = Path(__file__).parents[2] / "train" / "checkpoints"


@pytest.mark.parametrize("name", sorted(packaged_models()))
def test_the_packaged_file_is_its_checkpoint(name: str) -> None:
    assert verify.main([str(packaged_models()[name]), "--checkpoint", str(CHECKPOINTS / f"{name}.pt")]) == 0


@pytest.mark.parametrize("path", sorted(RECORD.parent.glob("*.onnx")), ids=lambda path: path.name)
def test_every_packaged_file_has_the_form_that_other_programs_want(path: Path) -> None:
    proto = onnx.load(path)
    assert {node.domain for node in proto.graph.node} == {""}
    assert next(opset.version for opset in proto.opset_import if opset.domain == "") >= 17
    for ends, name in ((proto.graph.input, "input"), (proto.graph.output, "output")):
        (end,) = ends
        assert (end.name, end.type.tensor_type.elem_type) == (name, onnx.TensorProto.FLOAT)
        batch, *sides = end.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        if path.name.startswith("photo"):
            assert [side.dim_param for side in sides[1:]] == ["height", "width"]


def test_a_text_file_is_no_checkpoint(tmp_path: Path, complaint: Callable[..., str]) -> None:
    (tmp_path / "text.pt").write_text("hello")
    assert "expected a checkpoint" in complaint(
        verify.main, packaged_models()["photo"], "--checkpoint", tmp_path / "text.pt"
    )
