"""`aeinfer denoise` killed at random moments and started again until done: the results must be those of one run."""

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

FILES = 12
MODEL = Path(__file__).parents[1] / "tests" / "data" / "tiny.onnx"


def kill_often(folder: Path, kills: int, seed: int = 0) -> dict[str, int]:
    """Return how many kills struck, and of all results how many were lost, wrong or stray."""
    rng = np.random.default_rng(seed)
    source, whole = folder / "in", folder / "whole"
    source.mkdir()
    for i in range(FILES):
        picture = rng.integers(0, 256, (300 + 40 * i, 400, 3), dtype=np.uint8)
        cv2.imwrite(str(source / f"{i}.{('png', 'jpg', 'webp')[i % 3]}"), picture)
    began = time.perf_counter()
    if _start(source, whole).wait():
        raise RuntimeError("the undisturbed run failed")
    longest = time.perf_counter() - began
    expected = _contents(whole)
    count = {"struck": 0, "lost": 0, "wrong": 0, "stray": 0}
    for round_ in range(kills):
        if count["struck"] >= kills:
            break
        out = folder / f"out{round_}"
        count["struck"] += _until_done(source, out, longest, rng, kills - count["struck"])
        found = _contents(out)
        count["lost"] += len(expected.keys() - found.keys())
        count["stray"] += len(found.keys() - expected.keys())
        count["wrong"] += sum(found[name] != expected[name] for name in expected.keys() & found.keys())
    return count


def _until_done(source: Path, out: Path, longest: float, rng: np.random.Generator, most: int) -> int:
    """Kill the job at most so many times, at a moment drawn from its whole length; return how often it was hit."""
    struck = 0
    while struck < most:
        job = _start(source, out)
        try:
            job.wait(timeout=rng.uniform(0.3, 1.0) * longest)
            break
        except subprocess.TimeoutExpired:
            job.kill()
            job.wait()
            struck += 1
    if _start(source, out).wait():
        raise RuntimeError("the job that goes on after a kill failed")
    return struck


def _start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "aeinfer", "denoise", str(source), "-o", str(out), "-m", str(MODEL), "-q"]
    return subprocess.Popen(command)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
