"""The only room that knows onnxruntime: reading a model file, choosing the provider and threads, running a batch.

What is asked for and cannot be had is an error; what really runs is what `provider` says.
"""

import codecs
import hashlib
import math
import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.errors import BackendMissingError, InputError, ModelError, ProviderUnavailableError
from aeinfer.forking import call_in_children, keep_forever
from aeinfer.model_info import ModelInfo, info_from_metadata

__all__ = ["Session", "backend", "cgroup_cpus", "fingerprint_of", "listed_providers", "read_model", "thread_count"]

Tensor = NDArray[np.float32]

CGROUP = Path("/sys/fs/cgroup")
THREAD_VARIABLES = ("AEINFER_NUM_THREADS", "OMP_NUM_THREADS")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}

# onnxruntime has no exception of its own for it: its arena's words, the C++ library's, CUDA's
OUT_OF_MEMORY = re.compile(r"Failed to allocate memory|bad[_ ]alloc|out of memory", re.IGNORECASE)

# the fact `saturates: false` as a file's metadata holds it: options are needed before onnxruntime tells the metadata
NEVER_SATURATES = b"\n\x11aeinfer.saturates\x12\x05false"


class Session:
    """One loaded network.

    It has `threads` - 1 threads of its own, asleep between runs; whoever calls `run` is the last. Many may call it at
    once and share those threads. In the child of a fork, which lacks them, the first run starts the network anew.

    Parameters
    ----------
    content : bytes
        The ONNX file.
    name : str
        Its name in messages, and the model's where the file states none.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "tensorrt". "auto" takes CUDA where it starts and the CPU otherwise.
    threads : int or None
        Threads inside an operator; None takes `thread_count()`.
    options : onnxruntime.SessionOptions or None
        Used as they are instead of aeinfer's own.
    fingerprint : str or None
        The content's, where it is known already.
    spinning : bool or None
        Whether threads keep their cores while they wait: True also for a while after each run, as onnxruntime does;
        None within a run only, and on ARM not at all.

    Raises
    ------
    BackendMissingError
        onnxruntime is not installed.
    ModelError
        The content is not a model of images.
    ProviderUnavailableError
        The device asked for by name does not start.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        device: str = "auto",
        threads: int | None = None,
        options: Any = None,
        fingerprint: str | None = None,
        spinning: bool | None = None,
    ) -> None:
        ort = _onnxruntime()
        self._errors = _onnxruntime_errors(ort)
        self._content, self._name, self._providers = content, name, _providers(ort, device)
        self._options = options or _session_options(
            ort, threads, exact=NEVER_SATURATES not in content, spinning=spinning
        )
        try:
            self._session = self._start()
            ends = self._session.get_inputs(), self._session.get_outputs()
            told = [[(value.name, value.type, value.shape) for value in end] for end in ends]
            self._metadata = self._session.get_modelmeta().custom_metadata_map
        except self._errors as error:
            raise _explained(content, name, error) from error
        self.provider: str = self._session.get_providers()[0]
        wanted = PROVIDERS.get(device.partition(":")[0])
        if wanted and self.provider != wanted:
            raise ProviderUnavailableError(
                f"device {device!r} did not start: onnxruntime fell back to {self.provider}. "
                "Check the driver and the CUDA libraries, or ask for device='auto'"
            )
        if [[kind for _, kind, _ in end] for end in told] != [["tensor(float)"], ["tensor(float)"]]:
            got = " -> ".join(", ".join(f"{value}: {kind}" for value, kind, _ in end) for end in told)
            raise ModelError(f"{name}: expected a model of images, one float32 input and one such output, got {got}")
        self._input, _, self.input_shape = told[0][0]
        self._fingerprint = fingerprint or fingerprint_of(content)
        call_in_children(self, Session._let_go)

    def _start(self) -> Any:
        return _onnxruntime().InferenceSession(
            self._content,
            self._options,
            providers=self._providers,
            enable_fallback=len(self._providers) > 1,  # it prints, and loads the same again where there is one
        )

    def _let_go(self) -> None:
        """Forget a network whose threads stayed with the parent; to free it would wait for them, or crash."""
        if self._session is not None:
            keep_forever(self._session)
            self._session = None

    def info(self) -> ModelInfo:
        """Return the facts about the model; a file that states none causes one warning."""
        return info_from_metadata(
            self._metadata, self.input_shape, name=Path(self._name).stem, fingerprint=self._fingerprint
        )

    def run(self, batch: Tensor) -> Tensor:
        """Return the network's output for a float32 batch.

        Raises
        ------
        ModelError
            The network cannot take this batch: its file is inconsistent.
        MemoryError
            There is not enough memory for a batch of this shape.
        ProviderUnavailableError
            This is the child of a fork, and the device does not work in it.
        """
        if self._session is None and self.provider != PROVIDERS["cpu"]:
            raise ProviderUnavailableError(
                f"{self.provider} does not work in a forked process: start processes with 'spawn', or load in the child"
            )
        try:
            session = self._session = self._session or self._start()
            output: Tensor = session.run(None, {self._input: batch})[0]
        except self._errors as error:
            if OUT_OF_MEMORY.search(str(error)):
                if self.provider == PROVIDERS["cpu"]:
                    self._session = session = None  # its arena keeps what it got: the next run begins with nothing
                raise MemoryError(
                    f"not enough memory for {self._name} on a batch of shape {batch.shape}: ask for smaller tiles"
                ) from error
            raise ModelError(f"{self._name} failed on a batch of shape {batch.shape}: {error}") from error
        return output


def read_model(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises
    ------
    ModelError
        There is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model file {path}: {error.strerror}") from error


def fingerprint_of(content: bytes) -> str:
    """Return the first 16 hex digits of a model file's sha256."""
    return hashlib.sha256(content).hexdigest()[:16]


