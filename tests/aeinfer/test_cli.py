"""The command: right files, one line for each bad one, and the exit code that says how it went."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aeinfer import AEInfer, cli
from aeinfer.cli import console
from aeinfer.image import read_image, write_image
from aeinfer.version import __version__
from tests import handmade
from tests.pictures import files, needs_metadata, pixels_of

pytest.importorskip("cv2")


def denoised(model: Path, pixels: np.ndarray, strength: float = 1.0) -> np.ndarray:
    with AEInfer.load(model, device="cpu", precision="fp32") as loaded:
        return loaded.denoise(pixels, strength=strength)


def not_carried(kinds: str) -> str:
    return f"aeinfer: not carried over to some results: {kinds} (-v says to which)"


GOOD = {
    "dot.png": pixels_of((1, 1, 3)),
    "grey.png": pixels_of((20, 30)),
    "deep.png": pixels_of((20, 30, 3), "uint16"),
    "alpha.png": pixels_of((20, 30, 4)),
    "größe 写真.png": pixels_of((21, 31, 3)),
}


@pytest.mark.usefixtures("folder")
def test_a_folder_of_good_and_bad_files(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, pixels in GOOD.items():
        write_image(f"in/{name}", pixels)
    Path("in/text.png").write_text("certainly not an image\n")
    Path("in/empty.png").touch()
    write_image("in/cut.jpg", pixels_of((64, 64, 3)))
    whole = Path("in/cut.jpg").read_bytes()
    Path("in/cut.jpg").write_bytes(whole[: len(whole) // 2])
    Path("in/notes.txt").write_text("left alone")

    assert cli.main(["denoise", "in", "-m", str(tiny_model), "-d", "cpu", "--precision", "fp32"]) == 1
    output = capsys.readouterr()
    assert files("in-denoised") == sorted([*GOOD, "a.png", "b.png"])
    for name, pixels in GOOD.items():
        result = read_image(f"in-denoised/{name}").pixels
        np.testing.assert_array_equal(result, denoised(tiny_model, pixels), err_msg=name)
    np.testing.assert_array_equal(read_image("in-denoised/alpha.png").pixels[:, :, 3], GOOD["alpha.png"][:, :, 3])
    lines = output.err.splitlines()
    assert len(lines) == 3
    for name, words in {"text.png": "text", "empty.png": "empty", "cut.jpg": "truncated"}.items():
        assert any(line.startswith(f"aeinfer: in/{name}: ") and words in line for line in lines), name
    assert output.out.splitlines()[-1].startswith("7 written, 0 skipped, 3 failed: in-denoised")


@pytest.mark.usefixtures("folder")
def test_no_library_adds_lines_of_its_own(tiny_model: Path) -> None:
    Path("in/text.png").write_text("certainly not an image\n")
    for name in ("cut.jpg", "cut.png", "cut.webp", "cut.tiff", "cut.bmp"):
        write_image(f"in/{name}", pixels_of((64, 64, 3)))
        Path(f"in/{name}").write_bytes(Path(f"in/{name}").read_bytes()[:2000])
    whole = Path("in/b.png").read_bytes()
    Path("in/b.png").write_bytes(whole[:100] + bytes(20) + whole[120:])
    command = [sys.executable, "-m", "aeinfer", "denoise", "in", "-m", str(tiny_model), "-d", "cpu"]
    env = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    names = ["b.png", "cut.bmp", "cut.jpg", "cut.png", "cut.tiff", "cut.webp", "text.png"]
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [str(Path("in", name)) for name in names]
    assert done.returncode == 1
    assert done.stdout.startswith("1 written, 0 skipped, 7 failed: in-denoised")  # without a line of progress
    assert files("in-denoised") == ["a.png"]


@pytest.mark.usefixtures("folder")
def test_a_second_run_skips_and_needs_no_model(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["denoise", "in", "-m", str(tiny_model)]) == 0
    before = Path("in-denoised/a.png").stat().st_mtime_ns
    assert cli.main(["denoise", "in", "-m", "no-such-model.onnx"]) == 0
    assert "0 written, 2 skipped, 0 failed: in-denoised" in capsys.readouterr().out
    assert Path("in-denoised/a.png").stat().st_mtime_ns == before
    assert cli.main(["denoise", "in", "-m", str(tiny_model), "--on-exist", "overwrite", "-s", "0"]) == 0
    np.testing.assert_array_equal(read_image("in-denoised/a.png").pixels, pixels_of(seed=1))


@pytest.mark.usefixtures("folder")
def test_one_file_strength_format_and_quiet(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["denoise", "in/a.png", "-m", str(tiny_model), "-s", "0.5", "--format", "webp", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    expected = denoised(tiny_model, pixels_of(seed=1), 0.5)
    np.testing.assert_array_equal(read_image("in/a-denoised.webp").pixels, expected)
    assert cli.main(["denoise", "in/a.png", "-m", str(tiny_model), "-o", "out/x.tiff", "-t", "16", "-b", "2"]) == 0
    np.testing.assert_array_equal(read_image("out/x.tiff").pixels, denoised(tiny_model, pixels_of(seed=1)))


@pytest.mark.usefixtures("folder")
def test_options_reach_the_model_and_the_writer(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    load = AEInfer.load
    monkeypatch.setattr(AEInfer, "load", lambda model, **options: asked.append(options) or load(model, **options))
    network = ["-d", "cpu", "--precision", "fp32", "-t", "16", "-b", "2", "--threads", "1", "--max-memory", "300"]
    job = ["denoise", "in/a.png", "-m", str(tiny_model), *network, "--format", "jpg"]
    for quality in ("20", "90"):
        assert cli.main([*job, "-o", f"{quality}.jpg", "--quality", quality]) == 0
    expected = {"device": "cpu", "precision": "fp32", "tile": 16, "batch": 2, "threads": 1, "max_memory_mb": 300}
    assert asked[0] == expected | {"spinning": False}
    assert Path("20.jpg").stat().st_size < Path("90.jpg").stat().st_size / 2


@pytest.mark.usefixtures("folder")
def test_json_and_report_name_what_was_written_and_what_failed(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in/c.png").write_text("no image")
    assert cli.main(["denoise", "in", "-m", str(tiny_model), "--json", "--report", "r.jsonl"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["written"], summary["skipped"], summary["failed"], summary["where"]) == (2, 0, 1, "in-denoised")
    assert summary["errors"][0]["source"] == str(Path("in/c.png"))
    lines = [json.loads(line) for line in Path("r.jsonl").read_text("utf-8").splitlines()]
    assert [line["status"] for line in lines] == ["written", "written", "failed"]
    assert lines[0]["milliseconds"] > 0
    assert lines[0]["provider"] == "CPUExecutionProvider"
    assert lines[0]["model"]
    assert "text" in lines[2]["error"]


@pytest.mark.usefixtures("folder")
def test_dry_run_and_shards_and_fail_fast(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["denoise", "in", "-m", "no-such-model.onnx", "--dry-run"]) == 0
    planned = [f"write     {Path('in', name)} -> {Path('in-denoised', name)}" for name in ("a.png", "b.png")]
    assert capsys.readouterr().out.splitlines() == planned
    assert not Path("in-denoised").exists()
    assert cli.main(["denoise", "in", "-m", str(tiny_model), "--shard", "2/2"]) == 0
    assert files("in-denoised") == ["b.png"]
    assert cli.main(["denoise", "in", "-m", str(tiny_model), "--shard", "3/3"]) == 0  # an empty share is no error
    Path("in/a.png").write_text("no image")
    assert cli.main(["denoise", "in", "-o", "out", "-m", str(tiny_model), "--fail-fast"]) == 1
    assert "1 failed, 1 not tried" in capsys.readouterr().out
    assert not Path("out").exists()


@pytest.mark.usefixtures("folder")
def test_a_named_file_that_is_missing_does_not_stop_the_rest(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["denoise", "in/a.png", "gone.png", "-o", "out", "-m", str(tiny_model)]) == 1
    assert capsys.readouterr().err.splitlines() == ["aeinfer: gone.png: no such file or folder"]
    assert files("out") == ["a.png"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ["--help"]),
        (2, []),
        (2, ["no-such-command"]),
        (2, ["denoise"]),
        (2, ["denoise", "in", "--strength", "1.5"]),
        (2, ["denoise", "in", "--quality", "0"]),
        (2, ["denoise", "in", "--shard", "3/2"]),
        (2, ["denoise", "in", "-o", "in/out"]),
        (2, ["denoise", "in/a.png", "-o", "in"]),
        (2, ["denoise", "in/a.png", "in/a.jpg", "-o", "out", "--format", "png"]),
        (2, ["noise", "in"]),
        (2, ["noise", "in", "--sigma", "5", "--kind", "salt-and-pepper"]),
        (3, ["denoise", "in", "-d", "cuda:99"]),
        (2, ["denoise", "in", "--watch", "inf"]),
        (2, ["denoise", "in", "--watch", "1e300"]),
        (2, ["denoise", "in", "--max-memory", "9" * 400]),
        (2, ["denoise", "in", "--threads", "9999999999"]),
        (2, ["video", "in.mp4", "out.mp4", "--threads", "99999999999"]),
        (2, ["stream", "-", "--align", "9" * 20]),
        (2, ["stream", "-", "--timeout", "1e10"]),
        (4, ["denoise", "in", "-m", "text.onnx"]),
        (4, ["bench", "-m", "."]),
        (5, ["denoise", "empty"]),
        (5, ["denoise", "gone"]),
        (5, ["denoise", "none/*.png"]),
        (5, ["decode", "gone.npz"]),
        (5, ["compare", "gone", "--clean", "in"]),
        (5, ["compare", "empty", "--clean", "in/a.png"]),
    ],
)
def test_the_exit_code_says_how_it_went(
    tiny_model: Path, code: int, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("in/a.png", "in/a.jpg")
    Path("text.onnx").write_text("not a model, only words")
    Path("empty").mkdir()
    model = ["-m", str(tiny_model)] if "cuda:99" in arguments else []
    assert cli.main(arguments + model) == code
    output = capsys.readouterr()
    assert bool(output.err) == (code != 0)
    assert "Traceback" not in output.err
    assert not Path("in-denoised").exists()
    assert not Path("out").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.filterwarnings("default:plain does not state")
def test_a_model_without_facts_is_warned_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("plain.onnx").write_bytes(handmade.model())
    assert cli.main(["denoise", "in", "-m", "plain.onnx"]) == 0
    assert capsys.readouterr().err.count("does not state all aeinfer facts") == 1


@pytest.mark.usefixtures("folder")
def test_existing_results_are_an_error_when_asked(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("in-denoised/b.png", pixels_of())
    assert cli.main(["denoise", "in", "-m", str(tiny_model), "--on-exist", "error"]) == 2
    assert "b.png exists" in capsys.readouterr().err
    assert files("in-denoised") == ["b.png"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("library", ["cv2", "onnxruntime"])
def test_a_missing_library_is_one_line_and_exit_3(
    library: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert cli.main(["denoise", "in", "-m", str(tiny_model)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("aeinfer: ")
    assert "aeinfer[cpu]" in line


@needs_metadata
@pytest.mark.usefixtures("folder")
def test_metadata_kept_stripped_and_required(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pil = pytest.importorskip("PIL.Image")
    exif = pil.Exif()
    exif[270], exif[274] = "a caption", 6
    Path("photos").mkdir()
    pil.fromarray(pixels_of()).save("photos/a.jpg", exif=exif, icc_profile=b"x" * 200, quality=95)
    job = ["denoise", "photos", "-m", str(tiny_model), "-o"]

    assert cli.main([*job, "kept"]) == 0
    with pil.open("kept/a.jpg") as kept:
        assert (kept.size, kept.getexif()[270], kept.getexif()[274]) == ((32, 24), "a caption", 6)
        assert kept.info["icc_profile"] == b"x" * 200
    assert "not carried" not in capsys.readouterr().err

    assert cli.main([*job, "stripped", "--metadata", "strip"]) == 0
    with pil.open("stripped/a.jpg") as stripped:
        assert stripped.size == (24, 32)  # upright, since nothing tells a viewer to turn it
        assert not stripped.getexif()
        assert "icc_profile" not in stripped.info

    assert cli.main([*job, "lost", "--format", "bmp"]) == 0
    assert capsys.readouterr().err.splitlines() == [not_carried("exif, icc")]
    assert cli.main([*job, "required", "--format", "bmp", "--metadata", "require"]) == 1
    complaint = capsys.readouterr().err
    assert "exif, icc" in complaint
    assert "--format png may carry more" in complaint
    assert not Path("required").exists()


@pytest.mark.usefixtures("folder")
def test_metadata_that_tifffile_would_keep(
    tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tifffile")
    write_image("scans/a.tiff", pixels_of(), metadata={"icc": b"x" * 200})
    monkeypatch.setitem(sys.modules, "tifffile", None)
    job = ["denoise", "scans", "-m", str(tiny_model), "-o"]

    assert cli.main([*job, "lost"]) == 0
    told = 'aeinfer: those of TIFF are kept after pip install "aeinfer[tiff]", with --on-exist overwrite'
    assert capsys.readouterr().err.splitlines() == [not_carried("icc"), told]
    assert cli.main([*job, "required", "--metadata", "require"]) == 1
    assert 'pip install "aeinfer[tiff]" carries more' in capsys.readouterr().err
    assert cli.main([*job, "png", "--format", "png"]) == 0
    assert "aeinfer[tiff]" not in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_highlights_that_a_network_cuts_off_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.full((32, 48, 3), 0.5, np.float32)
    write_image("low.tiff", pixels)
    assert cli.main(["denoise", "low.tiff"]) == 0
    assert capsys.readouterr().err == ""
    pixels[8:24, 8:24] = 3
    write_image("high.tiff", pixels)
    assert cli.main(["denoise", "high.tiff"]) == 0
    assert capsys.readouterr().err.splitlines() == [not_carried("values above 1")]
    assert cli.main(["noise", "high.tiff", "--sigma", "5"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("folder")
def test_negative_values_that_are_cut_off_are_named(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.full((32, 48), 0.5, np.float32)
    pixels[:8] = -0.1
    write_image("a.tiff", pixels)
    assert cli.main(["denoise", "a.tiff", "-m", str(tiny_model)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "aeinfer: not carried over to some results: values below 0 (-v says to which)"
    ]


@pytest.mark.usefixtures("folder")
def test_a_file_of_another_scale_is_refused(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("counts.tiff", np.full((32, 48), 100, np.float32))
    assert cli.main(["denoise", "counts.tiff", "-m", str(tiny_model)]) == 1
    assert "counts.tiff: all values are above 1" in capsys.readouterr().err
    assert not Path("counts-denoised.tiff").exists()
    assert cli.main(["noise", "counts.tiff", "--sigma", "5"]) == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((32, 48), 4095, np.uint16), True),
        (np.full((32, 48), 20000, np.uint16), False),
        (np.full((32, 48), 0.1, np.float32), True),
        (np.zeros((32, 48), np.uint16), False),
        (np.full((32, 48), 20, np.uint8), False),
        (np.dstack([np.full((32, 48, 3), 4095, np.uint16), np.full((32, 48), 65535, np.uint16)]), True),
    ],
    ids=["12 bits", "dark", "float", "black", "8 bits", "opaque"],
)
def test_images_that_fill_little_of_their_range_are_counted(
    pixels: np.ndarray, said: bool, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("a.tiff", pixels)
    assert cli.main(["denoise", "a.tiff", "-m", str(tiny_model)]) == 0
    assert ("1 of the images or pages fill less than a quarter" in capsys.readouterr().err) is said


@pytest.mark.usefixtures("folder")
def test_a_comment_is_named_or_required(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pil = pytest.importorskip("PIL.Image")
    Path("photos").mkdir()
    pil.fromarray(pixels_of()).save("photos/a.jpg", comment="hello")
    job = ["denoise", "photos", "-m", str(tiny_model), "-o"]
    assert cli.main([*job, "kept"]) == 0
    assert capsys.readouterr().err.splitlines() == [not_carried("comment")]
    assert cli.main([*job, "told", "-v", "--report", "log.jsonl"]) == 0
    assert "photos/a.jpg -> told/a.jpg" in (complaint := capsys.readouterr().err)
    assert "ms), not carried over: comment\n" in complaint
    assert json.loads(Path("log.jsonl").read_text("utf-8"))["not_carried"] == ["comment"]
    assert cli.main([*job, "stripped", "--metadata", "strip"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main([*job, "required", "--metadata", "require"]) == 1
    complaint = capsys.readouterr().err
    assert "its comment cannot be carried" in complaint
    assert "--format png" not in complaint, "nor does a PNG carry it"


@pytest.mark.usefixtures("folder")
def test_pictures_in_a_folder_that_are_not_read_are_counted(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in/deep").mkdir()
    for name in ("a.HEIC", "b.heic", "c.gif", ".hidden.heic", "notes.txt", "deep/d.NEF"):
        Path("in", name).touch()
    job = ["denoise", "in", "-m", str(tiny_model)]
    said = "aeinfer: left alone, of kinds that are not read: "
    assert cli.main([*job, "--dry-run"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"{said}1 .gif, 2 .heic"]
    assert cli.main([*job, "-r"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"{said}1 .gif, 2 .heic, 1 .nef"]
    assert cli.main([*job, "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main([*job, "--json", "-q"]) == 0
    assert len(json.loads(capsys.readouterr().out)["unread"]) == 3
    assert cli.main(["denoise", "in/a.png", "-o", "one.png", "-m", str(tiny_model)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("folder")
def test_what_a_format_cannot_hold_fails_by_file_before_the_work(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("in/deep.png", pixels_of(dtype="uint16"))
    write_image("in/wide.png", pixels_of((1, 65501, 3)))
    denoise, shapes = AEInfer.denoise, []

    def noted(model: AEInfer, pixels: np.ndarray, **options: object) -> np.ndarray:
        shapes.append(pixels.shape)
        return denoise(model, pixels, **options)

    monkeypatch.setattr(AEInfer, "denoise", noted)
    assert cli.main(["denoise", "in", "-m", str(tiny_model), "--format", "jpg"]) == 1
    complaints = capsys.readouterr().err
    assert "deep.jpg: jpg cannot hold uint16" in complaints
    assert "wide.jpg: jpg holds up to 65500 pixels along a side, not 65501 x 1; choose png or tiff" in complaints
    assert files("in-denoised") == ["a.jpg", "b.jpg"]
    assert len(shapes) == 2


class _Terminal:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no terminal has this number")


def test_progress_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with console.Progress(2) as progress:
        progress.advance(1, 1.0)
    assert capsys.readouterr() == ("", "")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.Progress(2) as progress:
        progress.advance(1, 1.0)
    assert "1/2" in terminal.text
    assert "images/s" in terminal.text
    assert "MPix/s" in terminal.text
    assert "left" in terminal.text
    monkeypatch.setattr(terminal, "fileno", lambda: 2)
    monkeypatch.setattr(os, "get_terminal_size", lambda _number: os.terminal_size((12, 3)))
    terminal.text = ""
    with console.Progress(2) as progress:
        progress.advance(1, 1.0)
    assert "\r1/2  50%  " in terminal.text
    assert {len(text) for text in terminal.text.split("\r")} == {0, 11}
    assert terminal.text.endswith("\r" + " " * 11 + "\r")
    with console.Progress(2, wanted=False) as progress:
        before = terminal.text
        progress.advance(1, 1.0)
    assert terminal.text == before


def test_every_command_has_its_help_and_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.COMMANDS:
        assert cli.main([name, "--help"]) == 0
    capsys.readouterr()
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"aeinfer {__version__}\n"


def test_the_command_refuses_more_pixels_than_allowed(tmp_path: Path, tiny_model: Path) -> None:
    write_image(tmp_path / "a.png", pixels_of((20, 30, 3)))
    arguments = ["denoise", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "-m", str(tiny_model)]
    assert cli.main([*arguments, "--max-pixels", "599"]) == 1
    assert not (tmp_path / "b.png").exists()
    assert cli.main([*arguments, "--max-pixels", "600"]) == 0
