"""Files of half precision: float32 at their ends, kept only where rounding, measured everywhere, costs little."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from aeinfer import AEInfer
from aeinfer.model_bytes import stated_precision
from aeinfer.model_info import ModelInfo
from aeinfer.session import Session
from export import fp16
from export.to_onnx import with_facts
from tests.documented import documented, shell
from train.checkpoint import trained_model


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a.astype(np.float64) - b).mean()))


def test_half_precision_is_taken_by_name_and_gives_the_same_but_for_rounding(photo: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    whole, half = (AEInfer.load(photo, device="cpu", precision=precision) for precision in ("fp32", "fp16"))
    assert half.info.precision == "fp16"
    assert (half.info.halo, half.info.stride, half.info.name) == (whole.info.halo, whole.info.stride, "photo")
    assert 0 <= whole.info.psnr["held out"] - half.info.psnr["held out"] < fp16.FP16_GATE_DB
    assert np.abs(half(image).astype(int) - whole(image)).max() <= 1
    assert AEInfer.load(photo, device="cpu").info.precision == "fp32"


def test_it_takes_and_gives_float32_and_computes_in_halves(photo: Path) -> None:
    file = photo.with_suffix(".fp16.onnx")
    assert stated_precision(file.read_bytes()) == "fp16"
    graph = onnx.load(file).graph
    assert [each.type.tensor_type.elem_type for each in (*graph.input, *graph.output)] == [onnx.TensorProto.FLOAT] * 2
    weights = [each for each in graph.initializer if len(each.dims) == 4]
    assert {each.data_type for each in weights} == {onnx.TensorProto.FLOAT16}
    assert [node.op_type for node in graph.node].count("Cast") == 2
    assert file.stat().st_size < 0.6 * photo.stat().st_size


def test_rounding_is_measured_as_pytorch_rounds(photo: Path, photo_checkpoint: Path) -> None:
    """onnxruntime's CPU leaves most roundings of the very file out."""
    model = trained_model(photo_checkpoint)[0]
    images = fp16.noisy_ramps(ModelInfo(stride=16))[0]
    with torch.no_grad():
        exact = model(torch.from_numpy(images)).numpy()
        rounded = model.half()(torch.from_numpy(images).half()).float().numpy()
    graph = fp16.rounded_everywhere(onnx.load(photo))
    ours = Session(graph.SerializeToString(), "rounded", "cpu").run(images)
    assert psnr(ours, exact) == pytest.approx(psnr(rounded, exact), abs=1)
    file = Session(photo.with_suffix(".fp16.onnx").read_bytes(), "photo", "cpu").run(images)
    assert psnr(file, exact) >= psnr(ours, exact)


@pytest.mark.parametrize(("psnr_db", "apart", "lost"), [(30, 30, 3.01), (50, 70, 0.043), (30, 80, 0.0)])
def test_errors_that_know_nothing_of_each_other_add_up(psnr_db: float, apart: float, lost: float) -> None:
    assert fp16.lost_db(psnr_db, apart) == pytest.approx(lost, abs=1e-3)
    random = np.random.default_rng(0).normal(0, 1, (2, 1 << 20))
    first, second = random * 10 ** (-np.array([[psnr_db], [apart]]) / 20)
    assert psnr(first, 0 * first) - psnr(first + second, 0 * first) == pytest.approx(lost, abs=0.02)


@pytest.fixture
def large_values() -> onnx.ModelProto:
    """input * 1e4 * 1e4 * 1e-8: half precision ends at 65504."""
    ends = [onnx.helper.make_tensor_value_info(n, 1, ["batch", 3, "h", "w"]) for n in ("input", "output")]
    factors = [onnx.helper.make_tensor(name, 1, [], [value]) for name, value in (("up", 1e4), ("down", 1e-4))]
    steps = ("input", "up", "large"), ("large", "up", "huge"), ("huge", "down", "again"), ("again", "down", "output")
    nodes = [onnx.helper.make_node("Mul", [a, b], [c], name=c) for a, b, c in steps]
    graph = onnx.helper.make_graph(nodes, "large", ends[:1], ends[1:], factors)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)


def test_values_too_large_for_halves_are_found(
    large_values: onnx.ModelProto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info, target = ModelInfo(stride=1), tmp_path / "large.fp16.onnx"
    assert not fp16.keep_fp16(large_values, info, target, [np.ones((1, 3, 8, 8), np.float32)])
    assert "not kept" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second process to measure memory in."""
    monkeypatch.setattr(fp16, "measure_bytes_per_pixel", lambda *_: 123)


@pytest.mark.usefixtures("quick")
def test_a_file_is_enough(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.onnx"
    shutil.copy(tiny_model, path)
    assert fp16.main([str(path)]) == 0
    assert "net.fp16.onnx: 0.0" in capsys.readouterr().out
    info = AEInfer.load(path, device="cpu", precision="fp16").info
    assert (info.precision, info.bytes_per_pixel, info.tile) == ("fp16", 123, None)


@pytest.mark.usefixtures("quick")
def test_a_window_goes_to_where_it_is_told(tiny_window: Path, tmp_path: Path) -> None:
    assert fp16.main([str(tiny_window), "-o", str(tmp_path / "half.onnx")]) == 0
    assert AEInfer.load(tmp_path / "half.onnx", device="cpu").info.precision == "fp16"


@pytest.mark.usefixtures("quick")
def test_a_packaged_name_is_written_here(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fp16, "packaged_models", lambda: {"tiny": tiny_model})
    assert fp16.main(["tiny"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.fp16.onnx"]


def test_what_loses_too_much_is_not_kept(tiny_model: Path, tmp_path: Path) -> None:
    assert fp16.main([str(tiny_model), "-o", str(tmp_path / "half.onnx"), "--gate", "0"]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["itself.onnx", "notes.txt", "folder.onnx"])
def test_no_other_file_is_written_over(
    tiny_model: Path, tmp_path: Path, name: str, complaint: Callable[..., str]
) -> None:
    source = tmp_path / "itself.onnx"
    source.write_bytes(tiny_model.read_bytes())
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    complaint(fp16.main, source, "-o", tmp_path / name)
    assert source.read_bytes() == tiny_model.read_bytes()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_only_fp32_is_taken(tiny_model: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    info = replace(Session(tiny_model.read_bytes(), "tiny", "cpu").info(), precision="int8")
    (tmp_path / "int8.onnx").write_bytes(with_facts(onnx.load(tiny_model), info))
    for name, message in (("int8.onnx", "is of int8"), ("none.onnx", "cannot read the model file")):
        assert message in complaint(fp16.main, tmp_path / name)


def test_the_bindings_of_halves_are_in_float32(photo: Path) -> None:
    """The buffers of a GPU are float32 whatever the file computes in."""
    from aeinfer.binding import Binding

    session = Session(photo.with_suffix(".fp16.onnx").read_bytes(), "photo", "cpu")
    images = fp16.noisy_ramps(ModelInfo(stride=16))[0]
    bound = Binding(onnxruntime, session._session, ("cpu", 0)).run(images)
    np.testing.assert_array_equal(bound, session.run(images))


def test_the_pages_line_runs(tmp_path: Path) -> None:
    done = shell(documented("cuda.md", "fp16"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photo.fp16.onnx").stat().st_size > 0
