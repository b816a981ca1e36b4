"""Speed goals follow from given seconds, both sides of a ratio do the same work, and tables show the rows."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from aeinfer import AEInfer
from aeinfer.session import Session
from benchmarks import bench_denoise, bench_folder, bench_kernels, bench_session, goals, results, table
from benchmarks.engines import DEFAULTS, ENGINES, OURS, UnavailableError
from benchmarks.packaged import color_models, model_files
from benchmarks.timing import interleaved_seconds

PHOTO = color_models()["photo-fast fp32"]


def test_rounds_are_interleaved_and_the_first_does_not_count() -> None:
    calls: list[str] = []
    found = interleaved_seconds({name: lambda name=name: calls.append(name) for name in "ab"}, rounds=2, pause=0.001)
    assert "".join(calls) == "ababab"
    assert {name: len(times) for name, times in found.items()} == {"a": 2, "b": 2}


def test_a_kernels_share_counts_the_bytes_of_both_sides() -> None:
    tilings = {"gather, one tile": 2.0, "gather, default tiling": 4.0, "place, one tile": 1.0}
    found = {name: np.full(3, value) for name, value in {**tilings, "place, default tiling": 2.0, "copy": 2.0}.items()}
    assert bench_kernels.shares(found, "float32") == {
        **{"gather, one tile": 1.0, "gather, default tiling": 0.5, "place, one tile": 2.0},
        "place, default tiling": 1.0,
    }
    assert bench_kernels.shares(found, "uint8")["gather, one tile"] == 5 / 8
    found |= {"gather, numpy": np.full(3, 6.0), "gather, cv2": np.full(3, 3.0), "place, numpy": np.full(3, 5.0)}
    assert bench_kernels.factors(found) == {"gather, numpy": 3.0, "gather, cv2": 1.5, "place, numpy": 5.0}


def test_kernel_goals_name_what_falls_short(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{kernel}, {other}" for kernel in ("gather", "place") for other in (*bench_kernels.TILINGS, "numpy")]
    given = {name: np.ones(3) for name in [*names, "copy"]}
    monkeypatch.setattr(bench_kernels, "measure", lambda _dtype, _rounds: given)
    monkeypatch.setattr(bench_kernels, "noise_factor", lambda _rounds: 2.9)
    rows = list(bench_kernels.goals())
    assert all(row.keys() == {"what", "figure", "unit", "goal", "holds"} for row in rows)
    assert len(rows) == 3 * 6 + 1
    assert [row["what"] for row in rows if not row["holds"]] == ["Gaussian noise: speed over numpy's standard_normal"]


@pytest.mark.parametrize("dtype", bench_kernels.DTYPES)
def test_kernels_are_called_as_denoise_calls_them(dtype: str) -> None:
    scale = 1 if dtype == "float32" else np.iinfo(dtype).max
    image = (np.random.default_rng(0).random((100, 130, 3), np.float32) * scale).astype(dtype)
    gathered, placed = bench_kernels.recorded_calls(image, tile=64)
    assert len(gathered) == len(placed) > 0
    np.testing.assert_array_equal(bench_kernels.to_image(bench_kernels.to_tensor(image), dtype), image)


def test_an_engine_that_is_missing_fails_or_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = np.full((1, 3, 32, 32), 0.5, np.float32)
    ours = ENGINES[OURS](PHOTO, 1, batch)(batch)

    def missing(*_: object) -> None:
        raise ImportError("no such module")

    def failing(*_: object) -> None:
        raise RuntimeError("cannot take Resize\nand much more")

    for engine, expected in (
        (missing, "not installed: no such module"),
        (failing, "cannot take Resize"),
        (lambda *_: lambda _: ours + np.float32(0.01), "another result: off by 0.0100"),
        (lambda *_: lambda _: ours * np.float32(np.nan), "another result: off by nan"),
    ):
        monkeypatch.setitem(ENGINES, "other", engine)
        with pytest.raises(UnavailableError, match=f"^{expected}$"):
            bench_session.prepare("other", PHOTO, 1, batch, ours)
    assert bench_session.prepare(DEFAULTS, PHOTO, 1, batch, ours)(batch).shape == batch.shape


def test_session_rows_and_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_session, "laid_out", lambda _scene: np.full((1, 3, 32, 32), 0.5, np.float32))
    monkeypatch.setattr(bench_session, "SPIN_SECONDS", 0)
    monkeypatch.setitem(ENGINES, "cv2.dnn", mock.Mock(side_effect=RuntimeError("cannot")))
    rows = bench_session.measure("photo-fast fp32", PHOTO, [OURS, DEFAULTS, "cv2.dnn"], rounds=1)
    assert [row["engine"] for row in rows] == [OURS, DEFAULTS, "cv2.dnn"]
    assert (
        rows[0].keys()
        == rows[1].keys()
        == {*("engine", "method", "fingerprint", "version", "ms_1", "ms_2", "ratio_1", "ratio_2")}
    )
    assert rows[0]["ratio_1"] == 1
    assert rows[2].keys() == {"engine", "method", "fingerprint", "unavailable"}

    measured = [{}, {"ratio_1": 1.0, "ratio_2": 1.25}]  # the defaults are faster at two threads
    monkeypatch.setattr(bench_session, "measure", lambda *_: measured)
    goals = list(bench_session.goals())
    assert {(row["figure"], row["holds"]) for row in goals} == {(0.8, False)}
    assert len(goals) == len(color_models())


def test_the_bare_network_runs_what_denoise_runs() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 400, 3), np.uint8)
    ran: list[np.ndarray] = []
    run = Session.run

    def keep(session: Session, batch: np.ndarray) -> np.ndarray:
        ran.append(batch.copy())
        return run(session, batch)

    with AEInfer.load("photo-fast", precision="fp32", tile=64, batch=1) as ae:
        bare = bench_denoise.bare_runs(ae, image)
        with mock.patch.object(Session, "run", keep):
            ae.denoise(image)
            count = len(ran)
            bare()
    assert len(ran) == 2 * count > 2
    denoised, alone = (sorted(batch.tobytes() for batch in part) for part in (ran[:count], ran[count:]))
    assert denoised == alone


def test_without_the_network_the_pixels_come_back() -> None:
    image = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    with AEInfer.load("photo-fast", precision="fp32", tile=64) as ae:
        np.testing.assert_array_equal(bench_denoise.moving(ae, image)(), image)
        assert (ae.denoise(image) != image).any()


@pytest.mark.parametrize(("model", "shape"), [("photo-fast", (50, 70, 3)), ("mnist-dense", (1500, 28, 28))])
def test_the_plain_way_gives_the_same(model: str, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with AEInfer.load(model, precision="fp32", threads=1) as ae:
        ours = bench_denoise.denoise(ae, images)
    plain = bench_denoise.plain(model_files()[f"{model} fp32"], 1)(images)
    assert np.abs(plain.astype(int) - ours).max() <= 1


def test_denoise_rows_and_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench_denoise.SHAPES, bench_denoise.SMALL, (32, 48))
    monkeypatch.setattr(bench_denoise, "ROUNDS", (1, 1))
    monkeypatch.setattr(bench_denoise, "SPIN_SECONDS", 0)
    for model in ("photo-fast", "photo-fast-grey"):
        row = bench_denoise.measure(model, "int8", bench_denoise.SMALL, 1, with_plain=True)
        facts = ("method", "fingerprint", "input", "threads", "rounds", "ms", "moving_ms", "over_bare", "over_plain")
        assert row.keys() == set(facts)
        assert (row["method"], row["input"], row["threads"]) == (f"{model} int8", "768x512", 1)

    over_bare = {1: 1.04, 2: 1.06}
    given = lambda _model, _precision, _name, threads, **_: {"over_bare": over_bare[threads]}  # noqa: E731
    monkeypatch.setattr(bench_denoise, "measure", given)
    goals = list(bench_denoise.goals())
    assert {(row["figure"], row["holds"]) for row in goals} == {(1.06, False)}
    assert {row["what"].split(", ")[1].rpartition(" ")[0] for row in goals} == {
        *("mnist-conv", "mnist-dense", "photo", "photo-best", "photo-camera", "photo-fast", "photo-fast-grey")
    }


def test_tables_of_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    base = {"method": "photo fp32", "fingerprint": "a"}
    timed = {"version": "1.2", "ms_1": 70.0, "ms_2": 40.0, "ratio_1": 1.0, "ratio_2": 0.5}
    missing = {"engine": "ncnn", **base, "unavailable": "not installed: No module named 'ncnn'"}
    results.write("session", [{"engine": OURS, **base, **timed}, missing])
    assert "| aeinfer 1.2 | 70.0 / 40.0 (1.00 / 0.50) |\n| ncnn |  |" in table.session("")
    assert "ncnn, photo fp32: not installed: No module named 'ncnn'." in table.session("")

    given = {**base, "input": "768x512", "ms": 9.0, "moving_ms": 0.5, "over_plain": 1.5}
    rows = [{**given, "threads": n, "over_bare": n} for n in (1, 2)]
    results.write("denoise", rows)
    assert "| photo fp32 | 768x512 | 9.0 / 9.0 | 1.000 / 2.000 | 0.5 / 0.5 | 1.50 / 1.50 |" in table.denoise("")

    goal = {"room": "kernels", "what": "a kernel", "figure": 0.5, "unit": "x", "goal": "at least 0.6", "holds": False}
    results.write("goals", [goal])
    assert "| a kernel | 0.5 x | at least 0.6 x | no |" in table.goals("")


@pytest.mark.parametrize("figure", [2, 2.0, np.float64(2), np.float32(2)])
def test_a_goal_of_any_number_can_be_saved(figure: float) -> None:
    rows = [goals.at_least("a", figure, 1), goals.at_most("b", figure, 1)]
    assert [row["holds"] for row in json.loads(json.dumps(rows))] == [True, False]


@pytest.mark.parametrize("given", [["--data", "nowhere"], ["--data", "."], ["--models", "none"]])
def test_a_folder_without_pictures_and_a_model_that_is_none_are_refused(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ("no pictures" if "--data" in given else "invalid choice") in complaint(bench_folder.main, *given)
