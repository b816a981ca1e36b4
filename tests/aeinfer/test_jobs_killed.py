"""A job ended at any moment and started again gives the same bytes as an undisturbed one, and leaves nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import atomic, cli
from aeinfer.image import write_image
from tests.pictures import files

pytest.importorskip("cv2")


def make(folder: Path, count: int) -> None:
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (60 + 40 * number, 90, 3), dtype=np.uint8)
        write_image(folder / f"{number}.png", pixels)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_and_interrupted_jobs_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "in", 6)
    arguments = ["6", "1", "KILL,INT,TERM", "whole", "out", "noise", str(tmp_path / "in"), "--sigma", "9", "-q"]
    command = [sys.executable, "-m", "tests.killing", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout)
    assert (result["lost"], result["stray"], result["wrong"]) == ([], [], [])
    assert set(result["KILL"]) <= {0, 137}
    assert set(result["INT"]) <= {0, 130}
    assert set(result["TERM"]) <= {0, 143}


def test_parts_of_the_dead_are_cleared_and_those_of_the_living_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("in"), 1)
    Path("out").mkdir()
    dead, alive, foreign = (
        Path("out", name) for name in (f".aeinfer-{'0' * 16}.part", f".aeinfer-{'1' * 16}.part", ".x.part")
    )
    for part in (dead, alive, foreign):
        part.touch()
    with alive.open("ab") as held:
        assert atomic.lock(held)
        assert cli.main(["noise", "in", "-o", "out", "--sigma", "1", "-q"]) == 0
    assert files("out") == sorted([alive.name, foreign.name, "0.png"])
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "1", "-q"]) == 0  # nothing to do but this
    assert files("out") == sorted([foreign.name, "0.png"])


def test_a_part_taken_away_too_early_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, parts = atomic.write_all, []

    def robbed(file: Any, data: bytes) -> None:
        parts.append(Path(file.name))
        if len(parts) < 3:
            parts[-1].unlink()
        write(file, data)

    monkeypatch.setattr(atomic, "write_all", robbed)
    atomic.write_whole(tmp_path / "a.bin", b"whole")
    assert (tmp_path / "a.bin").read_bytes() == b"whole"
    assert len(set(parts)) == 3
    assert not atomic.ignores_case(tmp_path) or sys.platform in ("darwin", "win32")
    assert files(tmp_path) == ["a.bin"]


def test_ctrl_c_while_a_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupted)
    assert cli.main(["denoise", "in"]) == 130
    assert capsys.readouterr().err == "aeinfer: interrupted\n"
