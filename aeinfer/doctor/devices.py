"""Which of onnxruntime's providers are listed, and which really start; each in a process of its own."""

import re
from pathlib import Path

from aeinfer.doctor.finding import Finding, State
from aeinfer.doctor.process import Ended, call

__all__ = ["SELFTEST", "cause", "check_devices"]

SELFTEST = "aeinfer.doctor.selftest"

# the driver's own library, and CUDA's words for a driver that is too old or sees no GPU
DRIVER = re.compile(r"libcuda\.so|nvcuda\.dll|driver version is insufficient|no CUDA-capable device", re.IGNORECASE)
LOADER = re.compile(r"with error: (\S+: [^\n:]+)|(\S+\.so[.\d]*: cannot open shared object file)")


def check_devices(device: str, model: Path) -> list[Finding]:
    """Start every device that onnxruntime lists and the one that was asked for, which must start.

    Parameters
    ----------
    device : str
        As for `AEInfer.load`; "auto" asks for none.
    model : path
        A small model.

    Raises
    ------
    InputError
        There is no device of that name.
    """
    from aeinfer.devices import PROVIDERS, check_name

    check_name(device)
    processor = call(SELFTEST, "start", "cpu", str(model))
    if processor.fault:
        mend = "pip install --force-reinstall onnxruntime"
        return [Finding("device cpu", "failure", f"does not start: {processor.why}", mend, "backend")]
    listed = processor.value
    unused = [name for name in listed if name not in PROVIDERS.values()]
    told = "starts" + (f"; listed, and not used by aeinfer: {', '.join(unused)}" if unused else "")
    kinds = [kind for kind, provider in PROVIDERS.items() if kind != "cpu" and provider in listed]
    asked = device.partition(":")[0]
    wanted = [device if kind == asked else kind for kind in kinds]
    if device not in ("auto", "cpu", *wanted):
        wanted.append(device)
    return [Finding("device cpu", "ok", told), *(_check(each, model, must=each == device) for each in wanted)]


def _check(device: str, model: Path, *, must: bool) -> Finding:
    ended = call(SELFTEST, "start", device, str(model))
    name = f"device {device}"
    if not ended.fault:
        return Finding(name, "ok", "starts")
    unforced: State = "note" if device == "tensorrt" else "warning"  # it is listed wherever CUDA is
    sentence, mend = cause(ended)
    return Finding(name, "failure" if must else unforced, sentence, mend, "backend")


def cause(ended: Ended) -> tuple[str, str]:
    """Return why a device does not start, from what its libraries said, and the line that mends it."""
    said = ended.fault + "\n" + ended.printed
    if "this onnxruntime has" in ended.fault:
        gpu = 'pip uninstall -y onnxruntime && pip install "aeinfer[gpu]"'
        return "is not in this onnxruntime", gpu
    if found := DRIVER.search(said):
        told = f"does not start: there is no NVIDIA driver or GPU for this process ({found[0]})"
        if found[0] == "nvcuda.dll":
            return told, "start https://www.nvidia.com/drivers"
        return told, "ubuntu-drivers install  # Debian: apt install nvidia-driver; a container: docker run --gpus all"
    if found := re.search(r"libnvinfer\.so\.(\d+)", said):
        where = "and add its folder tensorrt_libs to LD_LIBRARY_PATH"
        return f"does not start: TensorRT {found[1]} is missing", f'pip install "tensorrt=={found[1]}.*"  # {where}'
    if found := LOADER.search(said):
        return f"does not start: {found[1] or found[2]}", 'pip install "onnxruntime-gpu[cuda,cudnn]"'
    return f"does not start: {ended.why}", "pip install --upgrade onnxruntime-gpu"
