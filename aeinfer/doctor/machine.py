"""What the machine, its limits and the environment give: Python, cores, memory, folders, programs; runs no network.

Neither numpy nor onnxruntime is needed.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from aeinfer.doctor.finding import Finding
from aeinfer.doctor.process import Ended
from aeinfer.errors import InputError
from aeinfer.machine import cache_folder
from aeinfer.memory import memory_left
from aeinfer.threads import THREAD_VARIABLES, cgroup_cpus, thread_count, usable_cores
from aeinfer.version import __version__

__all__ = [
    "check_cache",
    "check_ffmpeg",
    "check_install",
    "check_kernels",
    "check_memory",
    "check_python",
    "check_threads",
]

ROOT = Path("/")


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Python 3.11 or later is needed."""
    bits = 64 if sys.maxsize > 1 << 32 else 32
    told = f"{'.'.join(map(str, version))}, {bits} bits, {platform.machine()}, {platform.platform(terse=True)}"
    if version >= (3, 11):
        return Finding("python", "ok", told)
    new = 'python3.11 -m venv new && new/bin/pip install "aeinfer[cpu]"'
    return Finding("python", "failure", f"{told}: aeinfer needs 3.11 or later", new)


def check_install() -> Finding:
    """Say which aeinfer this is."""
    return Finding("aeinfer", "ok", f"{__version__} in {Path(__file__).parents[1]}")


def check_threads() -> Finding:
    """Say how many threads networks get, and what decides it."""
    stated = next((name for name in THREAD_VARIABLES if os.environ.get(name)), "")
    try:
        threads = thread_count(ROOT)
    except InputError as error:
        return Finding("threads", "failure", str(error), f"unset {stated}")
    cores = os.cpu_count() or 1
    usable = usable_cores()
    told = f"{threads}, of {cores} cores"
    if usable < cores:
        told += f", {usable} by affinity"
    if stated:
        told += f", {stated}={os.environ[stated]}"
    if (quota := cgroup_cpus(ROOT)) < usable:
        return Finding("threads", "note", f"{told}: the cgroup's quota is {quota}", "docker run --cpus=N, or its like")
    return Finding("threads", "ok", told)


def check_memory(megabytes: int) -> Finding:
    """Compare the memory there is with what the default model takes for a large picture, one tile at a time."""
    left = memory_left(ROOT)
    needed = f"a large picture takes {megabytes} MB with the model 'photo', up to twice as much where there is plenty"
    if left == sys.maxsize:
        return Finding("memory", "ok", f"this system does not say how much is free; {needed}")
    free = left // 1_000_000
    if free >= megabytes:
        return Finding("memory", "ok", f"{free} MB are free; {needed}")
    return Finding("memory", "warning", f"{free} MB are free; {needed}", f"aeinfer denoise --max-memory {free}")


def check_cache() -> Finding:
    """See whether `aeinfer bench` can remember what it measures; nothing is written."""
    try:
        folder = cache_folder()
    except OSError as error:
        return Finding("cache", "note", f"'aeinfer bench' cannot remember: {error}", "export AEINFER_CACHE=FOLDER")
    if _takes_files(folder):
        return Finding("cache", "ok", f"what 'aeinfer bench' measures is kept in {folder}")
    told = f"'aeinfer bench' cannot remember: {folder} cannot be written to"
    return Finding("cache", "note", told, "export AEINFER_CACHE=FOLDER")


def _takes_files(folder: Path) -> bool:
    """Whether files can be made in a folder, or it itself in the last one on its way that is there."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def check_kernels(ended: Ended) -> Finding:
    """Judge what `selftest.move_pixels` returned."""
    if ended.fault:
        return Finding("kernels", "failure", f"do not run: {ended.why}", "pip install --upgrade numba llvmlite")
    match ended.value:
        case {"equal": None}:
            return Finding("kernels", "warning", "numpy moves the pixels, ten times as slowly", "pip install numba")
        case {"equal": False}:
            again = "pip install --upgrade --force-reinstall numba llvmlite"
            return Finding("kernels", "failure", "compiled, they give other bits than numpy", again)
        case {"compiled": False}:
            told = "right, but Python runs them, which is far slower: NUMBA_DISABLE_JIT is set"
            return Finding("kernels", "warning", told, "unset NUMBA_DISABLE_JIT")
        case {"kept_in": None}:
            told = "right, but compiled anew in each process: no folder is writable"
            return Finding("kernels", "warning", told, "export NUMBA_CACHE_DIR=FOLDER")
    return Finding("kernels", "ok", f"the bits of numpy; kept in {ended.value['kept_in']}")


def check_ffmpeg() -> Finding:
    """Say whether the program ffmpeg is there."""
    if path := shutil.which("ffmpeg"):
        return Finding("ffmpeg", "ok", path)
    return Finding("ffmpeg", "note", "is not installed: no video goes through it", "apt install ffmpeg")
