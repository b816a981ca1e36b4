"""The harness of faults: it notices crashes, hangs and lies; and a small part of its table."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory caps and kills are Linux's here")
if sys.platform == "linux":
    from benchmarks.bench_faults import killed, mutated
    from benchmarks.cage import Cage
    from benchmarks.hostile import make_image_job, make_model_job
    from benchmarks.mutate import MUTATIONS
    from benchmarks.seeds import DATA, image_seeds
    from benchmarks.shortages import full_disk, read_only_target, small_container, vanished_target


def make_odd_job() -> Callable[[str], str]:
    def job(case: str) -> str:
        if case == "die":
            os.abort()
        if case == "sleep":
            time.sleep(60)
        if case == "fill":
            try:
                np.ones(200 << 20, np.uint8)
            except MemoryError:
                return "refused"
        return f"did {case}"

    return job


def test_the_cage_tells_crashes_hangs_and_hunger_apart_and_goes_on() -> None:
    with Cage(make_odd_job, memory_mb=100, seconds=2) as cage:
        assert cage.run("work") == "did work"
        assert cage.run("die") == "crashed with -6"
        assert cage.run("fill") == "refused"
        assert cage.run("sleep") == "hung"
        assert cage.run("work") == "did work"
        assert cage.starts == 3


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_follows_from_its_generator(mutation: Callable[..., bytes]) -> None:
    data = bytes(range(256)) * 4
    results = [mutation(bytearray(data), np.random.default_rng(seed)) for seed in range(20)]
    assert results == [mutation(bytearray(data), np.random.default_rng(seed)) for seed in range(20)]
    assert sum(result != data for result in results) > 15


def test_whole_files_are_written_and_poisoned_ones_refused() -> None:
    job = make_image_job()
    verdicts = {name: job((name, content)) for name, content in image_seeds().items()}
    refused = {name for name, verdict in verdicts.items() if verdict == "refused"}
    assert set(verdicts.values()) == {"written", "refused"}
    assert {"nan.tiff", "inf.tiff"} <= refused
    assert len(refused) <= 3


def test_damaged_files_are_refused_or_read(capsys: pytest.CaptureFixture[str]) -> None:
    models = {"tiny.onnx": (DATA / "tiny.onnx").read_bytes()}
    rows = mutated("images", image_seeds(), make_image_job, 60) + mutated("models", models, make_model_job, 15)
    assert sum(row["tried"] for row in rows) == 75
    assert sum(row["refused"] for row in rows) > 20
    assert not any(row["wrong"] or row["crashed"] for row in rows), capsys.readouterr()


def test_a_killed_job_ends_as_an_undisturbed_one() -> None:
    row = killed(2, files=3)
    assert 0 <= row["tried"] <= 2
    assert (row["lost"], row["wrong"]) == (0, 0)


@pytest.mark.parametrize(
    "case",
    [full_disk, read_only_target, small_container, vanished_target],
    ids=lambda case: case.__name__,
)
def test_what_is_short_fails_no_more_than_it_must(case: Callable[[Path], str], tmp_path: Path) -> None:
    verdict = case(tmp_path)
    if verdict.startswith("skipped"):
        pytest.skip(verdict)
    assert verdict == "held"
