"""Rows of methods not run again are kept, tables show what the rows say, and a changed model file is noticed."""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import bench_models, bench_quality, bench_scaling, options, results, table

KEYS = ("method", "set", "input", "sigma")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    return tmp_path


def row(method: str, psnr: float, sigma: int = 25, **more: object) -> results.Row:
    return {"method": method, "set": "cbsd68", "input": "8-bit", "sigma": sigma, "psnr": psnr, "ssim": 0.9} | more


def test_merge_replaces_the_same_row_and_keeps_the_others() -> None:
    results.merge("quality", [row("slow", 1.0), row("fast", 2.0), row("fast", 3.0, 50)], KEYS, ("slow", "fast"))
    results.merge("quality", [row("fast", 4.0)], KEYS, ("slow", "fast"))
    found = {(each["method"], each["sigma"]): each["psnr"] for each in results.load("quality")["rows"]}
    assert found == {("slow", 25): 1.0, ("fast", 25): 4.0, ("fast", 50): 3.0}


def test_methods_are_chosen_by_parts_of_their_names_and_rows_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    options.add_methods(parser)
    names = ["photo fp32", "photo int8", "BM3D"]
    for given, expected in (([], names), (["--methods", "int8", "BM"], names[1:])):
        assert options.chosen(parser, iter(names), parser.parse_args(given).methods) == expected
    results.merge("quality", [row("fast", 1.0)], KEYS, ("fast",))
    assert capsys.readouterr().out.startswith("method: fast  set: cbsd68")


@pytest.mark.parametrize(
    ("bench", "arguments"),
    [
        (bench_models, ["--methods", "none"]),
        (bench_models, ["--rounds", "0"]),
        (bench_scaling, ["--methods", "none"]),
        (bench_quality, ["--data", "DATA", "--methods", "none"]),
        (bench_quality, ["--data", "DATA", "--every", "0"]),
        (bench_quality, ["--data", "DATA", "--sigmas", "-5"]),
    ],
)
def test_what_measures_nothing_is_refused_and_no_row_is_lost(
    bench: ModuleType, arguments: list[str], folder: Path, complaint: Callable[..., str]
) -> None:
    for name in ("models", "scaling", "quality"):
        results.write(name, [row("old", 1.0)])
    for name in bench_quality.SETS:
        (folder / name).mkdir()
        (folder / name / "0.png").touch()
    before = {path: path.read_bytes() for path in folder.glob("*.json")}
    given = [folder if argument == "DATA" else argument for argument in arguments]
    complaint(bench.main, *given)
    assert {path: path.read_bytes() for path in folder.glob("*.json")} == before


