"""From a checkpoint to files that are portable, state what was measured, and are kept only when they are right."""

import errno
import re
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from aeinfer import AEInfer, InputError, noise
from aeinfer.session import Session
from export import __main__ as command
from export import grey, verify
from export.halves import HALVES, export_int8_halves
from export.int8 import PAIR_LIMIT, finish_int8, largest_pair
from export.measure import measure_bytes_per_pixel, measure_halo, receptive_radius
from export.quantize import quantize
from export.to_onnx import to_onnx
from tests.export.make_tiny_models import HALO, tiny_networks
from train.checkpoint import read_checkpoint, trained_model
from train.data import Data
from train.digit_networks import WAYS_UP
from train.models import MODELS
from train.photo_networks import PhotoAutoencoder
from train.quantization import calibrate, rounded
from train.recipes import RECIPES


@pytest.fixture(scope="module")
def dense(dense_checkpoint: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "dense.onnx"
    arguments = [str(dense_checkpoint), "-o", str(target), "--data", str(digits), "--no-verify", "--gate", "1"]
    assert command.main(arguments) == 0
    return target


@pytest.fixture(scope="module")
def photo(photo_checkpoint: Path, photos_data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "photo.onnx"
    command.export(*trained_model(photo_checkpoint), target, photos_data, name="photo")
    return target


def test_dense_comes_with_int8_and_halves(dense: Path, dense_checkpoint: Path) -> None:
    names = sorted(path.name for path in dense.parent.iterdir())
    halves = [f"dense.{half}{precision}.onnx" for half in ("decoder", "encoder") for precision in (".int8", "")]
    assert names == [*halves, "dense.int8.onnx", "dense.onnx"]
    info = AEInfer.load(dense).info
    assert (info.architecture, info.channels, info.tile, info.precision) == ("dense", 1, 28, "fp32")
    assert info.code == 64
    assert 0 < info.torch_error < 1e-4
    int8 = AEInfer.load(dense, precision="int8").info
    assert int8.precision == "int8"
    assert "training set" in int8.calibration
    assert 0 < abs(info.psnr["held out"] - int8.psnr["held out"]) < 1
    assert verify.main([str(dense), "--checkpoint", str(dense_checkpoint)]) == 0


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 3 / 255)])
def test_the_halves_make_the_whole(dense: Path, digits_data: Data, precision: str, tolerance: float) -> None:
    images = digits_data.validation[0][1][:70, 0]
    with AEInfer.load(dense, precision=precision) as ae:
        codes = ae.encode(images)
        assert codes.shape == (70, 64)
        assert np.abs(ae.decode(codes) - ae.denoise_batch(images)).mean() < tolerance


def test_int8_halves_that_lose_too_much_are_not_kept(dense: Path, digits_data: Data, tmp_path: Path) -> None:
    info = AEInfer.load(dense).info
    better = replace(info, psnr={"held out": info.psnr["held out"] + 5})
    halves = [onnx.load(dense.with_suffix(f".{half}.onnx")) for half in HALVES]
    tensors = command.calibration_tensors(digits_data)
    assert not export_int8_halves(halves, better, tmp_path / "dense.onnx", tensors, digits_data.validation, gate=0.3)
    assert list(tmp_path.iterdir()) == []


