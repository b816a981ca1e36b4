"""What happens to damaged files, killed jobs and starved machines: `python -m benchmarks.bench_faults` (Linux).

One row a kind of fault: cases tried, and of them lost, wrong and crashed, which must be 0. Under twenty minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aeinfer.cli.options import number
from aeinfer.image import write_image
from benchmarks import results
from benchmarks.cage import Cage, Job
from benchmarks.hostile import make_image_job, make_model_job
from benchmarks.mutate import mutate
from benchmarks.seeds import DATA, image_seeds
from benchmarks.shortages import CASES

IMAGES, MODELS, KILLS = 20_000, 2_000, 200
MEMORY_MB = 700
ROOT = Path(__file__).parents[1]


def mutated(kind: str, seeds: dict[str, bytes], make_job: Callable[[], Job], count: int) -> list[results.Row]:
    """One row a format: what the command made of `count` damaged files, and the cases that it must answer for."""
    rows: dict[str, Counter[str]] = {}
    names = list(seeds)
    with Cage(make_job, MEMORY_MB) as cage:
        for case in tqdm(range(count), desc=kind, unit="file", dynamic_ncols=True):
            name = names[case % len(names)]
            mutation, content = mutate(seeds[name], np.random.default_rng(case))
            verdict = cage.run((name, content))
            rows.setdefault(Path(name).suffix[1:], Counter())[verdict.split(maxsplit=1)[0].rstrip(":")] += 1
            if verdict not in ("written", "refused"):
                tqdm.write(f"{kind} case {case} ({name}, {mutation}): {verdict}")
    return [
        _row(f"damaged {suffix}", count.total(), 0, count["wrong"], count["crashed"] + count["hung"], count["refused"])
        for suffix, count in rows.items()
    ]


def _row(kind: str, tried: int, lost: int, wrong: int, crashed: int, refused: int = 0) -> results.Row:
    return {"kind": kind, "tried": tried, "refused": refused, "lost": lost, "wrong": wrong, "crashed": crashed}


def killed(count: int, files: int = 12) -> results.Row:
    """`aeinfer denoise` killed so often and started again until done: its results must be those of one run."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        source, whole, out = (Path(name, part) for part in ("in", "whole", "out"))
        source.mkdir()
        for i in range(files):
            picture = rng.integers(0, 256, (300 + 40 * i, 400, 3), dtype=np.uint8)
            write_image(source / f"{i}.{('png', 'jpg', 'webp')[i % 3]}", picture)
        job = ["denoise", str(source), "-m", str(DATA / "tiny.onnx"), "-q"]
        command = [sys.executable, "-m", "tests.killing", str(count), "0", "KILL", str(whole), str(out), *job]
        found = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    struck = sum(code != 0 for code in found["KILL"])  # the others had ended
    return _row("killed job", struck, len(found["lost"]), len(found["wrong"]) + len(found["stray"]), 0)


def starved() -> list[results.Row]:
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            verdict = case(Path(folder))
        if verdict != "held":
            print(f"{case.__name__}: {verdict}", flush=True)
        if not verdict.startswith("skipped"):
            rows.append(_row(case.__name__.replace("_", " "), 1, 0, int(verdict != "held"), 0))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_faults", description=__doc__)
    parser.add_argument(
        "--share", type=number(0, 1), default=1.0, help="of the cases to try [1]; below it nothing is saved"
    )
    share = parser.parse_args().share
    rows = mutated("images", image_seeds(), make_image_job, int(IMAGES * share))
    models = {path.name: path.read_bytes() for path in sorted(DATA.glob("tiny*.onnx")) if path.name.count(".") == 1}
    rows += mutated("models", models, make_model_job, int(MODELS * share))
    rows += [killed(int(KILLS * share)), *starved()]
    if share == 1:
        results.save("faults", rows)
    else:
        results.show(*rows)
    return int(any(row["lost"] or row["wrong"] or row["crashed"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
