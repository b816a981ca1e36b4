"""How much memory this process may still take, as Linux accounts for it; what to do with it is for others to say."""

import sys
from contextlib import suppress
from pathlib import Path

from aeinfer.cgroups import cgroups_around

__all__ = ["memory_left"]

NAMES = {  # by the version of the groups: the files of the limit and of what is used, and in memory.stat the idle part
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def memory_left(root: Path = Path("/")) -> int:
    """Return how many bytes may still be taken: of the machine's, and of each group's that this process is in.

    Files that were read and can be dropped count as free. Swap does not count: a network that is swapped out crawls.

    Parameters
    ----------
    root : Path
        Under which proc/ and sys/ lie.

    Returns
    -------
    int
        `sys.maxsize` where the system tells nothing, as all but Linux.
    """
    left = [sys.maxsize]
    with suppress(OSError, KeyError, ValueError):
        left.append(_numbers(root / "proc/meminfo")["MemAvailable:"] << 10)
    for group, version in cgroups_around("memory", root):
        *files, idle = NAMES[version]
        with suppress(OSError, KeyError, ValueError):  # the topmost has no limit, or it says "max"
            limit, used = (int((group / name).read_text()) for name in files)
            left.append(limit - used + _numbers(group / "memory.stat")[idle])
    return max(0, min(left))


def _numbers(path: Path) -> dict[str, int]:
    """Read a file of lines that begin with a name and a whole number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {name: int(number) for name, number, *_ in lines}
