"""One network in the engines a user may take: each gives a function from a batch to its result; nothing is timed here.

An engine is written as its own pages say, with the number of threads as its only setting; ours is `aeinfer.session`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.session import Session

Tensor = NDArray[np.float32]
Run = Callable[[Tensor], Tensor]
Engine = Callable[[Path, int, Tensor], Run]  # of a model file, a number of threads and a batch as all will be

CHECKPOINTS = Path(__file__).parent.parent / "train" / "checkpoints"  # of the packaged models


class UnavailableError(RuntimeError):
    """An engine that is not installed, or that does not take this network."""


def aeinfer(path: Path, threads: int, _batch: Tensor) -> Run:
    return Session(path.read_bytes(), path.name, "cpu", threads).run


def onnxruntime(path: Path, threads: int, _batch: Tensor) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"input": batch})[0]


def cv2_dnn(path: Path, threads: int, _batch: Tensor) -> Run:
    import cv2

    net = cv2.dnn.readNetFromONNX(str(path))

    def run(batch: Tensor) -> Tensor:
        cv2.setNumThreads(threads)  # of the process
        net.setInput(batch)
        return net.forward()

    return run


def torch_eager(path: Path, threads: int, _batch: Tensor) -> Run:
    return _in_torch(path, threads, compiled=False)


def torch_compile(path: Path, threads: int, _batch: Tensor) -> Run:
    return _in_torch(path, threads, compiled=True)


def _in_torch(path: Path, threads: int, *, compiled: bool) -> Run:
    import torch

    network: Any = torch_network(path).to(memory_format=torch.channels_last)
    if compiled:
        network = torch.compile(network)

    def run(batch: Tensor) -> Tensor:
        torch.set_num_threads(threads)  # of the process
        with torch.inference_mode():
            images = torch.from_numpy(batch).to(memory_format=torch.channels_last)
            return network(images).contiguous().numpy()

    return run


def torch_network(path: Path) -> Any:
    """Return the network of a packaged file from its checkpoint: in the file some of its steps are merged."""
    from train.checkpoint import trained_model

    if path.name.endswith(".int8.onnx"):
        raise UnavailableError("the 8-bit weights are there in ONNX's form alone")
    return trained_model(CHECKPOINTS / f"{path.stem}.pt")[0]


def openvino(path: Path, threads: int, _batch: Tensor) -> Run:
    sys.modules.setdefault("openvino_telemetry", None)  # it writes into the home and reports; openvino does without
    import openvino as ov

    hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(path, "CPU", hints).create_infer_request()
    return lambda batch: request.infer([batch], share_inputs=True, share_outputs=True)[0]


def ncnn(path: Path, threads: int, batch: Tensor) -> Run:
    import ncnn
    import pnnx

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.onnx")
        file.write_bytes(path.read_bytes())
        shape = f"inputshape=[{','.join(map(str, batch.shape))}]"
        command = [pnnx.EXEC_PATH, str(file), shape, "fp16=0"]
        converted = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if converted.returncode or not file.with_suffix(".ncnn.param").exists():
            raise UnavailableError(f"pnnx failed: {(converted.stderr or converted.stdout)[-200:].strip()}")
        graph, weights = (str(file.with_suffix(f".ncnn.{kind}")) for kind in ("param", "bin"))
        if net.load_param(graph) or net.load_model(weights):
            raise UnavailableError("does not load what pnnx makes of the file")

    def run(batch: Tensor) -> Tensor:
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(batch[0]))
            return np.array(extractor.extract("out0")[1]).reshape(1, *batch.shape[1:])  # as it may have kept the 1

    return run


OURS, DEFAULTS = "aeinfer", "onnxruntime"
ENGINES: dict[str, Engine] = {
    OURS: aeinfer,
    DEFAULTS: onnxruntime,
    "OpenVINO": openvino,
    "ncnn": ncnn,
    "cv2.dnn": cv2_dnn,
    "torch eager": torch_eager,
    "torch.compile": torch_compile,
}
MODULES = {
    OURS: "onnxruntime",
    DEFAULTS: "onnxruntime",
    "OpenVINO": "openvino",
    "ncnn": "ncnn",
    "cv2.dnn": "cv2",
    "torch eager": "torch",
    "torch.compile": "torch",
}
