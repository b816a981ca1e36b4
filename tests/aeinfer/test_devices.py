"""Devices, as far as a machine without a GPU can tell: what is asked of onnxruntime, what it says, the way of a batch.

The buffers of a device are tested in the CPU's memory, by the calls that a GPU gets. The messages are onnxruntime's
own: those of a start from onnxruntime-gpu 1.31 on a machine without GPU, those of too little memory from its issues.
"""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import AEInfer, devices, kernels
from aeinfer.binding import Binding
from aeinfer.devices import CPU, PROVIDERS, failure_said, missing_library, providers
from aeinfer.errors import ModelError, ProviderUnavailableError
from aeinfer.limits import Limits
from aeinfer.model_bytes import stated_precision
from aeinfer.model_info import ModelInfo, metadata_from_info
from aeinfer.models import PRECISIONS
from aeinfer.session import Session, backend
from tests import handmade

RuntimeException = onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException
DATA = Path(__file__).parents[1] / "data"
NO_DEVICE = (
    "cuda_execution_provider_info.cc:63 FromProviderOptions [ONNXRuntimeError] : 1 : FAIL : Failed to parse provider "
    'option "device_id": CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; file=x.cc\n'
)
NO_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Status "
    "Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 13111296",
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; line=168",
)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).random(shape, dtype=np.float32)


# Which providers, and why not


@pytest.fixture
def gpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime that says it has all providers, and a driver that loads (this program itself)."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*reversed(PROVIDERS.values())])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("Failed to load x.so"), raising=False)
    monkeypatch.setattr(devices, "DRIVER", None)


