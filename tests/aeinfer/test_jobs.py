"""Jobs that take their inputs from a list, from standard input or from a folder that fills, and odd names in all."""

import io
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aeinfer import AEInfer, cli
from aeinfer.cli import watch
from aeinfer.image import write_image
from tests.pictures import files, pixels_of

pytest.importorskip("cv2")
NOISE = ["--sigma", "3", "-q"]
LATIN = os.fsdecode(b"caf\xe9\n\x1b[1m\xc2\x9b1m.png")


class Bytes(io.TextIOWrapper):
    """Standard input that holds `data`, or an output that keeps what is written."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(io.BytesIO(data), "utf-8")

    @property
    def data(self) -> bytes:
        return self.buffer.getvalue()


@pytest.mark.usefixtures("folder")
def test_a_manifest_names_inputs_and_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list").write_bytes(b"in/a.png\tx/new.webp\r\n\nin/b.png\n")
    assert cli.main(["noise", "--manifest", "list", "-o", "out", *NOISE]) == 0
    assert files("out") == ["b.png", "x/new.webp"]
    write_image("t\ta\nb.png", pixels_of())
    monkeypatch.setattr(sys, "stdin", Bytes(b"t\ta\nb.png\0in/*.png\0"))
    assert cli.main(["noise", "--manifest", "-", "-0", "-o", "two", *NOISE]) == 1
    assert files("two") == ["t\ta\nb.png"]
    assert "in/*.png: no such file" in capsys.readouterr().err
    for text in (b"a\tb\tc\n", b"\tb.png\n", b"a.png\t\n"):
        Path("list").write_bytes(text)
        assert cli.main(["noise", "--manifest", "list", *NOISE]) == 2
    assert "line 1 of the manifest" in capsys.readouterr().err
    assert cli.main(["noise", *NOISE]) == 2
    assert cli.main(["noise", "in", "-0", *NOISE]) == 2
    assert cli.main(["noise", "--manifest", "gone", *NOISE]) == 2


@pytest.mark.usefixtures("folder")
def test_a_manifest_of_another_encoding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("in/\u00e9.png", pixels_of())
    Path("list").write_text("in/\u00e9.png\r\nin/a.png\r\n", "utf-16")
    assert cli.main(["noise", "--manifest", "list", "-o", "out", *NOISE]) == 0
    assert files("out") == ["a.png", "\u00e9.png"]
    monkeypatch.setattr(os, "fsdecode", lambda name: name.decode("utf-8", "surrogatepass"))  # as on Windows
    Path("list").write_bytes(b"in/\xe9.png\n")
    for options in ([], ["-0"]):
        assert cli.main(["noise", "--manifest", "list", *options, *NOISE]) == 2
        assert "expected text in UTF-8" in capsys.readouterr().err


def test_pages_through_standard_input_stay_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile = pytest.importorskip("tifffile")
    scan, out = io.BytesIO(), Bytes()
    tifffile.imwrite(scan, np.zeros((2, 8, 8), np.uint8), photometric="minisblack")
    monkeypatch.setattr(sys, "stdin", Bytes(scan.getvalue()))
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["noise", "-", *NOISE]) == 0
    assert len(tifffile.TiffFile(io.BytesIO(out.data)).pages) == 2


@pytest.mark.usefixtures("folder")
def test_one_image_through_standard_input_and_output(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: list[str], data: bytes = b"") -> tuple[int, bytes]:
        out = Bytes()
        monkeypatch.setattr(sys, "stdin", Bytes(data))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            return cli.main(arguments), out.data

    assert cli.main(["denoise", "in/a.png", "-o", "a.webp", "-m", str(tiny_model), "-q"]) == 0
    code, data = run(
        ["denoise", "-", "-o", "-", "--format", "webp", "-m", str(tiny_model)], Path("in/a.png").read_bytes()
    )
    assert (code, data) == (0, Path("a.webp").read_bytes())
    code, data = run(["noise", "in/b.png", "-o", "-", *NOISE, "--report", "r.jsonl"])
    assert (code, data[:4]) == (0, b"\x89PNG")
    assert json.loads(Path("r.jsonl").read_text())["target"] == "-"
    assert cli.main(["noise", "in/b.png", "-o", "b.png", *NOISE, "-q"]) == 0
    assert Path("b.png").read_bytes() == data  # a known noise, by the name alone
    assert run(["noise", "-", "-o", "c.png", *NOISE], Path("in/b.png").read_bytes()) == (0, b"")
    assert run(["noise", "-", *NOISE], Path("in/b.png").read_bytes()) == (0, Path("c.png").read_bytes())
    assert capsys.readouterr().err == ""
    assert run(["noise", "-", "-o", "c.png", "--sigma", "3"], b"another") == (0, b"")
    assert capsys.readouterr().err.startswith("aeinfer: skipped: c.png is there already")
    assert run(["noise", "-", *NOISE], b"words") == (1, b"")
    assert capsys.readouterr().err.startswith("aeinfer: standard input: not an image but text")
    with Path("in/b.png").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert cli.main(["noise", "-", "-o", "in/../in/b.png", "--on-exist", "overwrite", *NOISE]) == 2
    assert "is the input itself" in capsys.readouterr().err
    assert run(["noise", "-", "-o", "new.png", "--report", "new.png", *NOISE]) == (2, b"")
    assert "would replace the report new.png" in capsys.readouterr().err
    assert not Path("new.png").exists()
    for wrong in (["-", "in"], ["-", "--json"], ["in", "-o", "-"], ["-", "-o", "out"], ["-", "--name", "{stem}.png"]):
        assert run(["noise", *wrong, *NOISE]) == (2, b"")


@pytest.mark.usefixtures("folder")
def test_json_is_json_in_every_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe of Windows has that of its language."""
    names = ["\U0001f600.png", "\u00e9\x7f\x9b.png"]
    for name in names:
        Path(name).touch()
    for encoding in ("cp1252", "ascii", "utf-8"):
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            assert cli.main(["noise", *names, "-o", "out", "--sigma", "3", "--json"]) == 1
        out.seek(0)
        assert {error["source"] for error in json.load(out)["errors"]} == set(names)


