"""How many threads this process may use; onnxruntime itself looks at nothing but the cores and their affinity."""

import math
import os
from contextlib import suppress
from pathlib import Path

from aeinfer.cgroups import cgroups_around
from aeinfer.errors import InputError

__all__ = ["THREAD_VARIABLES", "cgroup_cpus", "thread_count", "usable_cores"]

THREAD_VARIABLES = ("AEINFER_NUM_THREADS", "OMP_NUM_THREADS")
UNLIMITED = 1 << 16


def thread_count(root: Path = Path("/")) -> int:
    """Return how many threads this process may use: the least of CPU affinity, cgroup quota and environment.

    AEINFER_NUM_THREADS is looked at first, then OMP_NUM_THREADS (a list of levels may be there: the first counts).

    Parameters
    ----------
    root : Path
        Under which proc/ and sys/ lie.

    Raises
    ------
    InputError
        The environment variable is not a positive number.
    """
    available = min(usable_cores(), cgroup_cpus(root))
    for name in THREAD_VARIABLES:
        if value := os.environ.get(name):
            first = value.partition(",")[0].strip()
            if not first.isdecimal() or int(first) < 1:
                raise InputError(f"{name} must be a positive number, got {value!r}")
            return min(available, int(first))
    return available


def usable_cores() -> int:
    """Return how many cores this process may run on: by its affinity, where the system has such a thing."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cgroup_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs the tightest quota of a cgroup around allows, rounded up; a large number without one."""
    quotas = [UNLIMITED]
    for group, version in cgroups_around("cpu", root):
        with suppress(OSError, ValueError, ZeroDivisionError):  # the topmost has no quota, or it says "max"
            if version == 2:
                quota, period = map(int, (group / "cpu.max").read_text().split())
            else:
                quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            if quota > 0:
                quotas.append(max(1, math.ceil(quota / period)))
    return min(quotas)