@pytest.fixture
def no_device(gpu_build: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Such an onnxruntime that finds no GPU."""
    real = onnxruntime.InferenceSession

    def start(*arguments: Any, providers: Any, enable_fallback: bool) -> Any:
        assert not enable_fallback
        if providers != [CPU]:
            raise RuntimeError(NO_DEVICE)
        return real(*arguments, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)


@pytest.mark.usefixtures("gpu_build")
def test_without_a_driver_nothing_is_tried(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "DRIVER", "libnowhere.so.1")
    for device in ("cuda", "cuda:1", "tensorrt"):
        with pytest.raises(ProviderUnavailableError, match=rf"'{device}' needs .*no NVIDIA driver \(libnowhere\.so\.1"):
            AEInfer.load(tiny_model, device=device)
    assert AEInfer.load(tiny_model).provider == "CPUExecutionProvider"
    assert backend("auto") == f"onnxruntime {onnxruntime.__version__}, CPUExecutionProvider"
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="needs a CPU-only install")
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")  # onnxruntime's own, on the way to the CPU
@pytest.mark.usefixtures("gpu_build")
def test_a_device_that_silently_fell_back_is_an_error(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ProviderUnavailableError, match="'cuda' did not start: onnxruntime does not say why"):
        AEInfer.load(tiny_model, device="cuda")
    assert caplog.records == []
    assert AEInfer.load(tiny_model, device="auto").provider == "CPUExecutionProvider"
    assert ["does not say why" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.usefixtures("no_device")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "tensorrt"])
def test_the_error_names_the_cause(tiny_model: Path, device: str, capfd: pytest.CaptureFixture[str]) -> None:
    cause = "did not start: CUDA failure 100: no CUDA-capable device is detected. Check"
    with pytest.raises(ProviderUnavailableError, match=f"'{device}' {cause}"):
        AEInfer.load(tiny_model, device=device)
    assert capfd.readouterr().out == ""  # where a picture may go


@pytest.mark.usefixtures("no_device")
def test_auto_goes_on_with_the_cpu_and_logs_the_cause(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    ae = AEInfer.load(tiny_model)
    assert ae.provider == "CPUExecutionProvider"
    assert [record.getMessage() for record in caplog.records] == [
        "CUDAExecutionProvider did not start, the CPU is used: CUDA failure 100: no CUDA-capable device is detected"
    ]
    ae._session._let_go()  # as in the child of a fork
    assert ae(np.zeros((8, 8, 3), np.uint8)).shape == (8, 8, 3)
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("no_device")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_file_that_is_no_model_is_not_the_devices_fault(device: str) -> None:
    with pytest.raises(ModelError, match="text file"):
        Session(b"no model at all", "odd", device)


def test_a_library_that_is_missing_is_named_by_the_loader(tmp_path: Path) -> None:
    ort = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    assert missing_library(ort, PROVIDERS["cuda"]) == ""
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi/libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    assert "providers_cuda.so" in missing_library(ort, PROVIDERS["cuda"])
    assert missing_library(ort, PROVIDERS["tensorrt"]) == ""


def test_what_is_no_failure_of_cuda_says_nothing() -> None:
    assert failure_said(RuntimeError("Failed to load model")) == ""
    cublas = "CudaCall CUBLAS failure 1: the library was not initialized ; GPU=0 ; hostname=vm"
    assert failure_said(RuntimeError(cublas)) == "CUBLAS failure 1: the library was not initialized"


# Options


@pytest.mark.usefixtures("gpu_build")
def test_the_device_has_its_number_and_halves_their_layout(capfd: pytest.CaptureFixture[str]) -> None:
    for device, half, number, nhwc in (("auto", False, 0, 0), ("cuda", True, 0, 1), ("cuda:2", False, 2, 0)):
        (name, options), cpu = providers(onnxruntime, device, half=half)
        assert (name, options["device_id"], options["prefer_nhwc"]) == (PROVIDERS["cuda"], number, nhwc)
        assert cpu == CPU
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("gpu_build")
def test_tensorrt_keeps_its_engines_by_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEINFER_CACHE", str(tmp_path))
    (name, options), (second, _), cpu = providers(onnxruntime, "tensorrt", "abc", half=True)
    assert (name, second, cpu) == (PROVIDERS["tensorrt"], PROVIDERS["cuda"], CPU)
    assert options["trt_fp16_enable"] is True
    assert options["trt_engine_cache_path"] == str(tmp_path / "tensorrt" / "abc")
    assert (tmp_path / "tensorrt" / "abc").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("AEINFER_CACHE", str(tmp_path / "file"))
    assert "trt_engine_cache_enable" not in providers(onnxruntime, "tensorrt", "abc")[0][1]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_precision_is_read_from_the_bytes(precision: str) -> None:
    content = handmade.model(facts=metadata_from_info(ModelInfo(precision=precision)))
    assert stated_precision(content) == precision
    assert stated_precision(handmade.model()) is None


def test_a_batch_for_a_gpu_takes_what_the_largest_tile_may() -> None:
    info = ModelInfo(halo=64, stride=16, bytes_per_pixel=140)
    few, many = (Limits(info, 1.0, on_gpu=on_gpu) for on_gpu in (False, True))
    assert (few.tile, few.batch_pixels) == (many.tile, 65536)
    assert many.batch_pixels * 140 == pytest.approx(400e6, rel=1e-6)
    plan = many.plan(32, 32)
    assert (few.capacity(plan), many.capacity(plan)) == (64, 2790)
    assert Limits(info, 1.0, on_gpu=True, batch=3).capacity(plan) == 3


# The way of a batch


TINY = Session((DATA / "tiny.onnx").read_bytes(), "tiny", "cpu", threads=1)
SIDES = st.integers(1, 4).map(lambda n: 4 * n)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 3), st.just(3), SIDES, SIDES), min_size=1, max_size=6))
def test_bound_batches_of_any_shapes_give_the_same_bits(shapes: list[tuple[int, ...]]) -> None:
    binding = Binding(onnxruntime, TINY._session, ("cpu", 0))
    results = [binding.run(random(*shape)) for shape in shapes]
    for shape, result in zip(shapes, results, strict=True):  # all at the end: none was written over
        np.testing.assert_array_equal(result, TINY.run(random(*shape)))


def test_buffers_stay_as_long_as_the_shape_does() -> None:
    binding = Binding(onnxruntime, TINY._session, ("cpu", 0))
    binding.run(random(1, 3, 8, 8))
    source, target = binding._buffer, binding._binding.get_outputs()[0]
    second = binding.run(random(1, 3, 8, 8)[::-1] + 1)
    assert binding._buffer is source
    np.testing.assert_array_equal(target.numpy(), second)  # where the first was, the second is
    binding.run(random(1, 3, 8, 12))
    assert binding._buffer is not source
    np.testing.assert_array_equal(target.numpy(), second)


@pytest.fixture
def bound() -> Session:
    """A session that runs through buffers as on a GPU, in the CPU's memory."""
    session = Session((DATA / "tiny.onnx").read_bytes(), "tiny", "cpu", threads=1)
    session.on_gpu, session._place = True, ("cpu", 0)
    return session


def test_each_of_eight_threads_has_buffers_of_its_own(bound: Session) -> None:
    together = threading.Barrier(8)

    def work(n: int) -> None:
        together.wait(timeout=60)
        for repeat in range(20):
            batch = random(1, 3, 8 + 4 * (n % 3), 16) + repeat
            np.testing.assert_array_equal(bound.run(batch), TINY.run(batch))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert 1 <= len(bound._bindings) <= 8


def test_one_after_the_other_share_the_buffers(bound: Session) -> None:
    for _ in range(3):
        bound.run(random(1, 3, 8, 8))
    assert len(bound._bindings) == 1


def test_a_forked_child_neither_uses_nor_frees_the_buffers(bound: Session) -> None:
    bound.run(random(1, 3, 8, 8))
    (binding,) = bound._bindings
    bound._let_go()
    assert len(bound._bindings) == 0
    assert binding._buffer is not None


@pytest.mark.parametrize("message", NO_MEMORY)
@pytest.mark.parametrize("error", [RuntimeError, RuntimeException])
def test_too_little_memory_on_the_device_goes_on_in_smaller_batches(
    tiny_model: Path,
    message: str,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (180, 200, 3), np.uint8)
    expected = AEInfer.load(tiny_model, device="cpu", threads=1)(image)
    ae = AEInfer.load(tiny_model, device="cpu", threads=1)
    ae._session.on_gpu, ae._session._place = True, ("cpu", 0)
    run, pixels = Binding.run, []

    def little(binding: Binding, batch: np.ndarray) -> np.ndarray:
        pixels.append(batch.size // 3)
        if pixels[-1] > 20_000:
            raise error(message)
        return run(binding, batch)

    monkeypatch.setattr(Binding, "run", little)
    monkeypatch.setattr(kernels, "stay_with_numpy", lambda: pytest.fail("there is memory enough for numba"))
    caplog.set_level(logging.INFO, "aeinfer")
    np.testing.assert_array_equal(ae(image), expected)
    assert pixels[0] > 20_000 >= pixels[-1]
    assert len(caplog.records) == 1
    pixels.clear()
    np.testing.assert_array_equal(ae(image), expected)
    assert max(pixels) <= 20_000  # from the start


def test_buffers_are_given_up_where_memory_is_short(bound: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    bound.run(random(1, 3, 8, 8))
    bound._bindings.append(Binding(onnxruntime, bound._session, ("cpu", 0)))

    def short(_binding: Binding, _batch: np.ndarray) -> None:
        raise RuntimeException(NO_MEMORY[0])

    monkeypatch.setattr(Binding, "run", short)
    with pytest.raises(MemoryError, match=r"not enough memory for tiny on a batch of shape \(1, 3, 8, 8\)"):
        bound.run(random(1, 3, 8, 8))
    assert len(bound._bindings) == 0


def test_a_device_that_fails_in_a_run_is_not_the_files_fault(bound: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_binding: Binding, _batch: np.ndarray) -> None:
        raise RuntimeException("CudaCall CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; line=3")

    monkeypatch.setattr(Binding, "run", failing)
    with pytest.raises(ProviderUnavailableError, match=r"CUDA failure 700: an illegal memory access was encountered$"):
        bound.run(random(1, 3, 8, 8))


def test_a_network_that_cannot_take_the_batch_is_the_files_fault(bound: Session) -> None:
    with pytest.raises(ModelError, match="tiny failed on a batch of shape"):
        bound.run(random(1, 2, 8, 8))


def test_tensorrt_runs_tile_by_tile_but_windows_in_batches(
    tiny_model: Path, tiny_window: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Session.__init__

    def on_tensorrt(session: Session, *arguments: Any, **facts: Any) -> None:
        start(session, *arguments, **facts)
        session.provider = PROVIDERS["tensorrt"]

    monkeypatch.setattr(Session, "__init__", on_tensorrt)
    plans = [(ae := AEInfer.load(path))._limits.capacity(ae._limits.plan(8, 8)) for path in (tiny_model, tiny_window)]
    assert plans[0] == 1 < plans[1]
    assert AEInfer.load(tiny_model, batch=5)._limits.capacity(ae._limits.plan(8, 8)) == 5
