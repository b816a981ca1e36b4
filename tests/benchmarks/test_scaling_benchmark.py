"""Curves of time and memory: every size is a row, what is not straight is said, tables and pictures show the rows."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from aeinfer import AEInfer
from benchmarks import bench_scaling, results, table
from benchmarks.bench_scaling import Curve

ONE = Curve("photo-fast int8", "megapixels", (0.01, 0.04))
MANY = Curve("mnist-dense fp32", "images", (1, 3), (28, 28))
FACTS = {"method": "a fp32", "input": "one image", "unit": "megapixels"}
ROWS = [
    {**FACTS, "count": 0.1, "threads": 1, "read": 1.1, "seconds": 0.1, "over_median": 1.0},
    {**FACTS, "count": 0.1, "threads": 2, "read": 1.1, "seconds": 0.1, "over_median": 1.25},
    {**FACTS, "count": 10, "threads": 1, "read": 1.2, "seconds": 15.0, "over_median": 1.5},
    {**FACTS, "count": 10, "threads": 2, "read": 1.2, "seconds": 7.0, "over_median": 0.7},
    {**FACTS, "count": 10, "limit_mb": None, "peak_mb": 400},
    {**FACTS, "count": 10, "limit_mb": 300, "peak_mb": 301},
]


@pytest.mark.parametrize(("curve", "read"), [(ONE, (112**2 / 100**2, 208**2 / 200**2)), (MANY, (1, 1))])
def test_every_size_is_a_row(curve: Curve, read: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []

    def timed(calls: Mapping[str, Callable[[], object]], _rounds: int) -> dict[str, np.ndarray]:
        with mock.patch.object(AEInfer, "_run") as ran:
            for call in calls.values():
                ran.reset_mock()
                call()
                times.append(ran.call_count)
        return {name: np.array([0.5, 2, 9]) for name in calls}

    monkeypatch.setattr(bench_scaling, "interleaved_seconds", timed)
    monkeypatch.setattr(bench_scaling, "LEAST", dict.fromkeys(bench_scaling.LEAST, curve.counts[1]))
    rows = bench_scaling.seconds_of(curve, threads=1)
    assert [row["count"] for row in rows] == list(curve.counts)
    assert times == [round(curve.counts[1] / curve.counts[0]), 1], "a small input is repeated"
    assert [row["seconds"] for row in rows] == pytest.approx([2 / times[0], 2])
    assert [row["read"] for row in rows] == [round(ratio, 3) for ratio in read]
    assert {row["over_median"] for row in rows} == {1}, "as many seconds for as much: a straight line"
    assert bench_scaling.spread([*rows, rows[0] | {"seconds": rows[0]["seconds"] * 3}]) == pytest.approx(3)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is read as Linux tells it"
)
@pytest.mark.parametrize("curve", [ONE, MANY])
def test_a_peak_is_what_the_libraries_and_the_network_take(curve: Curve) -> None:
    assert 20 < bench_scaling.peak_megabytes(curve, curve.counts[0], 300) < 300


def test_goals_compare_the_dearest_and_the_cheapest(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(curve: Curve, _threads: int) -> list[results.Row]:
        return [{"count": count, "seconds": count * (1.3 if count == 3 else 1)} for count in curve.counts]

    monkeypatch.setattr(bench_scaling, "seconds_of", measured)
    monkeypatch.setattr(bench_scaling, "peak_megabytes", lambda *_: 299.0)
    rows = list(bench_scaling.goals())
    assert {row["holds"] for row in rows if "MPix," in row["what"]} == {False}
    assert {row["figure"] for row in rows} == ({299.0, 1.3, 1.0} if len(rows) == 6 else {1.3, 1.0})


def test_what_is_not_straight_is_said() -> None:
    assert list(bench_scaling.complaints(ROWS)) == [
        "a fp32, one image, 10 megapixels, 1 threads: 1.50 times the median of its curve",
        "a fp32, one image, 10 megapixels, 2 threads: 0.70 times the median of its curve",
        "a fp32, one image, 10 megapixels: 301 MB of 300",
    ]


def test_table_and_picture_show_the_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [*ROWS, *(row | {"unit": "images", "input": "images of 28x28"} for row in ROWS)]
    monkeypatch.setattr(results, "load", lambda _name: {"rows": rows, "machine": {"cpu": "this"}})
    time, read, peak = table.scaling("megapixels").splitlines()[2:5]
    assert time.endswith("1 / 2 threads | 1.00 / 1.25 | 1.50 / 0.70 |")
    assert read.endswith(" | 1.10 | 1.20 |")
    assert peak.endswith("max_memory_mb=300 |  | 400 / 301 |")
    pytest.importorskip("matplotlib", reason="it draws the picture")
    from benchmarks import plot

    assert plot.curves("megapixels", "seconds") == {
        "a fp32, 1 thread": [(0.1, 0.1), (10, 15.0)],
        "a fp32, 2 threads": [(0.1, 0.1), (10, 7.0)],
    }
    assert list(plot.curves("images", "peak_mb")) == ["a fp32, 28x28, no bound", "a fp32, 28x28, max_memory_mb=300"]
    plot.draw_scaling(tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_no_two_labels_of_the_picture_of_quality_overlap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it draws the picture")
    from benchmarks import plot

    drawn = []
    monkeypatch.setattr(plot.plt, "close", drawn.append)
    plot.draw_quality(tmp_path / "quality.svg")
    monkeypatch.undo()
    (axes,) = drawn[0].axes
    texts = [*axes.texts, *axes.get_legend().get_texts()]
    for one, other in itertools.combinations(texts, 2):
        overlaps = one.get_window_extent().overlaps(other.get_window_extent())
        assert not overlaps, (one.get_text(), other.get_text())
    plot.plt.close(drawn[0])