VARIANTS = {
    **{way_up: ("conv", {"decoder": way_up, "code": 12, "widths": (8, 16, 24)}) for way_up in WAYS_UP},
    "dilated": ("conv", {"bottleneck": "dilated"}),
    "unet": ("unet", {"widths": (8, 16, 24)}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_exports(name: str, digits_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained weights will do: fp32 is PyTorch's, int8 is near it, and a batch gives what single images give."""
    monkeypatch.setattr(command, "measure_bytes_per_pixel", lambda *_: 100)  # no second process
    torch.manual_seed(0)
    model, options = VARIANTS[name]
    network = MODELS[model](**options).eval()
    recipe = asdict(replace(RECIPES[model, "default"], options=options))
    target = tmp_path / "variant.onnx"
    proto, info = command.export(network, recipe, target, digits_data, name=name)
    assert info.torch_error < verify.TOLERANCE
    assert (info.code, info.tile) == (network.code, 28)
    assert all(opset.domain in ("", "ai.onnx") for opset in proto.opset_import)
    quantized = quantize(proto, command.calibration_tensors(digits_data)[:16])
    assert command.keep_int8([quantized], network, info, target, digits_data, gate=0.3)
    images = digits_data.validation[0][0][:5, 0]
    for precision, most in (("fp32", 1e-6), ("int8", 0.0)):
        with AEInfer.load(target, precision=precision) as ae:
            single = np.stack([ae(image) for image in images])
            assert np.abs(ae.denoise_batch(images) - single).max() <= most


def test_the_command_starts_without_what_draws() -> None:
    code = "import sys, export.__main__; print(sorted({'matplotlib', 'tensorboard'} & sys.modules.keys()))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_int8_runs_in_a_batch_as_alone(dense: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 28, 28), dtype=np.uint8)
    with AEInfer.load(dense, precision="int8") as ae:
        assert np.array_equal(ae.denoise_batch(images), np.stack([ae(image) for image in images]))


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


def test_an_int8_file_that_loses_too_much_is_not_kept(
    dense: Path, dense_checkpoint: Path, digits_data: Data, tmp_path: Path
) -> None:
    info = AEInfer.load(dense).info
    better = replace(info, psnr={"held out": info.psnr["held out"] + 5})
    quantized = quantize(onnx.load(dense), command.calibration_tensors(digits_data))
    model = trained_model(dense_checkpoint)[0]
    assert not command.keep_int8([quantized], model, better, tmp_path / "dense.onnx", digits_data, gate=0.3)
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


@pytest.fixture(scope="module")
def trained_int8(
    photo_checkpoint: Path, rounding_checkpoint: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    target = tmp_path_factory.mktemp("exported") / "photo.onnx"
    arguments = [str(photo_checkpoint), "-o", str(target), "--data", str(photos), "--int8", str(rounding_checkpoint)]
    assert command.main([*arguments, "--gate", "1"]) == 0
    return target.with_suffix(".int8.onnx")


def test_int8_that_was_trained_is_what_torch_rounds(trained_int8: Path, rounding_checkpoint: Path) -> None:
    """Sums differ in their last bits, so a value now and then falls to the next step: the mean tells."""
    images = np.random.default_rng(0).random((2, 3, 64, 80), np.float32)
    with torch.no_grad():
        expected = trained_model(rounding_checkpoint)[0](torch.from_numpy(images)).numpy()
    difference = np.abs(Session(trained_int8.read_bytes(), "int8", "cpu").run(images) - expected)
    assert difference.mean() < 0.1 / 255
    assert difference.max() < 4 / 255


def test_a_dead_block_keeps_its_bias_in_int8() -> None:
    """Its activations have no range, and a bias in steps of nearly nothing does not fit 32 bits."""
    torch.manual_seed(0)
    network = PhotoAutoencoder((4, 8), encoder=(1,), middle=1, decoder=(1,), separable=True).eval()
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    torch.nn.init.normal_(network.middle[0].second.weight, std=0.1)
    torch.nn.init.constant_(network.middle[0].first.bias, -100.0)
    torch.nn.init.uniform_(network.middle[0].second.bias, 0.5, 1.0)
    images = torch.rand(2, 3, 32, 32)
    calibrate(rounded(network), [images])
    content = finish_int8(to_onnx(network, images, free_sides=True, stride=network.stride)).SerializeToString()
    with torch.no_grad():
        expected = network(images).numpy()
    got = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"input": images.numpy()})
    assert np.abs(got[0] - expected).mean() < 1e-3


def test_int8_that_was_trained_cannot_saturate(trained_int8: Path) -> None:
    info = AEInfer.load(trained_int8).info
    assert (info.precision, info.saturates) == ("int8", False)
    assert "trained with rounding" in info.calibration
    proto = onnx.load(trained_int8)
    assert largest_pair(proto) <= PAIR_LIMIT
    weights = [onnx.numpy_helper.to_array(part) for part in proto.graph.initializer]
    assert not [array for array in weights if array.dtype == np.float32 and array.shape[:2] == (32, 32)]  # below half
    assert sum(array.dtype == np.int32 and array.ndim == 1 for array in weights) > 8  # the biases
    exact = [
        onnx.numpy_helper.to_array(part) for part in onnx.load(trained_int8.with_name("photo.onnx")).graph.initializer
    ]
    assert sum(array.nbytes for array in weights) < 0.5 * sum(array.nbytes for array in exact)
    assert all(opset.domain in ("", "ai.onnx") for opset in proto.opset_import)


def test_names_of_shapes_that_cost_memory_are_left_out(trained_int8: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, info = onnx.load(trained_int8), AEInfer.load(trained_int8).info
    assert named.graph.value_info
    plain = onnx.load(trained_int8)
    del plain.graph.value_info[:]
    costs = {True: 200, False: 100}
    monkeypatch.setattr(
        command,
        "measure_bytes_per_pixel",
        lambda content, *_: costs[bool(onnx.load_from_string(content).graph.value_info)],
    )
    assert command.leanest((named, plain), info) == (plain, 100)
    costs[True] = 105
    assert command.leanest((named, plain), info) == (named, 105)


def test_values_stay_in_8_bits_between_convolutions(trained_int8: Path, tmp_path: Path) -> None:
    """In onnxruntime's own plan all is below half resolution, which is reached and left once."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "plan.onnx"), 3
    onnxruntime.InferenceSession(trained_int8, options)
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "plan.onnx").graph.node)
    # the first, what comes up from a quarter, two blocks, with the last convolution twice for one of the second; sums
    # are in theirs, the transposed one places pixels
    assert [kinds[kind] for kind in ("Conv", "ConvTranspose", "Add", "Sub")] == [9, 1, 1, 1]
    assert [kinds[kind] for kind in ("QuantizeLinear", "DequantizeLinear")] == [1, 1]
    assert kinds["QLinearConv"] > 8


def test_int8_of_another_recipe_is_refused(
    photo_checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(photo_checkpoint), "-o", str(tmp_path / "photo.onnx"), "--data", str(photos)]
    with pytest.raises(SystemExit) as stop:
        command.main([*arguments, "--int8", str(photo_checkpoint)])
    assert stop.value.code == 2
    assert "recipe int8" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_int8_that_began_with_another_checkpoint_is_refused(
    photo_checkpoint: Path, rounding_checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or the two files would be of different networks; one from before starts were noted is taken."""
    later, old = tmp_path / "later.pt", tmp_path / "old.pt"
    for path, source, change in ((later, photo_checkpoint, {"step": 99}), (old, rounding_checkpoint, {"start": None})):
        saved = read_checkpoint(source)
        saved["state"] |= change
        torch.save(saved, path)
    for data, int8, said in ((photos, rounding_checkpoint, "another checkpoint"), (tmp_path, old, "photographs")):
        arguments = [str(later), "-o", str(tmp_path / "photo.onnx"), "--data", str(data), "--int8", str(int8)]
        with pytest.raises(SystemExit) as stop:
            command.main(arguments)
        assert stop.value.code == 2
        assert said in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"later.pt", "old.pt"}


def test_a_checkpoint_that_rounds_is_no_fp32_one(
    rounding_checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main([str(rounding_checkpoint), "-o", str(tmp_path / "photo.onnx"), "--data", str(photos)])
    assert stop.value.code == 2
    assert "was trained with rounding" in capsys.readouterr().err


def test_calibrated_int8_may_saturate(dense: Path) -> None:
    assert AEInfer.load(dense, precision="int8").info.saturates


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


@pytest.mark.parametrize("name", ["net", "net.int8.onnx", "net.fp16.onnx"])
@pytest.mark.parametrize("room", [command, grey])
def test_a_name_that_is_no_fp32_files_is_refused(
    room: ModuleType, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`net.int8.onnx` would be taken for the int8 file of net.onnx."""
    data = ["--data", "nowhere"] if room is command else []
    with pytest.raises(SystemExit) as stop:
        room.main(["any", "-o", str(tmp_path / name), *data])
    assert stop.value.code == 2
    assert f"got {'the name of another: ' if '.' in name else ''}{tmp_path / name}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_measured_halo_is_the_networks(tiny_model: Path) -> None:
    """Random weights look as far as the receptive field: 32 pixels suffice, and less than half of it does not."""
    session = Session(tiny_model.read_bytes(), "tiny", "cpu")
    image = noise.add_gaussian(np.full((1, 3, 160, 160), 0.5, np.float32), 50.0)
    halo, error = measure_halo(session, [image], stride=4, limit=64)
    assert HALO // 2 < halo <= HALO
    assert error < 0.5


class Looking:
    """In a session's place: each pixel is the one that lies (y, x) pixels away, and 0 where none does."""

    def __init__(self, y: int, x: int) -> None:
        self.y, self.x = y, x

    def run(self, image: np.ndarray) -> np.ndarray:
        far = max(abs(self.y), abs(self.x))
        height, width = image.shape[2:]
        padded = np.pad(image, ((0, 0), (0, 0), (far, far), (far, far)))
        return padded[..., far + self.y :, far + self.x :][..., :height, :width]


@pytest.mark.parametrize(("y", "x"), [(0, 1), (1, 0), (0, -1), (-1, 0)])
def test_the_halo_is_measured_on_all_sides(y: int, x: int) -> None:
    image = np.random.default_rng(0).random((1, 3, 160, 160), np.float32)
    assert measure_halo(Looking(52 * y, 52 * x), [image], stride=4, limit=64) == (56, 0.0)
    with pytest.raises(ValueError, match="looks further"):
        measure_halo(Looking(62 * y, 62 * x), [image], stride=4, limit=64)


def test_the_receptive_radius_is_what_cutting_shows() -> None:
    """Beyond it nothing changes a bit; a stride less changes something."""
    network = tiny_networks()["tiny"]
    radius = receptive_radius(network)
    halo = -(-radius // network.stride) * network.stride
    assert halo <= HALO
    image = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        whole = network(image)[..., 64:68, 64:68]
        errors = [
            (network(image[..., 64 - h : 68 + h, 64 - h : 68 + h])[..., h : h + 4, h : h + 4] - whole)
            .abs()
            .max()
            .item()
            for h in (halo, halo - network.stride)
        ]
    assert errors[0] < 1e-6 < errors[1]


def test_memory_per_pixel_is_measured(tiny_model: Path) -> None:
    measured = measure_bytes_per_pixel(tiny_model.read_bytes(), 3)
    assert 24 <= measured < 400  # at least input and output


def test_memory_per_pixel_of_windows_is_that_of_a_batch_of_them(tiny_window: Path) -> None:
    measured = measure_bytes_per_pixel(tiny_window.read_bytes(), 1, 8)
    assert 4 <= measured < 100


def test_the_checkpoint_is_the_averaged_network(photo_checkpoint: Path) -> None:
    model, recipe = trained_model(photo_checkpoint)
    assert recipe["ema"] == 0.999
    saved = read_checkpoint(photo_checkpoint)
    assert all(torch.equal(value, saved["weights"][key]) for key, value in model.state_dict().items())
