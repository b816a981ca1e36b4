"""Every case that fuzzing has kept, given to what was fuzzed: results or the promised errors."""

import re
from pathlib import Path

import pytest

from aeinfer.opencv import quiet_opencv
from benchmarks.fuzz_targets import TARGETS, kept_cases


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("default")  # of tifffile's reading
def test_kept_cases_keep_the_promise(target: str) -> None:
    quiet_opencv()
    cases = kept_cases(target)
    assert len(cases) >= 10
    for name, content in cases.items():
        try:
            TARGETS[target](content)
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error


def test_a_target_notices_what_is_not_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fuzz_targets.read_pages", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        TARGETS["image"](b"anything")


def test_what_is_jitted_is_not_instrumented() -> None:
    root = Path(__file__).parents[2]
    jitted = {f"aeinfer.{room.stem}" for room in (root / "aeinfer").glob("*.py") if "\n@jit" in room.read_text()}
    assert set(re.findall(r'"(aeinfer\.\w+)"', (root / "benchmarks/fuzz_worker.py").read_text())) == jitted
