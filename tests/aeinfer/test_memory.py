"""How much memory is left, read from made-up accounts of Linux; and what a model takes of it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from aeinfer import AEInfer, limits
from aeinfer.memory import memory_left
from tests.systems import tell

MB = 1 << 20
ROOMY = 20_000 * MB
UNLIMITED_V1 = "9223372036854771712\n"


def machine(megabytes: int) -> dict[str, str]:
    lines = ["MemTotal:       99999999 kB", f"MemAvailable: {megabytes << 10} kB", "HugePages_Total:       0"]
    return {"proc/meminfo": "\n".join(lines) + "\n"}


def version_2(group: str, limit: str, used: int, idle: int = 0) -> dict[str, str]:
    place = f"sys/fs/cgroup{group}"
    facts = f"anon 1\nfile {2 * idle}\ninactive_file {idle}\nactive_file {idle}\n"
    return {f"{place}/memory.max": limit, f"{place}/memory.current": f"{used}\n", f"{place}/memory.stat": facts}


def version_1(group: str, limit: str, used: int, idle: int = 0) -> dict[str, str]:
    place = f"sys/fs/cgroup/memory{group}"
    return {
        f"{place}/memory.limit_in_bytes": limit,
        f"{place}/memory.usage_in_bytes": f"{used}\n",
        f"{place}/memory.stat": f"inactive_file 7\ntotal_inactive_file {idle}\n",
    }


def test_a_board_has_what_its_kernel_calls_available(tmp_path: Path) -> None:
    assert memory_left(tell(tmp_path, machine(250))) == 250 * MB


def test_a_service_has_what_the_tightest_group_around_it_leaves(tmp_path: Path) -> None:
    tell(tmp_path, machine(4000) | {"proc/self/cgroup": "0::/system.slice/camera.service\n"})
    tell(tmp_path, version_2("/system.slice/camera.service", f"{900 * MB}\n", used=100 * MB))
    assert memory_left(tmp_path) == 800 * MB
    tell(tmp_path, version_2("/system.slice", f"{700 * MB}\n", used=200 * MB, idle=30 * MB))
    assert memory_left(tmp_path) == 530 * MB


def test_a_container_sees_its_own_group_as_the_topmost(tmp_path: Path) -> None:
    tell(tmp_path, machine(4000) | {"proc/self/cgroup": "0::/\n"} | version_2("", f"{512 * MB}\n", used=112 * MB))
    assert memory_left(tmp_path) == 400 * MB


def test_groups_of_version_1_which_others_are_mounted_beside(tmp_path: Path) -> None:
    lines = "9:memory:/docker/4f\n8:cpu,cpuacct:/elsewhere\n1:name=systemd:/a:b\n0::/\n"
    tell(tmp_path, machine(4000) | {"proc/self/cgroup": lines} | version_1("", UNLIMITED_V1, used=3000 * MB))
    assert memory_left(tmp_path) == 4000 * MB  # /docker/4f is out of sight
    tell(tmp_path, version_1("/docker/4f", f"{300 * MB}\n", used=120 * MB, idle=20 * MB))
    assert memory_left(tmp_path) == 200 * MB


def test_no_limit_and_more_than_the_limit(tmp_path: Path) -> None:
    tell(tmp_path, machine(4000) | {"proc/self/cgroup": "0::/a\n"} | version_2("/a", "max\n", used=9000 * MB))
    assert memory_left(tmp_path) == 4000 * MB
    tell(tmp_path, version_2("/a", f"{100 * MB}\n", used=101 * MB))
    assert memory_left(tmp_path) == 0


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/meminfo": "MemTotal: 1 kB\n", "proc/self/cgroup": ""},
        {"proc/meminfo": "", "proc/self/cgroup": "nothing known\n"},
    ],
)
def test_a_system_that_tells_nothing_has_no_bound(tmp_path: Path, files: dict[str, str]) -> None:
    assert memory_left(tell(tmp_path, files)) == sys.maxsize


@pytest.mark.skipif(sys.platform != "linux", reason="the accounts are Linux's")
def test_this_machine_tells() -> None:
    assert 0 < memory_left() < sys.maxsize


# What a model takes of it


def loaded(model: Path, left: int, monkeypatch: pytest.MonkeyPatch, **options: int) -> AEInfer:
    monkeypatch.setattr(limits, "memory_left", lambda: left)
    return AEInfer.load(model, threads=1, **options)


def test_where_memory_is_short_tiles_are_small_by_themselves(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = loaded(tiny_model, ROOMY, monkeypatch)
    unknown = loaded(tiny_model, sys.maxsize, monkeypatch)
    cost, halo = roomy.info.bytes_per_pixel, roomy.info.halo
    assert roomy._limits.tile == unknown._limits.tile > 400
    short = loaded(tiny_model, 3 * cost * 300 * 300, monkeypatch)
    plan = short._limits.plan(2000, 3000)
    assert short._limits.tile == 300 - 2 * halo
    assert plan.height * plan.width <= 300 * 300
    assert short._limits.capacity(plan) == 1
    image = np.random.default_rng(0).integers(0, 256, (500, 340, 3), dtype=np.uint8)
    whole, tiled = roomy(image).astype(int), short(image).astype(int)
    assert np.abs(whole - tiled).max() <= 1


def test_what_was_asked_for_goes_before_what_is_left(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = loaded(tiny_model, 0, monkeypatch, max_memory_mb=2000)
    assert asked._limits.tile == loaded(tiny_model, ROOMY, monkeypatch)._limits.tile
    assert loaded(tiny_model, ROOMY, monkeypatch, tile=100)._limits.tile == 100


def test_without_any_memory_a_tile_is_not_all_halo(
    tiny_model: Path, tiny_window: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = loaded(tiny_model, 0, monkeypatch)
    assert bare._limits.tile == 2 * bare.info.halo
    image = np.zeros((300, 200, 3), np.uint8)
    assert bare(image).shape == image.shape
    assert loaded(tiny_window, 0, monkeypatch)(image).shape == image.shape
