"""Reports: whole lines only, added to those that are there, and every name comes back as it was."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from aeinfer.errors import InputError
from aeinfer.report import Entry, Report


def test_report_is_one_json_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    entry = Entry("ä.png", "b.png", "failed", None, "damaged", "CPUExecutionProvider", "12ab")
    with Report(path) as report:
        report.write(entry)
        first = json.loads(path.read_text("utf-8"))  # on the disk already
        report.write(Entry("c.png", "d.png", "written", 2.5))
    assert first == {
        "source": "ä.png",
        "target": "b.png",
        "status": "failed",
        "milliseconds": None,
        "error": "damaged",
        "provider": "CPUExecutionProvider",
        "model": "12ab",
        "not_carried": [],
    }
    assert len(path.read_text("utf-8").splitlines()) == 2
    with pytest.raises(InputError, match="report"):
        Report(tmp_path / "none" / "report.jsonl")


def test_lines_are_added_and_a_torn_one_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    whole = [Entry(f"{number}.png", "x" * number, "written") for number in (1, 2, 70_000)]
    with Report(path) as report, Report(path) as other:
        report.write(whole[0])
        with path.open("ab") as torn:
            torn.write(b'{"source": "' + b"x" * 70_000)
        other.write(whole[1])
    with path.open("ab") as torn:
        torn.write(b"{")
    with Report(path) as report:
        report.write(whole[2])
    assert [json.loads(line)["source"] for line in path.read_text().splitlines()] == ["1.png", "2.png", "70000.png"]


def test_a_line_that_does_not_fit_leaves_no_part_and_says_why(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no limits")
    path = tmp_path / "report.jsonl"
    with Report(path) as report:
        report.write(Entry("a.png", "b.png", "written"))
        whole = path.read_bytes()
        usual, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
        try:
            with pytest.raises(OSError, match=r"report\.jsonl cannot be written: File too large"):
                report.write(Entry("c.png", "d.png", "written"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (usual, hard))
    assert path.read_bytes() == whole


def test_a_name_that_is_not_utf8_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with Report(path) as report:
        report.write(Entry(os.fsdecode(b"caf\xe9.png"), "b.png", "written"))
    assert os.fsencode(json.loads(path.read_text("utf-8"))["source"]) == b"caf\xe9.png"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_gets_whole_lines_though_it_takes_a_part_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with Report(path) as report:
        file = report._file
        report._file = SimpleNamespace(seekable=lambda: False, write=lambda data: file.write(data[:10]))
        report.write(Entry("a.png", "b.png", "written"))
        report._file = file
    with os.fdopen(reader, "rb") as pipe:
        assert json.loads(pipe.read())["target"] == "b.png"


@pytest.mark.parametrize("content", [b"\x89PNG", b'{"name": "settings", "value": 1}', b'{\n"source": 1}\n'])
def test_another_file_is_never_taken_for_a_report(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no report"):
        Report(path)
    assert path.read_bytes() == content
