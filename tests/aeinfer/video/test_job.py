"""The command as a job, and the room in Python: refusals, signals, a full disk, progress, the page's lines."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aeinfer import cli
from tests.documented import documented
from tests.videos import COUNT, HEIGHT, WIDTH, add_sound, av, frames_of, make, packets_of, times_of, write_sound

# isort: split
from aeinfer.video import Encoding, VideoReader, VideoWriter


def test_what_a_container_holds_for_nobody_to_read_is_refused(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mkv")
    run("a.mkv", "b.ts", "--codec", "ffv1", code=2)
    assert "mpegts does not hold what ffv1 makes" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv"]


def test_what_makes_no_video_is_refused_and_leaves_nothing(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        write_sound(container, add_sound(container))
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        voice, cover = add_sound(container), container.add_stream("mjpeg", 25, width=WIDTH, height=HEIGHT)
        cover.pix_fmt, cover.disposition = "yuvj420p", av.stream.Disposition.attached_pic
        container.mux([*cover.encode(next(frames_of("yuvj420p"))), *cover.encode(None)])
        write_sound(container, voice)
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    for source, target, options, code, words in (
        ("none.mp4", "b.mp4", [], 5, "nothing found"),
        ("folder", "b.mp4", [], 2, "is a folder"),
        ("a.mp4", "folder", [], 2, "is a folder"),
        ("a.mp4", "a.mp4", ["--on-exist", "overwrite"], 2, "is the input itself"),
        ("a.mp4", "sound.mkv", [], 2, "is there already; --on-exist overwrite"),
        ("text.mp4", "b.mp4", [], 1, "cannot be read as a video: Invalid data"),
        ("sound.mkv", "b.mp4", [], 1, "has no video stream"),
        ("song.mp4", "b.mp4", [], 1, "has no video stream"),
        ("a.mp4", "b.xyz", [], 2, "no video container has this suffix"),
        ("a.mp4", "b.avi", [], 2, "avi does not hold when each frame is"),
        ("a.mp4", "b.mp4", ["--codec", "none"], 2, "no encoder 'none'"),
        ("a.mp4", "b.mp4", ["--codec", "aac"], 2, "does not encode video"),
        ("a.mp4", "b.webm", ["--codec", "libx264"], 2, "webm does not hold what libx264 makes"),
        ("a.mp4", "b.webm", ["--preset", "fast"], 2, "libvpx-vp9 has no --preset"),
        ("a.mp4", "b.mp4", ["--preset", "no such"], 2, "libx264 does not start"),
        ("a.mp4", "b.mp4", ["--pix-fmt", "rgb24"], 2, "libx264 does not take rgb24; it takes yuv420p,"),
        ("a.mp4", "b.mp4", ["--codec", "prores_ks", "--luma"], 2, "prores_ks does not take yuv420p"),
        ("a.mp4", "b.mp4", ["--pix-fmt", "yuv444p", "--luma"], 2, "--luma converts nothing and keeps yuv420p"),
        ("a.mp4", "b.mp4", ["-m", "none"], 4, "no packaged model"),
    ):
        run(source, target, *options, code=code)
        said = capsys.readouterr()
        assert words in said.err
        assert "Traceback" not in said.err
        assert sorted(tmp_path.iterdir()) == before
    make(tmp_path / "rgb.mkv", "ffv1", "bgr0")
    run("rgb.mkv", "b.mkv", "--luma", "--codec", "ffv1", code=2)
    assert "--luma needs planar YUV, NV12 or grey frames, but these are bgr0" in capsys.readouterr().err


def test_where_the_result_exists(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"mine")
    (tmp_path / "empty.mp4").touch()  # as a power cut leaves it
    run("a.mp4", "b.mp4", "--on-exist", "skip")
    assert capsys.readouterr().out == f"skipped: {tmp_path / 'b.mp4'} is there already\n"
    assert (tmp_path / "b.mp4").read_bytes() == b"mine"
    run("a.mp4", "b.mp4", "--on-exist", "overwrite", "-q")
    run("a.mp4", "empty.mp4", "-q")
    assert capsys.readouterr() == ("", "")
    assert len(times_of(tmp_path / "b.mp4")) == len(times_of(tmp_path / "empty.mp4")) == COUNT
    assert len(list(tmp_path.iterdir())) == 3


def test_without_pyav_the_extra_is_named(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").touch()
    monkeypatch.setitem(sys.modules, "av", None)
    for name in [name for name in sys.modules if name.startswith("aeinfer.video")]:
        monkeypatch.delitem(sys.modules, name)
    run("a.mp4", "b.mp4", code=3)
    assert 'pip install "aeinfer[video]"' in capsys.readouterr().err


def command(*arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "aeinfer", "video", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals on Windows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_job_that_is_stopped_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    one = next(frames_of("yuv420p", 1, 320, 240))
    make(tmp_path / "a.mkv", "ffv1", frames=[one] * 300)
    job = command(tmp_path / "a.mkv", tmp_path / "b.mkv", "-m", "photo", "--codec", "ffv1")
    limit = time.monotonic() + 60
    while not any(path.suffix == ".part" and path.stat().st_size > 1000 for path in tmp_path.iterdir()):
        assert time.monotonic() < limit
        assert job.poll() is None
        time.sleep(0.02)
    job.send_signal(number)
    _, err = job.communicate(timeout=60)
    assert (job.returncode, err) == (code, "aeinfer: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("resource")
    make(tmp_path / "a.mkv", "ffv1")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from aeinfer import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    words = ["video", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "-m", str(tiny_model), "--codec", "ffv1"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "b.mkv: cannot be written: File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_progress_counts_frames_and_says_what_is_left(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("aeinfer.cli.console.Line.show", lambda _, text: shown.append(text))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    make(tmp_path / "a.mkv")  # says how long it is, not how many frames it has
    run("a.mkv", "b.mkv")
    assert shown[0].startswith(f"0/{COUNT}  0%")
    assert shown[6].startswith(f"6/{COUNT}  50%  ")
    assert "frames/s" in shown[6]
    assert shown[6].endswith(" left")


def test_the_pages_python_runs(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("noisy.mkv"), sound=True)
    exec(documented("video.md", "python").replace('"photo-fast"', repr(str(tiny_model))), {})
    assert times_of(Path("noisy.mkv")) == times_of(Path("clean.mkv"))
    assert packets_of(Path("noisy.mkv"), "audio") == packets_of(Path("clean.mkv"), "audio")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists the files that are open")
def test_nothing_reads_the_new_file_any_more_when_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "noisy.mkv")
    opened, replace = [], Path.replace

    def count(part: Path, target: Path) -> Path:
        opened.append(sum(file.resolve() == part for file in Path("/proc/self/fd").iterdir()))
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", count)
    reader = VideoReader(tmp_path / "noisy.mkv")
    with VideoWriter.open(tmp_path / "clean.mkv", reader) as writer:
        for picture in writer.pictures(reader):
            writer.write(picture)
    assert opened == [1]  # which holds the lock


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    make(tmp_path / "a.mkv")
    reader = VideoReader(tmp_path / "a.mkv")

    def fail() -> None:
        with VideoWriter.open(tmp_path / "b.mkv", reader, Encoding(crf=30)) as writer:
            writer.write(next(writer.pictures(reader)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize("name", ["command", "luma", "temporal", "archive"])
def test_documented_commands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("noisy.mp4"), sound=True)
    for line in documented("video.md", name).splitlines():
        words = line.partition("#")[0].split()
        assert words[:2] == ["aeinfer", "video"]
        assert cli.main(words[1:]) == 0
        assert times_of(Path(words[3]))
