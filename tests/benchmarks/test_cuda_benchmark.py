"""All ways of the GPU benchmark, tried on the CPU: they do the same work, and what differs or is missing says so."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import bench_cuda
from benchmarks.engines import Run
from benchmarks.packaged import color_models

PHOTO = color_models()["photo-fast fp32"]
SHAPE = (2, 32, 48)


def test_every_way_gives_the_same_result_and_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: network)  # takes half a minute
    rows = {row.pop("way"): row for row in bench_cuda.measure("photo-fast fp32", PHOTO, "cpu", SHAPE, rounds=1)}
    assert "needs TensorrtExecutionProvider" in rows.pop("aeinfer tensorrt fp16")["unavailable"]
    assert len(rows) == 4
    assert {row["batch"] for row in rows.values()} == {"2x32x48"}
    assert all(row["ms"] > 0 and row["times_ours"] > 0 for row in rows.values())
    assert rows["aeinfer cpu fp16"]["times_ours"] == 1


def test_a_way_that_differs_or_fails_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted() -> Run:
        return lambda batch: batch + np.float32(0.5)

    def failing() -> Run:
        raise RuntimeError("CUDA out of memory\nand much more")

    def nothing(_path: Path, half: Path, _device: str) -> dict[str, "partial[Run]"]:
        assert half.is_file()
        return {"shifted fp16": partial(shifted), "failing": partial(failing)}

    monkeypatch.setattr(bench_cuda, "ways", nothing)
    rows = {row["way"]: row for row in bench_cuda.measure("photo-fast fp32", PHOTO, "cpu", SHAPE, rounds=1)}
    assert rows.keys() == {"shifted fp16", "failing"}
    assert rows["shifted fp16"]["unavailable"].startswith("another result: off by")
    assert rows["failing"]["unavailable"] == "CUDA out of memory"


def test_without_a_gpu_it_says_so(complaint: Callable[..., str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert "there is no GPU to measure: device 'cuda'" in complaint(bench_cuda.main, code=3)
