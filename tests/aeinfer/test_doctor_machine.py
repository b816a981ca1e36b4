"""What the doctor says of the machine: its Python, cores, memory, cache and kernels, and the limits of its groups."""

import os
from pathlib import Path

import pytest

from aeinfer.doctor import machine
from aeinfer.doctor.process import Ended
from aeinfer.threads import THREAD_VARIABLES
from tests.systems import tell


def test_an_old_python_is_a_failure() -> None:
    assert machine.check_python((3, 11, 0)).state == "ok"
    assert machine.check_python((3, 10, 4)).state == "failure"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a system that tells of itself what is written below it."""
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    return tmp_path


def test_a_quota_below_the_cores_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert machine.check_threads().state == "ok"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert ", OMP_NUM_THREADS=3" in machine.check_threads().sentence
    quota = {"sys/fs/cgroup/camera.service/cpu.max": "150000 100000\n"}
    tell(root, {"proc/self/cgroup": "0::/camera.service\n", **quota})
    finding = machine.check_threads()
    assert finding.state == "note"
    assert finding.sentence.startswith("2, of ")
    assert finding.sentence.endswith("the cgroup's quota is 2")


@pytest.mark.parametrize(
    ("group", "files"),
    [
        (
            "0::/",
            {
                "memory.max": "300000000",
                "memory.current": "150000000",
                "memory.stat": "anon 9\ninactive_file 50000000\n",
            },
        ),
        (
            "7:memory:/",
            {
                "memory/memory.limit_in_bytes": "300000000",
                "memory/memory.usage_in_bytes": "150000000",
                "memory/memory.stat": "inactive_file 9\ntotal_inactive_file 50000000\n",
            },
        ),
    ],
)
def test_a_limit_on_memory_below_what_the_model_takes(root: Path, group: str, files: dict[str, str]) -> None:
    tell(root, {"proc/self/cgroup": f"{group}\n"})
    tell(root / "sys/fs/cgroup", files)
    assert machine.check_memory(100).state == "ok"
    finding = machine.check_memory(500)
    assert (finding.state, finding.mend) == ("warning", "aeinfer denoise --max-memory 200")


def test_memory_without_a_limit_is_the_machines(root: Path) -> None:
    assert "does not say" in machine.check_memory(500).sentence
    tell(root, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"})
    tell(root, {"proc/meminfo": "MemTotal: 900000 kB\nMemAvailable:   390625 kB\n"})  # of 1024 bytes
    assert machine.check_memory(500).sentence.startswith("400 MB are free")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEINFER_CACHE", str(tmp_path / "new" / "cache"))
    assert machine.check_cache().state == "ok"
    assert not list(tmp_path.iterdir())
    (tmp_path / "new").touch()  # a file where a folder would be, which root cannot write into either
    finding = machine.check_cache()
    assert (finding.state, finding.mend) == ("note", "export AEINFER_CACHE=FOLDER")
    assert str(tmp_path / "new") in finding.sentence


@pytest.mark.parametrize(
    ("ended", "state", "mend"),
    [
        (Ended({"equal": True, "compiled": True, "kept_in": "cache"}), "ok", ""),
        (Ended({"equal": True, "compiled": True, "kept_in": None}), "warning", "export NUMBA_CACHE_DIR=FOLDER"),
        (Ended({"equal": True, "compiled": False, "kept_in": None}), "warning", "unset NUMBA_DISABLE_JIT"),
        (Ended({"equal": None, "compiled": False, "kept_in": None}), "warning", "pip install numba"),
        (
            Ended({"equal": False, "compiled": True, "kept_in": "x"}),
            "failure",
            "pip install --upgrade --force-reinstall numba llvmlite",
        ),
        (Ended(fault="Aborted (signal 6)"), "failure", "pip install --upgrade numba llvmlite"),
    ],
)
def test_kernels_are_judged(ended: Ended, state: str, mend: str) -> None:
    finding = machine.check_kernels(ended)
    assert (finding.state, finding.mend) == (state, mend)
