"""From a checkpoint to files that are portable, state what was measured, and are kept only when they are right."""

import errno
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import onnx
import pytest
import torch

from aeinfer import AEInfer, InputError
from aeinfer.session import Session
from export import __main__ as command
from export import grey, int8, verify
from export.quantize import quantize
from tests.programs import run_python
from train.checkpoint import read_checkpoint, trained_model
from train.data import Data
from train.digit_networks import WAYS_UP
from train.models import MODELS
from train.recipes import RECIPES


def test_dense_comes_with_int8_and_halves(dense: Path, dense_checkpoint: Path) -> None:
    names = sorted(path.name for path in dense.parent.iterdir())
    halves = [f"dense.{half}{precision}.onnx" for half in ("decoder", "encoder") for precision in (".int8", "")]
    assert names == [*halves, "dense.int8.onnx", "dense.onnx"]
    info = AEInfer.load(dense).info
    assert (info.architecture, info.channels, info.tile, info.precision) == ("dense", 1, 28, "fp32")
    assert info.code == 64
    assert 0 < info.torch_error < 1e-4
    rounded = AEInfer.load(dense, precision="int8").info
    assert rounded.precision == "int8"
    assert rounded.saturates
    assert "training set" in rounded.calibration
    assert 0 < abs(info.psnr["held out"] - rounded.psnr["held out"]) < 1
    assert verify.main([str(dense), "--checkpoint", str(dense_checkpoint)]) == 0


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 3 / 255)])
def test_the_halves_make_the_whole(dense: Path, digits_data: Data, precision: str, tolerance: float) -> None:
    images = digits_data.validation[0][1][:70, 0]
    with AEInfer.load(dense, precision=precision) as ae:
        codes = ae.encode(images)
        assert codes.shape == (70, 64)
        assert np.abs(ae.decode(codes) - ae.denoise_batch(images)).mean() < tolerance


