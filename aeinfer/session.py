"""The only room that knows onnxruntime: starting a network on a provider, with threads, and running a batch.

What is asked for and cannot be had is an error; what really runs is what `provider` says.
"""

import logging
import os
import platform
import re
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.binding import Binding
from aeinfer.devices import CPU, failure_said, missing_library, providers
from aeinfer.ending import unbroken
from aeinfer.errors import BackendMissingError, InputError, ModelError, ProviderUnavailableError
from aeinfer.forking import call_in_children, importing, keep_forever
from aeinfer.model_bytes import fingerprint_of, never_saturates, stated_precision, unusable
from aeinfer.model_info import ModelInfo, info_from_metadata
from aeinfer.threads import thread_count

__all__ = ["Session", "backend", "listed_providers"]

Tensor = NDArray[np.float32]

# onnxruntime has no exception of its own for it: its arena's words, the C++ library's, CUDA's, those of its libraries
OUT_OF_MEMORY = re.compile(r"Failed to allocate memory|bad[_ ]alloc|out of memory|STATUS_ALLOC_FAILED", re.IGNORECASE)

logger = logging.getLogger("aeinfer")


class Session:
    """One loaded network.

    It has `threads` - 1 threads of its own, asleep between runs; whoever calls `run` is the last. Many may call it at
    once and share those threads. In the child of a fork, which lacks them, the first run starts the network anew.
    On a GPU each that runs at the same time has buffers of its own there, which stay for the next.

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

    Attributes
    ----------
    provider : str
        What really runs, in onnxruntime's words.
    on_gpu : bool
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
        self._content, self._name = content, name
        self._fingerprint = fingerprint or fingerprint_of(content)
        self._providers = providers(ort, device, self._fingerprint, half=stated_precision(content) == "fp16")
        self._bindings: deque[Binding] = deque()
        if not isinstance(options, ort.SessionOptions | None):
            raise InputError(f"session_options is an onnxruntime.SessionOptions, got {type(options).__name__}")
        self._options = options or _session_options(ort, threads, exact=not never_saturates(content), spinning=spinning)
        asked = self._providers[0]
        try:
            with unbroken:
                self._session, cause = self._start_anywhere()
            ends = self._session.get_inputs(), self._session.get_outputs()
            told = [[(value.name, value.type, value.shape) for value in end] for end in ends]
            self._metadata = self._session.get_modelmeta().custom_metadata_map
        except self._errors as error:
            if OUT_OF_MEMORY.search(str(error)):
                raise MemoryError(f"not enough memory to load {name}") from error
            raise unusable(content, name, error) from error
        self.provider: str = self._session.get_providers()[0]
        if self.provider != asked[0]:
            self._providers = [CPU]
            _tell_fallback(device, asked[0], missing_library(ort, asked[0]) or cause)
        self.on_gpu = self.provider != CPU[0]
        self._place = ("cuda", asked[1].get("device_id", 0))
        if [[kind for _, kind, _ in end] for end in told] != [["tensor(float)"], ["tensor(float)"]]:
            got = " -> ".join(", ".join(f"{value}: {kind}" for value, kind, _ in end) for end in told)
            raise ModelError(f"{name}: expected a model of images, one float32 input and one such output, got {got}")
        self._input, _, self.input_shape = told[0][0]
        call_in_children(self, Session._let_go)

    def _start_anywhere(self) -> tuple[Any, str]:
        """Start on what was asked for; where that fails, on the CPU, and return what was said."""
        try:
            return self._start(), ""
        except self._errors as error:
            if self._providers == [CPU]:
                raise
            said = failure_said(error) or str(error).partition("\n")[0]
            self._providers = [CPU]
            return self._start(), said  # where this fails too, it is the file's fault

    def _start(self) -> Any:
        return _onnxruntime().InferenceSession(
            self._content,
            self._options,
            providers=self._providers,
            enable_fallback=False,  # it prints, and says nothing of it to the caller
        )

    def _let_go(self) -> None:
        """Forget a network whose threads stayed with the parent; to free it would wait for them, or crash."""
        if self._session is not None:
            keep_forever((self._session, self._bindings))
            self._session, self._bindings = None, deque()

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
            The device failed; or this is the child of a fork, and it does not work in it.
        """
        if self._session is None and self.provider != CPU[0]:
            raise ProviderUnavailableError(
                f"{self.provider} does not work in a forked process: start processes with 'spawn', or load in the child"
            )
        try:
            with unbroken:
                session = self._session = self._session or self._start()
                output: Tensor = self._run_bound(batch) if self.on_gpu else session.run(None, {self._input: batch})[0]
        except self._errors as error:
            if OUT_OF_MEMORY.search(str(error)):
                session = None  # which the error would hold on to
                self.release_memory()
                raise MemoryError(
                    f"not enough memory for {self._name} on a batch of shape {batch.shape}: ask for smaller tiles"
                ) from error
            if said := failure_said(error):
                raise ProviderUnavailableError(
                    f"{self.provider} failed on a batch of shape {batch.shape}: {said}"
                ) from error
            raise ModelError(f"{self._name} failed on a batch of shape {batch.shape}: {error}") from error
        return output

    def release_memory(self) -> None:
        """Give back what runs took and keep for the next, which on the CPU starts the network anew, in about 10 ms."""
        if self.on_gpu:
            self._bindings.clear()  # what the arena keeps are parts no smaller than half a batch will need
        else:
            self._session = None  # its arena keeps all it ever got

    def _run_bound(self, batch: Tensor) -> Tensor:
        """Run through the buffers that were used last and are free; of a run that fails they are given up."""
        try:
            binding = self._bindings.pop()
        except IndexError:
            binding = Binding(_onnxruntime(), self._session, self._place)
        output = binding.run(batch)
        self._bindings.append(binding)
        return output


