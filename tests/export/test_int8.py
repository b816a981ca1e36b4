"""int8 files, calibrated or trained with rounding: what they give, and which are kept."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from aeinfer import AEInfer
from aeinfer.session import Session
from export import __main__ as command
from export import int8
from export.halves import HALVES, export_int8_halves
from export.int8 import PAIR_LIMIT, finish_int8, largest_pair
from export.quantize import quantize
from export.to_onnx import to_onnx
from train.checkpoint import read_checkpoint, trained_model
from train.data import Data
from train.photo_networks import PhotoAutoencoder
from train.quantization import calibrate, rounded


def test_int8_runs_in_a_batch_as_alone(dense: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 28, 28), dtype=np.uint8)
    with AEInfer.load(dense, precision="int8") as ae:
        assert np.array_equal(ae.denoise_batch(images), np.stack([ae(image) for image in images]))


def test_an_int8_file_that_loses_too_much_is_not_kept(
    dense: Path, dense_checkpoint: Path, digits_data: Data, tmp_path: Path
) -> None:
    info = AEInfer.load(dense).info
    better = replace(info, psnr={"held out": info.psnr["held out"] + 5})
    quantized = quantize(onnx.load(dense), command.calibration_tensors(digits_data))
    model = trained_model(dense_checkpoint)[0]
    assert not int8.keep_int8([quantized], model, better, tmp_path / "dense.onnx", digits_data, gate=0.3)
    assert list(tmp_path.iterdir()) == []


def test_int8_halves_that_lose_too_much_are_not_kept(dense: Path, digits_data: Data, tmp_path: Path) -> None:
    info = AEInfer.load(dense).info
    better = replace(info, psnr={"held out": info.psnr["held out"] + 5})
    halves = [onnx.load(dense.with_suffix(f".{half}.onnx")) for half in HALVES]
    tensors = command.calibration_tensors(digits_data)
    assert not export_int8_halves(halves, better, tmp_path / "dense.onnx", tensors, digits_data.validation, gate=0.3)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def trained_int8(photo: Path) -> Path:
    return photo.with_suffix(".int8.onnx")


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
        int8,
        "measure_bytes_per_pixel",
        lambda content, *_: costs[bool(onnx.load_from_string(content).graph.value_info)],
    )
    assert int8.leanest((named, plain), info) == (plain, 100)
    costs[True] = 105
    assert int8.leanest((named, plain), info) == (named, 105)


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
    photo_checkpoint: Path, photos: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    arguments = [str(photo_checkpoint), "-o", str(tmp_path / "photo.onnx"), "--data", str(photos)]
    assert "recipe int8" in complaint(command.main, *arguments, "--int8", photo_checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_int8_that_began_with_another_checkpoint_is_refused(
    photo_checkpoint: Path, rounding_checkpoint: Path, photos: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    """Or the two files would be of different networks; one from before starts were noted is taken."""
    later, old = tmp_path / "later.pt", tmp_path / "old.pt"
    for path, source, change in ((later, photo_checkpoint, {"step": 99}), (old, rounding_checkpoint, {"start": None})):
        saved = read_checkpoint(source)
        saved["state"] |= change
        torch.save(saved, path)
    for data, began, said in ((photos, rounding_checkpoint, "another checkpoint"), (tmp_path, old, "photographs")):
        arguments = [str(later), "-o", str(tmp_path / "photo.onnx"), "--data", str(data), "--int8", str(began)]
        assert said in complaint(command.main, *arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"later.pt", "old.pt"}


def test_a_checkpoint_that_rounds_is_no_fp32_one(
    rounding_checkpoint: Path, photos: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    assert "was trained with rounding" in complaint(
        command.main, rounding_checkpoint, "-o", tmp_path / "photo.onnx", "--data", photos
    )