def backend(device: str) -> str:
    """Return what runs models on a device: onnxruntime's version, and the provider that is tried first.

    Raises
    ------
    BackendMissingError, ProviderUnavailableError
        As for a `Session`.
    """
    ort = _onnxruntime()
    first = _providers(ort, device)[0]
    return f"onnxruntime {ort.__version__}, {first if isinstance(first, str) else first[0]}"


def listed_providers() -> list[str]:
    """Return the providers that this onnxruntime was built with; whether they start is another matter.

    Raises
    ------
    BackendMissingError
        onnxruntime is not installed.
    """
    listed: list[str] = _onnxruntime().get_available_providers()
    return listed


def thread_count() -> int:
    """Return how many threads this process may use: the least of CPU affinity, cgroup quota and environment.

    AEINFER_NUM_THREADS is looked at first, then OMP_NUM_THREADS (a list of levels may be there: the first counts).
    onnxruntime itself looks at none of them.

    Raises
    ------
    InputError
        The environment variable is not a positive number.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    available = min(available, cgroup_cpus())
    for name in THREAD_VARIABLES:
        if value := os.environ.get(name):
            first = value.partition(",")[0].strip()
            if not first.isdecimal() or int(first) < 1:
                raise InputError(f"{name} must be a positive number, got {value!r}")
            return min(available, int(first))
    return available


def cgroup_cpus() -> int:
    """Return how many CPUs the cgroup's quota allows, rounded up; a large number where there is no quota."""
    unlimited = 1 << 16
    v2, v1 = CGROUP / "cpu.max", CGROUP / "cpu/cpu.cfs_quota_us"
    try:
        if v2.exists():
            quota, period = v2.read_text().split()
        else:
            quota, period = v1.read_text(), v1.with_name("cpu.cfs_period_us").read_text()
        return max(1, math.ceil(int(quota) / int(period))) if int(quota) > 0 else unlimited
    except (OSError, ValueError):  # no cgroup, or "max": no quota
        return unlimited


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendMissingError(
            f"onnxruntime cannot be imported ({error}): pip install 'aeinfer[cpu]', or 'aeinfer[gpu]' for CUDA"
        ) from error
    return onnxruntime


def _onnxruntime_errors(ort: Any) -> tuple[type[Exception], ...]:
    """onnxruntime's own exceptions, which have no common base, and Python's for words of theirs that are not UTF-8."""
    state = ort.capi.onnxruntime_pybind11_state
    own = (v for v in vars(state).values() if isinstance(v, type) and issubclass(v, Exception))
    return (*own, UnicodeDecodeError)


def _session_options(ort: Any, threads: int | None, *, exact: bool, spinning: bool | None) -> Any:
    """aeinfer's own options; `exact` asks for int8 products that cannot saturate, whatever the weights."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or thread_count()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and said once
    options.enable_mem_pattern = False  # a plan per input size: it only grows where sizes vary
    if exact:  # u8 x s8 products saturate on AVX2 otherwise: this makes int8 the same bits there as on ARM, slowly
        options.add_session_config_entry("session.x64quantprecision", "1")
    if spinning is False or (spinning is None and platform.machine() in ("aarch64", "armv7l")):  # for heat and battery
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    elif spinning is None:  # after a run it costs 20 ms of CPU a frame at 30 frames/s, and saves 2 % of the time
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _providers(ort: Any, device: str) -> list[Any]:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?|tensorrt", device):
        raise InputError(f"device is 'auto', 'cpu', 'cuda', 'cuda:N' or 'tensorrt', got {device!r}")
    kind, _, number = device.partition(":")
    available = ort.get_available_providers()
    cpu = PROVIDERS["cpu"]
    wanted = PROVIDERS["cuda"] if kind == "auto" else PROVIDERS[kind]
    if wanted == cpu or (kind == "auto" and wanted not in available):
        return [cpu]
    if wanted not in available:
        raise ProviderUnavailableError(
            f"device {device!r} needs {wanted}, but this onnxruntime has {', '.join(available)}: "
            "pip install 'aeinfer[gpu]'"
        )
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds CUDA and cuDNN in the wheels that the extra brings
    return [(wanted, {"device_id": int(number or 0)}), cpu]


def _as_text(head: bytes) -> str:
    """Return the head of a text file as text; nothing if it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # its last character may be cut
    except UnicodeDecodeError:
        return ""
    return text if all(char.isprintable() or char.isspace() for char in text) else ""


def _explained(content: bytes, name: str, error: Exception) -> ModelError:
    """Say what the file is instead of a model."""
    if not content:
        return ModelError(f"{name} is an empty file: expected an ONNX model")
    if content.startswith(b"version https://git-lfs"):
        return ModelError(f"{name} is a Git LFS pointer, not the model itself: run 'git lfs pull'")
    if text := _as_text(content[:512]):
        return ModelError(f"{name} is a text file (it begins with {text[:20]!r}): expected an ONNX model")
    said = str(error)
    if isinstance(error, UnicodeDecodeError) or not said:  # what it quotes of the file; Python 3.11.2 leaves it empty
        return ModelError(f"{name}: expected names and facts in UTF-8: the file is damaged")
    reason = said.splitlines()[0]
    if "rotobuf" in reason:
        return ModelError(f"{name} is damaged, truncated or no ONNX file at all: get it again ({reason})")
    return ModelError(f"{name} cannot be used by onnxruntime: {reason}")