@pytest.mark.usefixtures("folder")
def test_names_that_are_not_utf8_are_kept_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/a.png").rename(Path("in", LATIN))
    Path("in", os.fsdecode(b"\xff.png")).touch()
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "3", "-v", "--report", "r.jsonl"]) == 1
    assert sorted(os.fsencode(path.name) for path in Path("out").iterdir()) == [b"b.png", os.fsencode(LATIN)]
    error = capsys.readouterr().err
    assert r"in/\udcff.png: the file is empty" in error
    assert not set("\x1b\x9b") & set(error)  # what a terminal would obey
    sources = {json.loads(line)["source"] for line in Path("r.jsonl").read_text("utf-8").splitlines()}
    assert str(Path("in", LATIN)) in sources
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["errors"][0]["source"] == os.fsdecode(b"in/\xff.png")
    assert cli.main(["noise", "in", "-o", "out", "--sigma", "3", "--dry-run"]) == 0
    assert r"caf\udce9" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_place_that_cannot_be_written_fails_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert cli.main(["noise", "in", "-o", "file/out", *NOISE]) == 1
    assert capsys.readouterr().err.count("file is not a folder") == 2
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cli.main(["noise", "in", "-o", "out", *NOISE]) == 1
    assert capsys.readouterr().err.count("may not be written to") == 2
    assert not Path("out").exists()


@pytest.mark.usefixtures("folder")
def test_a_watch_does_not_take_its_own_results(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[list[str]] = []

    def sleep(_: float) -> None:
        looks.append(files("in"))
        if len(looks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep))
    for _ in range(2):  # nor those of the watch before
        looks.clear()
        assert cli.main(["denoise", "in/*.png", "-m", str(tiny_model), "--watch", "1", "-q"]) == 130
        assert looks[-1] == ["a-denoised.png", "a.png", "b-denoised.png", "b.png"]


@pytest.mark.usefixtures("folder")
def test_a_watch_takes_files_that_have_stopped_growing_once(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path("in/b.png").read_bytes()
    looks: list[list[str]] = []

    def grow(size: int) -> Callable[[], object]:
        return lambda: Path("in/c.png").write_bytes(whole[:size])

    def stop() -> None:
        raise KeyboardInterrupt

    def collide() -> None:
        write_image("in/a.webp", pixels_of())

    steps: list[Callable[[], object]] = [lambda: None, grow(0), grow(0), grow(60), grow(len(whole))]
    steps += [lambda: Path("out/b.png").unlink(), collide, Path("in/a.webp").unlink, lambda: None, stop]

    def sleep(_: float) -> None:
        looks.append(files("out") if Path("out").exists() else [])
        steps[len(looks) - 1]()

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep))
    command = ["denoise", "in", "-o", "out", "-m", str(tiny_model), "--format", "png", "--watch", "1"]
    assert cli.main([*command, "--report", "r.jsonl"]) == 130
    both, three = ["a.png", "b.png"], ["a.png", "b.png", "c.png"]
    assert looks[:6] == [[], both, both, both, both, both]
    assert looks[-1] == ["a.png", "c.png"]  # what was taken away is not done again
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [Path(line["target"]).name for line in lines] == three
    output = capsys.readouterr()
    assert output.err.count("all would become") == 1
    assert output.out.startswith("3 written, 0 skipped, 0 failed")
    for wrong in (["--shard", "1/2"], ["--on-exist", "error"], ["--name", "{index}{suffix}"], ["--dry-run"]):
        assert cli.main([*command, *wrong]) == 2
    assert cli.main(["noise", "in", "--sigma", "1", "--watch", "1"]) == 2


@pytest.mark.usefixtures("folder")
def test_a_watch_says_once_what_is_gone_since_it_was_planned(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = itertools.count(1)

    def sleep(_: float) -> None:
        if next(looks) == 3:
            raise KeyboardInterrupt

    def load(model: str, **options: object) -> AEInfer:
        Path("in/b.png").unlink()
        return original(model, **options)

    original = AEInfer.load
    monkeypatch.setattr(AEInfer, "load", load)
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep))
    arguments = ["in/a.png", "in/b.png", "gone.png", "-o", "out", "-m", str(tiny_model), "--report", "r.jsonl"]
    assert cli.main(["denoise", *arguments, "--watch", "1"]) == 130
    gone = ["gone.png", "in/b.png"]
    said = [f"aeinfer: {name}: no such file or folder" for name in gone]
    assert capsys.readouterr().err.splitlines() == [*said, "aeinfer: interrupted"]
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [line["error"] for line in lines if line["source"] in gone] == ["no such file or folder"] * 2
