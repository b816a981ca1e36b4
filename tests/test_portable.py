"""The packaged fp32 files in other programs give what onnxruntime gives, and what the pages tell users to type runs."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from aeinfer import AEInfer
from aeinfer.models import packaged_models
from aeinfer.session import Session
from aeinfer.threads import thread_count
from benchmarks.engines import DEFAULTS, ENGINES, Run, Tensor
from tests.documented import ROOT, documented

EXAMPLE = ROOT / "examples" / "photos" / "noisy" / "canyon-wren.png"

TOLERANCE = 2e-5  # the largest difference relative to the largest value, or to 1: sums are in another order
OTHERS = ("cv2.dnn", "OpenVINO")  # any batch, any size, as in onnxruntime
HALVES = [path.with_suffix(f".{half}.onnx") for path in packaged_models().values() for half in ("encoder", "decoder")]
FILES = [*packaged_models().values(), *(path for path in HALVES if path.exists())]


def shapes(path: Path) -> list[tuple[int, ...]]:
    """Shapes of inputs that a file takes: its window, or the least size and two others of its stride's multiples."""
    session = Session(path.read_bytes(), path.name, "cpu")
    free = [side for side in session.input_shape if isinstance(side, str)]
    if free == ["batch"]:
        return [(count, *session.input_shape[1:]) for count in (1, 2, 5)]
    stride, channels = session.info().stride, session.input_shape[1]
    return [(n, channels, h * stride, w * stride) for n, h, w in ((1, 1, 1), (2, 3, 5), (1, 7, 2))]


def loaded(name: str, path: Path, batch: Tensor) -> Run:
    """Return the call of an engine, or skip where it is not installed."""
    try:
        return ENGINES[name](path, thread_count(), batch)
    except ImportError as error:
        pytest.skip(f"{name} is not installed: {error}")


def check(name: str, path: Path, given: list[tuple[int, ...]]) -> None:
    """Compare one engine, loaded once, with onnxruntime on inputs of these shapes."""
    rng = np.random.default_rng(0)
    batches = [rng.random(shape, np.float32) for shape in given]
    run, reference = (loaded(each, path, batches[0]) for each in (name, DEFAULTS))
    for batch in batches:
        expected = reference(batch)
        found = np.array(run(batch))
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())
        assert np.ptp(expected) > 0.01  # there is something to compare


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", OTHERS)
def test_other_engines_agree_with_onnxruntime(name: str, path: Path) -> None:
    check(name, path, shapes(path))


@pytest.mark.parametrize("path", packaged_models().values(), ids=lambda path: path.stem)
def test_ncnn_agrees_after_its_converter(path: Path) -> None:
    """One image at a time, of any size whatever size it was converted with."""
    check("ncnn", path, [(1, *shape[1:]) for shape in shapes(path)])


def test_openvino_reports_nothing_to_its_makers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its import would write an identity into the home and send it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = packaged_models()["mnist-dense"]
    loaded("OpenVINO", path, np.zeros((1, 1, 28, 28), np.float32))
    assert sys.modules["openvino_telemetry"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["onnxruntime", "opencv", "openvino"])
def test_the_lines_of_the_page_denoise_a_file_as_aeinfer_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "openvino":
        loaded("OpenVINO", packaged_models()["photo"], np.zeros((1, 3, 16, 16), np.float32))
    noisy = cv2.imread(str(EXAMPLE))[:150, :203]  # sides that are no multiples
    cv2.imwrite(str(tmp_path / "noisy.png"), noisy)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(documented("integrations.md", part) for part in ("read", name, "write")), {})
    with AEInfer.load("photo", precision="fp32", color="bgr") as ae:
        expected = ae(noisy).astype(int)
    assert np.abs(cv2.imread("denoised.png") - expected).max() <= 1
    assert np.abs(noisy - expected).mean() > 1


@pytest.mark.parametrize(
    ("page", "name", "written"),
    [
        ("integrations.md", "triton", ["photo", "photo/1/model.onnx", "photo-fast/config.pbtxt"]),
        ("grey.md", "grey", ["photo-grey.onnx"]),
    ],
)
def test_the_commands_of_the_pages_run(page: str, name: str, written: list[str], tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx, of the extra export, is not installed")
    for model in ("photo", "photo-fast"):
        shutil.copy(packaged_models()[model], tmp_path)
    command = documented(page, name).replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)
    assert [file for file in written if not any(tmp_path.glob(f"**/{file}"))] == []