@pytest.mark.parametrize("content", [None, b"", b'{"rows": [{"psn', b"\xff"])
def test_results_that_cannot_be_read_are_named_and_kept(
    content: bytes | None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured meanwhile is printed."""
    path = folder / "quality.json"
    if content is not None:
        path.write_bytes(content)
        with pytest.raises(SystemExit, match=r"quality\.json.*check it out"):
            results.merge("quality", [row("new", 1.0)], KEYS, ("new",))
        assert "method: new" in capsys.readouterr().out
        assert path.read_bytes() == content
    with pytest.raises(SystemExit, match=r"quality\.json.*check it out"):
        table.quality("")


def test_merge_drops_methods_that_are_gone(folder: Path) -> None:
    results.merge("quality", [row("old", 1.0)], KEYS, ("old",))
    results.merge("quality", [row("new", 2.0)], KEYS, ("new",))
    assert [each["method"] for each in results.load("quality")["rows"]] == ["new"]
    assert [path.name for path in folder.iterdir()] == ["quality.json"]


def test_timings_of_another_machine_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, here, kept in (("one", True, ["a"]), ("other", False, ["a", "b"]), ("third", True, ["c"])):
        monkeypatch.setattr(results, "machine", lambda cpu=cpu: {"cpu": cpu})
        results.merge("models", [row(kept[-1], 1.0)], KEYS, ("a", "b", "c"), of_this_machine=here)
        assert [each["method"] for each in results.load("models")["rows"]] == kept


def test_stale_names_changed_unmeasured_and_half_measured_models() -> None:
    rows = [
        *(row("same", 1.0, fingerprint="a"), row("changed", 1.0, fingerprint="old")),
        *(row("half", 1.0, 25, fingerprint="new"), row("half", 1.0, 50, fingerprint="old")),
    ]
    complaints = results.stale(rows, {"same": "a", "changed": "new", "half": "new", "absent": "b"})
    assert complaints == [
        f"changed: {results.OTHER_FILE}",
        f"half: {results.OTHER_FILE}",
        "absent: not measured",
    ]


def test_a_row_may_name_its_model_apart_from_its_method() -> None:
    rows = [{"method": "temporal + photo", "model": "photo fp32", "fingerprint": "old"}]
    assert results.stale(rows, {"photo fp32": "new"}) == [f"photo fp32: {results.OTHER_FILE}"]
    assert results.stale(rows, {"photo fp32": "old"}) == []


def test_another_file_is_noticed_where_not_everybody_can_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"method": "photo fp32", "fingerprint": "old"}]
    monkeypatch.setattr(results, "load", lambda name: {"rows": rows if name in ("camera", "stream") else []})
    other = [complaint for complaint in table.stale_results() if complaint.endswith(results.OTHER_FILE)]
    assert other == ["results/camera.json: photo fp32: another file was measured"]


def test_quality_table_orders_methods_marks_subsets_and_what_is_published() -> None:
    rows = [row("photo fp32", 32.0), row("photo fp32", 30.0, 15), row("BM3D", 31.0), row("noisy", 20.0)]
    results.save("quality", rows)
    lines = table.quality("").splitlines()
    firsts = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:6]]
    assert firsts == ["noisy", "BM3D, every 17th image", "photo fp32", "*CBM3D, published*"]
    assert "| 30.00 / 32.00 / - |" in lines[4]
    assert lines[4].endswith("| 0.900 |")
    assert "*FFDNet-clip, published* |  | 33.89 / 31.23 / 27.95 |" in table.quality("")


def test_grey_table_shows_both_inputs_and_what_is_published() -> None:
    rows = [row("photo fp32", 29.0, set="bsd68"), row("photo fp32", 29.3, set="bsd68", input="float")]
    results.save("grey", rows)
    assert "| photo fp32 | - / 29.30 / - | - / 29.00 / - | 0.900 |" in table.grey("")
    assert "| *BM3D, published* | 31.07 / 28.57 / 25.62 |  |  |" in table.grey("")
    assert "published" not in table.grey("photo")


def test_a_card_shows_its_own_model_alone() -> None:
    results.save("quality", [row(name, 32.0) for name in ("photo fp32", "photo int8", "photo-fast fp32", "noisy")])
    text = table.rewritten("a\n<!-- table: quality photo -->\nold\n<!-- end of table -->\nb")
    assert [name in text for name in ("photo fp32", "photo int8", "photo-fast", "noisy", "published", "old")] == [
        *(True, True, False, False, False, False)
    ]
    assert table.rewritten(text) == text


def test_camera_table_joins_the_sets_by_their_images() -> None:
    rows = [
        {"method": "photo fp32", "set": "cbsd68", "images": 3, "psnr": 44.0, "worst": 40.0},
        {"method": "photo fp32", "set": "kodak24", "images": 1, "psnr": 40.0, "worst": 39.0},
        {
            "method": "photo fp32",
            "set": "real",
            "images": 51,
            "psnr": 38.5,
            "psnr_third": 38.1,
            "psnr_third_rounded": 38.07,
            "worst_gain": -0.1,
        },
        {
            "method": "noisy",
            "set": "real",
            "images": 51,
            "psnr": 36.0,
            "psnr_third": 35.4,
            "psnr_third_rounded": 35.4,
            "worst_gain": 0.0,
        },
    ]
    results.save("camera", rows)
    text = table.camera("")
    assert "| photo fp32 | 38.10 | 38.07 | 38.50 | -0.10 | 43.00 | 39.00 |" in text
    assert "| noisy | 35.40 | 35.40 | 36.00 | 0.00 |  |  |" in text
    assert "published* | 38.01 |" in text


def test_drawings_table_has_a_column_for_each_kind_and_the_worst_without_noise() -> None:
    rows = [row("photo fp32", 30.0 + sigma, sigma, set=kind) for kind in ("text", "charts") for sigma in (15, 25, 50)]
    rows += [row("photo fp32", 60.0, 0, set=kind, worst=worst) for kind, worst in (("text", 52.0), ("charts", 51.5))]
    results.save("drawings", [*rows, row("BM3D", 33.0, 15, set="text")])
    lines = table.drawings("").splitlines()
    assert lines[0].endswith("| text | charts | without noise, worst |")
    assert lines[2:] == [
        "| BM3D | 33.00 / - / - |  |  |",
        "| photo fp32 | 45.00 / 55.00 / 80.00 | 45.00 / 55.00 / 80.00 | 51.50 |",
    ]


def test_models_table_leaves_out_what_a_peer_does_not_have() -> None:
    model = {"method": "photo int8", "kmac_per_pixel": 20.2, "parameters": 554492, "file_kb": 615, "peak_mb": 59}
    for threads in (1, 2):
        model |= {f"mpix_per_s_{threads}": 2.0 * threads, f"ratio_{threads}": 10.0, f"ratio_to_fp32_{threads}": 1.5}
    results.save("models", [model, {"method": "OpenCV bilateral", "mpix_per_s_1": 7.0, "ratio_1": 40.0}])
    text = table.models("")
    assert "| OpenCV bilateral |  |  |  | 7.00 | 40.00 |  |  |\n| photo int8 | 20.2 |" in text
    assert "| 554k | 615 | 2.00 / 4.00 | 10.00 / 10.00 | 1.50 / 1.50 | 59 |" in text


def test_autoencoders_show_both_precisions_in_one_line_and_what_goes_past_the_code() -> None:
    known = {"code": 0, "places": 28544, "parameters": 1000, "kmac": 2000}
    rows = [
        {"method": "noisy", "float": 6.0},
        {"method": "mnist-conv fp32", "code": 64, "float": 20.0, "clean": 21.0, "images_per_s": 3000},
        {"method": "mnist-conv int8", "code": 64, "float": 19.9, "clean": 20.9, "images_per_s": 4000},
        {"method": "conv-unpool-max fp32", **known, "float": 22.0},
        {"method": "Keras conv", "epochs": 6, "float": 13.0},
    ]
    results.save("autoencoders", rows)
    lines = table.autoencoders("").splitlines()
    assert lines[3] == "| mnist-conv | 64 |  |  | 20.00 / 19.90 |  | 21.00 / 20.90 | 3,000 / 4,000 |"
    assert lines[4].startswith("| conv-unpool-max | none + 28,544 places | 1,000 | 2,000 | 22.00 |")
    assert lines[5].startswith("| Keras conv, 6 epochs |")
    assert "noisy" not in table.autoencoders("mnist")
