"""The cgroups that this process is in, as Linux lists them; what they bound is for others to know."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cgroups_around"]

MOUNT = Path("sys/fs/cgroup")


def cgroups_around(controller: str, root: Path) -> Iterator[tuple[Path, int]]:
    """Yield the cgroups that this process is in, and those around them; in a container some are out of sight.

    Parameters
    ----------
    controller : str
        "cpu" or "memory": in version 1 each has groups of its own, in version 2 all share theirs.
    root : Path
        Under which proc/ and sys/ lie.

    Yields
    ------
    tuple of Path and int
        A group's folder, which may be missing, and the version: how its files are called.
    """
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            version = 1 if controllers else 2
            if version == 1 and controller not in controllers.split(","):
                continue
            mount = root / MOUNT / (controller if version == 1 else "")
            inner = mount / path.lstrip("/")
            yield from ((group, version) for group in (inner, *inner.parents) if group.is_relative_to(mount))