VARIANTS = {
    **{way_up: ("conv", {"decoder": way_up, "code": 12, "widths": (8, 16, 24)}) for way_up in WAYS_UP},
    "dilated": ("conv", {"bottleneck": "dilated"}),
    "unet": ("unet", {"widths": (8, 16, 24)}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_exports(name: str, digits_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained weights will do: fp32 is PyTorch's, int8 is near it, and a batch gives what single images give."""
    for room in (command, int8):
        monkeypatch.setattr(room, "measure_bytes_per_pixel", lambda *_: 100)  # no second process
    torch.manual_seed(0)
    model, options = VARIANTS[name]
    network = MODELS[model](**options).eval()
    recipe = asdict(replace(RECIPES[model, "default"], options=options))
    target = tmp_path / "variant.onnx"
    proto, info = command.export(network, recipe, target, digits_data, name=name)
    assert info.torch_error < verify.TOLERANCE
    assert (info.code, info.tile) == (network.code, 28)
    quantized = quantize(proto, command.calibration_tensors(digits_data)[:16])
    for graph in (proto, quantized):
        onnx.checker.check_model(graph, full_check=True)
        assert {opset.domain for opset in graph.opset_import} == {""}
    assert int8.keep_int8([quantized], network, info, target, digits_data, gate=0.3)
    images = digits_data.validation[0][0][:5, 0]
    for precision, most in (("fp32", 1e-6), ("int8", 0.0)):
        with AEInfer.load(target, precision=precision) as ae:
            single = np.stack([ae(image) for image in images])
            assert np.abs(ae.denoise_batch(images) - single).max() <= most


def test_the_command_starts_without_what_draws() -> None:
    code = "import sys, export.__main__; print(sorted({'matplotlib', 'tensorboard'} & sys.modules.keys()))"
    assert run_python(code) == ["[]"]


def test_photo_states_a_halo_that_suffices(photo: Path) -> None:
    info = AEInfer.load(photo).info
    assert (info.tile, info.stride, info.channels) == (None, 16, 3)
    assert info.halo % 16 == 0
    assert info.halo > 0
    assert info.halo_error < 0.5
    image = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    whole, tiled = (AEInfer.load(photo, tile=tile)(image) for tile in (512, 64))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_photo_is_portable(photo: Path) -> None:
    """OpenCV reads the same file, at sizes it was not exported with, and gives the same pixels."""
    images = np.random.default_rng(0).random((1, 3, 48, 80), np.float32)
    network = cv2.dnn.readNetFromONNX(str(photo))
    network.setInput(images)
    expected = Session(photo.read_bytes(), "photo", "cpu").run(images)
    assert np.abs(network.forward() - expected).max() < 1e-4


def test_the_file_holds_no_traces(photo: Path, dense: Path) -> None:
    for path in (photo, dense):
        proto = onnx.load(path)
        assert all(opset.domain in ("", "ai.onnx") and opset.version >= 17 for opset in proto.opset_import)
        assert [value.name for value in proto.graph.input] == ["input"]
        assert [value.name for value in proto.graph.output] == ["output"]
        assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
        assert not re.search(rb"/[\w.-]+/[\w./-]+\.py", path.read_bytes())


@pytest.fixture
def exported_before(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's exporter takes seconds, and its graph is there."""
    monkeypatch.setattr(command, "to_onnx", lambda *_, **__: onnx.load(photo))


@pytest.mark.usefixtures("exported_before")
def test_a_file_that_differs_from_torch_is_not_kept(
    photo_checkpoint: Path, photos_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TOLERANCE", 0.0)
    with pytest.raises(InputError, match="differ by"):
        command.export(*trained_model(photo_checkpoint), tmp_path / "photo.onnx", photos_data, name="photo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("exported_before")
def test_without_room_for_the_new_file_the_old_ones_stay(
    photo_checkpoint: Path, photos_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(command, "write_all", refuse)
    for name in ("photo.onnx", "photo.int8.onnx"):
        (tmp_path / name).write_bytes(b"an earlier one")
    with pytest.raises(OSError, match="no space left"):
        command.export(*trained_model(photo_checkpoint), tmp_path / "photo.onnx", photos_data, name="photo")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "photo.onnx": b"an earlier one",
        "photo.int8.onnx": b"an earlier one",
    }


@pytest.mark.usefixtures("exported_before")
def test_an_export_removes_the_siblings_of_an_earlier_one(
    photo_checkpoint: Path, photos_data: Data, tmp_path: Path
) -> None:
    halves = (f"{half}{precision}" for half in ("encoder", "decoder") for precision in ("", ".int8", ".fp16"))
    for sibling in ("int8", "fp16", *halves):
        (tmp_path / f"photo.{sibling}.onnx").write_bytes(b"another network")
    command.export(*trained_model(photo_checkpoint), tmp_path / "photo.onnx", photos_data, name="photo", license="MIT")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.onnx"]
    assert AEInfer.load(tmp_path / "photo.onnx").info.license == "MIT"


@pytest.mark.parametrize("name", ["net", "net.int8.onnx", "net.fp16.onnx"])
@pytest.mark.parametrize("room", [command, grey])
def test_a_name_that_is_no_fp32_files_is_refused(
    room: ModuleType, name: str, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    """`net.int8.onnx` would be taken for the int8 file of net.onnx."""
    data = ["--data", "nowhere"] if room is command else []
    said = complaint(room.main, "any", "-o", tmp_path / name, *data)
    assert f"got {'the name of another: ' if '.' in name else ''}{tmp_path / name}" in said
    assert list(tmp_path.iterdir()) == []


def test_the_checkpoint_is_the_averaged_network(photo_checkpoint: Path) -> None:
    model, recipe = trained_model(photo_checkpoint)
    assert recipe["ema"] == 0.999
    saved = read_checkpoint(photo_checkpoint)
    assert all(torch.equal(value, saved["weights"][key]) for key, value in model.state_dict().items())


def test_a_stopped_export_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "trained_model", stop)
    arguments = ["any.pt", "-o", tmp_path / "net.onnx", "--data", "nowhere"]
    assert complaint(command.main, *arguments, code=130) == "export: stopped\n"