def backend(device: str) -> str:
    """Return what runs models on a device: onnxruntime's version, and the provider that is tried first.

    Raises
    ------
    BackendMissingError, ProviderUnavailableError
        As for a `Session`.
    """
    ort = _onnxruntime()
    return f"onnxruntime {ort.__version__}, {providers(ort, device)[0][0]}"


def listed_providers() -> list[str]:
    """Return the providers that this onnxruntime was built with; whether they start is another matter.

    Raises
    ------
    BackendMissingError
        onnxruntime is not installed.
    """
    listed: list[str] = _onnxruntime().get_available_providers()
    return listed


def _onnxruntime() -> Any:
    try:
        with importing:
            import onnxruntime
    except ImportError as error:
        raise BackendMissingError(
            f'onnxruntime cannot be imported ({error}): pip install "aeinfer[cpu]", or "aeinfer[gpu]" for CUDA'
        ) from error
    return onnxruntime


def _onnxruntime_errors(ort: Any) -> tuple[type[Exception], ...]:
    """What onnxruntime raises: its own exceptions without a common base, Python's, and for words that are not UTF-8."""
    state = ort.capi.onnxruntime_pybind11_state
    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (*own, RuntimeError, UnicodeDecodeError)


def _session_options(ort: Any, threads: int | None, *, exact: bool, spinning: bool | None) -> Any:
    """aeinfer's own options; `exact` asks for int8 products that cannot saturate, whatever the weights."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or thread_count()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and said once
    options.enable_mem_pattern = False  # a plan per input size: it only grows where sizes vary
    # of bytes the folder would be the current one: whose weights lie there is another's to say
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    if exact:  # u8 x s8 products saturate on AVX2 otherwise: this makes int8 the same bits there as on ARM, slowly
        options.add_session_config_entry("session.x64quantprecision", "1")
    on_arm = platform.machine().lower().startswith(("aarch64", "arm"))
    if spinning is False or (spinning is None and on_arm):  # for heat and battery
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    elif spinning is None:  # after a run it costs 20 ms of CPU a frame at 30 frames/s, and saves 2 % of the time
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _tell_fallback(device: str, asked: str, cause: str) -> None:
    """Raise where the device was asked for by name; where it was not, log that the CPU does its work, and why."""
    cause = cause or "onnxruntime does not say why"
    if device != "auto":
        raise ProviderUnavailableError(
            f"device {device!r} did not start: {cause}. "
            "Check the driver and the CUDA libraries, or ask for device='auto'"
        )
    logger.warning("%s did not start, the CPU is used: %s", asked, cause)
