"""This machine by name, and the folder where its user's caches lie; measures nothing and writes nothing."""

import os
import platform
import sys
from pathlib import Path

__all__ = ["cache_folder", "machine_name", "processor_name"]

CPU_INFO, BOARD = Path("/proc/cpuinfo"), Path("/proc/device-tree/model")


def cache_folder() -> Path:
    """Return where this user's measurements are kept: AEINFER_CACHE, or the platform's folder for caches.

    Raises
    ------
    OSError
        There is no such variable and no home.
    """
    if named := os.environ.get("AEINFER_CACHE"):
        return Path(named)
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "aeinfer"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))  # a relative one is to be ignored, says its specification
    if xdg.is_absolute():
        return xdg / "aeinfer"
    try:
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "aeinfer"
    except RuntimeError as error:
        raise OSError(f"there is no home: {error}") from error


def machine_name(backend: str, threads: int) -> str:
    """Return what decides on speed: the processor, the cores that may be used, onnxruntime and its provider."""
    return f"{processor_name()}, {threads} cores, {backend}"


def processor_name() -> str:
    """Return the processor as the system names it, on x86 with its generation; where it gives only numbers, the board.

    The generation tells apart what virtual machines call "AMD EPYC" alike. It is ARM that gives only numbers.
    """
    try:
        lines = (line.partition(":") for line in CPU_INFO.read_text("utf-8", "replace").splitlines())
        fields = {key.strip(): value.strip() for key, _colon, value in lines}
        if "model name" not in fields:
            return BOARD.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return platform.processor() or platform.machine()
    generation = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    return fields["model name"] + generation
