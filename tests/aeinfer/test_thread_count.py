"""How many threads there are for a network, read from made-up accounts of Linux, the affinity and variables."""

import os
from pathlib import Path

import pytest

from aeinfer.errors import InputError
from aeinfer.threads import THREAD_VARIABLES, thread_count
from tests.systems import tell

NO_QUOTA = "max 100000\n"


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The root of a system with four cores, no quota and no variables."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_affinity_bounds_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert thread_count(root) == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {7}, raising=False)
    assert thread_count(root) == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # as on Windows and macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert thread_count(root) == 6


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {}, 4),
        ("0::/\n", {"cpu.max": NO_QUOTA}, 4),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "900000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "nonsense"}, 4),
        ("0::/\n", {"cpu.max": "100000 0"}, 4),
        ("0::/system.slice/cam.service\n", {"system.slice/cam.service/cpu.max": "100000 100000\n"}, 1),
        ("0::/a/b\n", {"a/b/cpu.max": NO_QUOTA, "a/cpu.max": "300000 100000\n", "cpu.max": "350000 100000\n"}, 3),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ("4:cpu:/a\n0::/\n", {"cpu/a/cpu.cfs_quota_us": "200000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 2),
        ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "300000\n"}, 4),
    ],
)
def test_quotas_of_all_groups_around_bound_them(root: Path, groups: str, files: dict[str, str], expected: int) -> None:
    tell(root, {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}})
    assert thread_count(root) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"OMP_NUM_THREADS": "64"}, 4),
        ({"OMP_NUM_THREADS": ""}, 4),
        ({"OMP_NUM_THREADS": "2", "AEINFER_NUM_THREADS": "3"}, 3),
    ],
)
def test_variables_bound_them(
    root: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert thread_count(root) == expected


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_wrong_variable_is_named(root: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AEINFER_NUM_THREADS", value)
    with pytest.raises(InputError, match=f"AEINFER_NUM_THREADS must be a positive number, got '{value}'"):
        thread_count(root)
