"""A repository that Triton reads: its layout, what its config says, and that it is whole or not there."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from aeinfer import InputError, ModelError
from aeinfer.models import packaged_models
from export import triton
from tests.pictures import files

TINY = """\
name: "tiny"
backend: "onnxruntime"
max_batch_size: 8
input [{ name: "input", data_type: TYPE_FP32, dims: [3, -1, -1] }]
output [{ name: "output", data_type: TYPE_FP32, dims: [3, -1, -1] }]
dynamic_batching {}
"""


def with_fixed_batch(path: Path) -> bytes:
    proto = onnx.load(path)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return proto.SerializeToString()


def test_a_repository_holds_each_file_and_what_it_takes(
    tiny_model: Path, tiny_window: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "serve" / "models"
    encoder = tiny_window.with_suffix(".encoder.onnx")
    assert triton.main([str(tiny_model), str(encoder), "-o", str(folder)]) == 0
    assert files(folder) == [
        *("tiny/1/model.onnx", "tiny/config.pbtxt"),
        *("tiny_window.encoder/1/model.onnx", "tiny_window.encoder/config.pbtxt"),
    ]
    assert capsys.readouterr().out.split() == [str(folder / "tiny"), str(folder / "tiny_window.encoder")]
    assert (folder / "tiny/1/model.onnx").read_bytes() == tiny_model.read_bytes()
    assert (folder / "tiny/config.pbtxt").read_text() == TINY
    encoded = (folder / "tiny_window.encoder/config.pbtxt").read_text()
    assert "dims: [1, 8, 8]" in encoded
    assert 'output [{ name: "output", data_type: TYPE_FP32, dims: [16] }]' in encoded


def test_one_image_a_run_where_more_are_not_wanted_or_not_taken(tiny_model: Path) -> None:
    alone = triton.config("tiny", tiny_model.read_bytes(), max_batch=1)
    assert alone == TINY.replace("max_batch_size: 8", "max_batch_size: 1").replace("dynamic_batching {}\n", "")
    fixed = triton.config("tiny", with_fixed_batch(tiny_model))
    assert fixed == alone.replace("max_batch_size: 1", "max_batch_size: 0").replace("[3, -1", "[1, 3, -1")


def test_tritons_own_definition_reads_every_packaged_config() -> None:
    text_format = pytest.importorskip("google.protobuf.text_format")
    definition = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed")
    for name, path in packaged_models().items():
        config = text_format.Parse(triton.config(name, path.read_bytes()), definition.ModelConfig())
        assert (config.name, config.backend, config.max_batch_size) == (name, "onnxruntime", 8)
        assert config.HasField("dynamic_batching")
        sides = [-1, -1] if name.startswith("photo") else [28, 28]
        for (end,), expected in ((config.input, "input"), (config.output, "output")):
            assert (end.name, end.data_type) == (expected, definition.TYPE_FP32)
            assert list(end.dims[1:]) == sides
            assert end.dims[0] == (3 if name.startswith("photo") else 1)


def test_what_is_there_is_kept_until_told(tiny_model: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    old = tmp_path / "tiny" / "2" / "model.onnx"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"mine")
    assert "--overwrite" in complaint(triton.main, tiny_model, "-o", tmp_path)
    assert files(tmp_path) == ["tiny/2/model.onnx"]
    assert triton.main([str(tiny_model), "-o", str(tmp_path), "--overwrite"]) == 0
    assert files(tmp_path) == ["tiny/1/model.onnx", "tiny/config.pbtxt"]


def test_no_half_repository_is_left(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="text file"):
        triton.write_repository(tmp_path / "text.onnx", tmp_path / "models")
    assert files(tmp_path) == ["text.onnx"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)  # the model is written, its config is not
    with pytest.raises(OSError, match="No space left"):
        triton.write_repository(tiny_model, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_what_was_to_be_replaced_is_put_back(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    triton.write_repository(tiny_model, tmp_path)
    (tmp_path / "tiny" / "config.pbtxt").write_text("mine")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        triton.write_repository(tiny_model, tmp_path, overwrite=True)
    assert files(tmp_path) == ["tiny/1/model.onnx", "tiny/config.pbtxt"]
    assert (tmp_path / "tiny" / "config.pbtxt").read_text() == "mine"


def test_a_refusal_to_overwrite_names_the_place(tiny_model: Path, tmp_path: Path) -> None:
    triton.write_repository(tiny_model, tmp_path)
    with pytest.raises(InputError, match=str(tmp_path / "tiny")):
        triton.write_repository(tiny_model, tmp_path)
