"""What a device is to onnxruntime: which providers to try, with which options, and why one did not start; starts none.

The module onnxruntime is given by who knows it.
"""

import contextlib
import ctypes
import io
import re
import sys
from pathlib import Path
from typing import Any

from aeinfer.errors import InputError, ProviderUnavailableError
from aeinfer.machine import cache_folder

__all__ = ["CPU", "PROVIDERS", "check_name", "failure_said", "missing_library", "providers"]

Provider = tuple[str, dict[str, Any]]

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
CPU: Provider = (PROVIDERS["cpu"], {})
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
FAILURE = re.compile(r"CU\w+ failure -?\d+: [^;]*\w")


def check_name(device: str) -> None:
    """Raise InputError where no device can be called so; whether it is there is another matter."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?|tensorrt", device):
        raise InputError(f"device is 'auto', 'cpu', 'cuda', 'cuda:N' or 'tensorrt', got {device!r}")


def providers(ort: Any, device: str, fingerprint: str = "", *, half: bool = False) -> list[Provider]:
    """Return what to try, in this order, each provider with its options.

    Parameters
    ----------
    ort : module
        onnxruntime.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "tensorrt"; "auto" is CUDA where there seems to be one.
    fingerprint : str
        The model's.
    half : bool
        The model is of half precision.

    Raises
    ------
    InputError
        It is none of these.
    ProviderUnavailableError
        This onnxruntime lacks the provider, or this machine the driver.
    """
    check_name(device)
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return [CPU]
    wanted = PROVIDERS["cuda" if kind == "auto" else kind]
    if lacking := _lacking(ort, wanted):
        if kind == "auto":
            return [CPU]
        raise ProviderUnavailableError(f"device {device!r} needs {wanted}, but {lacking}")
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            ort.preload_dlls()  # finds CUDA and cuDNN in the wheels that the extra brings
    cuda = (PROVIDERS["cuda"], _cuda_options(int(number or 0), half))
    return [*([(wanted, _tensorrt_options(fingerprint, half))] if kind == "tensorrt" else []), cuda, CPU]


def missing_library(ort: Any, provider: str) -> str:
    """Return, in the loader's words, which library a provider that did not start did not find; nothing if none.

    To be asked only afterwards: loading it before onnxruntime does would begin it without its host.
    """
    kind = provider.removesuffix("ExecutionProvider").lower()
    for library in (Path(ort.__file__).parent / "capi").glob(f"*onnxruntime_providers_{kind}.*"):
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            return str(error)
    return ""


def failure_said(error: Exception) -> str:
    """Return CUDA's own words in an error of onnxruntime, without where and on which machine; nothing if it has none.

    Examples
    --------
    >>> failure_said(RuntimeError("x.cc:70 CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; file=x.cc"))
    'CUDA failure 100: no CUDA-capable device is detected'
    """
    found = FAILURE.search(str(error))
    return found[0] if found else ""


def _lacking(ort: Any, provider: str) -> str:
    """Say what a provider lacks, as far as that can be told without starting it, and what to do; nothing if nothing."""
    available = ort.get_available_providers()
    if provider not in available:
        return f'this onnxruntime has {", ".join(available)}: pip install "aeinfer[gpu]"'
    try:
        ctypes.CDLL(DRIVER)
    except OSError as error:
        return f"there is no NVIDIA driver ({error}): install it, or give the container the GPU"
    return ""


def _cuda_options(number: int, half: bool) -> dict[str, Any]:
    """https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html tells what they mean."""
    return {
        "device_id": number,
        "cudnn_conv_algo_search": "HEURISTIC",  # by default it tries all at each new size
        "arena_extend_strategy": "kSameAsRequested",  # by default it doubles, and takes what others could have
        "prefer_nhwc": int(half),  # tensor cores want the channels last; in fp32 the gain depends on the model
    }


def _tensorrt_options(fingerprint: str, half: bool) -> dict[str, Any]:
    """What TensorRT builds takes minutes and is kept: by model, as onnxruntime's names for it tell no weights apart.

    It builds anew for sizes beyond those that it has met.
    """
    options: dict[str, Any] = {"device_id": 0, "trt_fp16_enable": half}
    with contextlib.suppress(OSError):  # no folder to keep it in
        folder = cache_folder() / "tensorrt" / fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("engine", "timing"):
            options |= {f"trt_{kind}_cache_enable": True, f"trt_{kind}_cache_path": str(folder)}
    return options
