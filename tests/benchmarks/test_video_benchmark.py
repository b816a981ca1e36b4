"""Frames go through an encoder and back, and what is told of them is their luma's noise and their chroma's."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="video files need PyAV")

# isort: split
from benchmarks import bench_video, results, table
from benchmarks.clips import Clip, add_noise


def test_noise_is_what_it_is_of_luma_and_less_of_halved_chroma(tmp_path: Path) -> None:
    clean = [np.full((64, 96, 3), 128, np.uint8)] * 3
    noisy = add_noise(Clip("frames", clean), "25", seed=0)
    files = [
        bench_video.encode(frames, tmp_path / f"{name}.mkv", bench_video.LOSSLESS)
        for name, frames in (("clean", clean), ("noisy", noisy))
    ]
    found = bench_video.score(files[1], files[0])
    luma = 25 * 219 / 255 * np.linalg.norm([0.299, 0.587, 0.114])
    assert found["luma"] == pytest.approx(20 * np.log10(255 / luma), abs=0.2)
    assert 30 < found["chroma"] < 33  # a mean of four pixels' noise
    planes = next(bench_video.planes_of(files[0]))
    assert [plane.shape for plane in planes] == [(64, 96), (16, 96), (16, 96)]  # two rows of chroma in one


def test_every_way_has_a_row_and_every_noise_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"method": method, "noise": noise, "luma": luma, "chroma": 40.0}
        for method, luma in (("noisy", 25.0), ("-m photo", 33.0))
        for noise in ("white", "real")
    ]
    monkeypatch.setattr(results, "load", lambda _name: {"rows": rows, "machine": {"cpu": "one"}})
    lines = table.video("").splitlines()
    assert lines[0].endswith("| white | real |")
    assert lines[3] == "| -m photo | 33.0 / 40.0 | 33.0 / 40.0 |"
