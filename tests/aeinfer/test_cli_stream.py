"""`aeinfer stream` as users type it: pipes with the real programs, a TCP stream, and all that can go wrong."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

from aeinfer import AEInfer
from aeinfer.capture import Capture
from aeinfer.cli import main
from aeinfer.cli.interrupt import SIGNALS
from aeinfer.cli.sink import open_sink
from aeinfer.cli.source import Frame, Source
from aeinfer.errors import ImageReadError
from aeinfer.rawvideo import Layout, read_frames, read_header, write_header
from aeinfer.temporal import TemporalFilter
from aeinfer.yuv import to_bgr
from tests.documented import ROOT, documented, need, shell
from tests.pictures import pixels_of

cv2 = pytest.importorskip("cv2", reason="colours are converted by OpenCV")

COMMAND = [sys.executable, "-m", "aeinfer", "stream"]
TIMEOUT = 60  # seconds that a program may take to start or to end on a busy machine


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of 320x240, by ffmpeg."""
    need("ffmpeg", "ffprobe")
    path = tmp_path_factory.mktemp("clip") / "noisy.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=1"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-vf", "noise=alls=20:allf=t", path], check=True)
    return path


def frames_of(path: Path) -> int:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    return int(subprocess.run([*command, path], check=True, capture_output=True).stdout)


def stream(monkeypatch: pytest.MonkeyPatch, given: Path, *arguments: str | Path) -> int:
    """Run the command in this process with a file as its standard input."""
    with given.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        return main(["stream", "-", *map(str, arguments)])


@pytest.mark.parametrize(
    ("name", "programs", "result"),
    [
        ("ffmpeg y4m", ("ffmpeg",), "clean.mp4"),
        ("ffmpeg raw", ("ffmpeg",), "clean.mp4"),
        ("gstreamer pipe", ("ffmpeg", "gst-launch-1.0"), "clean.avi"),
        ("tcp", ("ffmpeg",), "clean.mkv"),
    ],
)
def test_the_pages_lines_run(name: str, programs: tuple[str, ...], result: str, clip: Path, tmp_path: Path) -> None:
    need(*programs)
    shutil.copy(clip, tmp_path)
    lines = documented("cameras.md", name)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = shell(lines.replace("5600", str(port)), tmp_path)
    assert done.returncode == 0, done.stderr
    count = 120 if name == "tcp" else 30
    assert f"{count} frames of {count}, 0 dropped" in done.stderr
    assert frames_of(tmp_path / result) == count


def test_the_pages_python_runs(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path)
    (tmp_path / "page.py").write_text(documented("cameras.md", "python"))
    done = shell("python page.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("30 30 0 ")


def test_the_ffmpeg_example_runs(clip: Path, tmp_path: Path) -> None:
    example = ROOT / "examples/ffmpeg_pipe.py"
    if not example.exists():
        pytest.skip("the examples are not here")
    done = shell(f'python "{example}" "{clip}" clean.mp4', tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("30 frames, ")
    assert frames_of(tmp_path / "clean.mp4") == 30


def test_the_ffmpeg_example_takes_frames_that_ffmpeg_turns(clip: Path, tmp_path: Path) -> None:
    example = ROOT / "examples/ffmpeg_pipe.py"
    if not example.exists():
        pytest.skip("the examples are not here")
    turned = f'ffmpeg -v error -i "{clip}" -frames:v 2 -c copy -metadata:s:v rotate=90 turned.mp4'
    done = shell(f'{turned} && python "{example}" turned.mp4 clean.mp4', tmp_path)
    assert done.returncode == 0, done.stderr
    sizes = []
    for name in ("turned.mp4", "clean.mp4"):
        good, frame = cv2.VideoCapture(str(tmp_path / name)).read()  # which turns them, too
        assert good
        sizes.append(frame.shape)
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "gray", "yuv420p", "nv12"])
def test_raw_frames_are_those_of_the_library(
    pixel_format: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(30, 18, pixel_format, 4)
    frames = pixels_of((3, layout.size))
    (tmp_path / "in").write_bytes(frames.tobytes())
    options = ["--size", "30x18", "--pix-fmt", pixel_format, "--align", "4", "-m", tiny_model, "-o", tmp_path / "out"]
    luma = ["--luma"] if layout.is_yuv else []
    assert stream(monkeypatch, tmp_path / "in", *options, *luma) == 0
    with AEInfer.load(tiny_model, color="rgb" if pixel_format == "rgb24" else "bgr") as ae:
        for frame in frames:  # in place: what is between the rows, and chroma, stays
            ae.denoise(pixels := layout.pixels(frame), out=pixels)
    assert (tmp_path / "out").read_bytes() == frames.tobytes()


@pytest.mark.parametrize(
    ("options", "model"),
    [(["nv12"], "photo-fast"), (["nv12", "--luma"], "photo-fast-grey"), (["gray"], "photo-fast-grey")],
)
def test_one_channel_has_a_model_of_its_own(
    options: list[str],
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").write_bytes(pixels_of((Layout(32, 16, options[0]).size,)).tobytes())
    assert stream(monkeypatch, tmp_path / "in", "--size", "32x16", "-v", "--pix-fmt", *options) == 0
    assert f"model {model} fp32 on" in capsys.readouterr().err


@pytest.mark.parametrize("pixel_format", ["rgb24", "nv12"])
def test_averaged_over_time_where_asked(
    pixel_format: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, steady = Layout(30, 18, pixel_format), TemporalFilter()
    frames = pixels_of((1, layout.size)) // 2 + pixels_of((6, layout.size)) // 16
    (tmp_path / "in").write_bytes(frames.tobytes())
    options = ["--size", "30x18", "--pix-fmt", pixel_format, "-m", tiny_model, "-o", tmp_path / "out", "--temporal"]
    assert stream(monkeypatch, tmp_path / "in", *options, *(["--luma"] if layout.is_yuv else [])) == 0
    plain = frames.copy()
    with AEInfer.load(tiny_model) as ae:
        for frame, alone in zip(frames, plain, strict=True):
            ae.denoise(steady(pixels := layout.pixels(frame)), out=pixels)
            ae.denoise(pixels := layout.pixels(alone), out=pixels)
    assert (tmp_path / "out").read_bytes() == frames.tobytes() != plain.tobytes()


def test_colours_of_yuv_are_denoised_as_bgr(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(30, 18, "yuv420p")
    frame = pixels_of((layout.size,))
    header = write_header(30, 18, 25)
    (tmp_path / "in.y4m").write_bytes(header + b"FRAME Ix\n" + frame.tobytes())
    assert stream(monkeypatch, tmp_path / "in.y4m", "-m", tiny_model, "-o", tmp_path / "out.y4m") == 0
    with (tmp_path / "out.y4m").open("rb") as file:
        assert file.readline() == header
        [(line, result)] = read_frames(file, layout, y4m=True)
    assert line == b"FRAME Ix\n"
    with AEInfer.load(tiny_model, color="bgr") as ae:
        expected = ae.denoise(to_bgr(frame, layout))
    assert np.abs(cv2.cvtColor(expected, cv2.COLOR_BGR2YUV_I420)[:18].astype(int) - layout.pixels(result)).max() <= 1


def test_a_file_becomes_y4m_or_raw(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out.y4m"
    options = [str(clip), "-m", str(tiny_model), "-s", "0", "--frames", "4", "-q"]
    assert main(["stream", *options, "-o", str(out)]) == 0
    with out.open("rb") as file:
        layout = read_header(file.readline())
        assert (layout.width, layout.height) == (320, 240)
        frames = [to_bgr(buffer, layout) for _, buffer in read_frames(file, layout, y4m=True)]
    assert len(frames) == 4
    good, first = cv2.VideoCapture(str(clip)).read()
    assert good
    assert np.abs(first.astype(int) - frames[0]).mean() < 12  # chroma lost half of its resolution a second time
    for pixel_format, order in (("bgr24", 1), ("rgb24", -1)):
        assert main(["stream", *options, "--pix-fmt", pixel_format, "-o", str(tmp_path / pixel_format)]) == 0
        raw = np.fromfile(tmp_path / pixel_format, np.uint8).reshape(4, 240, 320, 3)
        np.testing.assert_array_equal(raw[0, ..., ::order], first)


def test_the_shape_of_pixels_stays(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    for name, shape in (("square.mkv", "1/1"), ("wide.mkv", "16/11")):
        flags = ["-vf", f"scale=64:48,setsar={shape}", "-frames:v", "1", "-c:v", "ffv1"]
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *flags, tmp_path / name], check=True)
        out = tmp_path / f"{name}.y4m"
        assert main(["stream", str(tmp_path / name), "-m", str(tiny_model), "-o", str(out), "-q"]) == 0
        assert f" A{shape.replace('/', ':')} ".encode() in out.read_bytes()[:80]


def test_counts_as_json(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_bytes(bytes(5 * 16))
    options = ["--size", "4x4", "--pix-fmt", "gray", "-m", tiny_model, "--json"]
    assert stream(monkeypatch, tmp_path / "in", *options) == 0
    out, err = capsys.readouterr()
    assert '"in": 5, "out": 5, "dropped": 0, "fps": ' in out
    assert err == ""
    assert stream(monkeypatch, tmp_path / "in", *options, "--frames", "3") == 0
    assert '"in": 3, "out": 3, "dropped": 0, "fps": ' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "options", "code", "complaint"),
    [
        (b"", [], 5, "no frame came"),
        (b"hello\n", [], 1, "expected a y4m stream"),
        (bytes(40), ["--size", "4x4", "--pix-fmt", "gray"], 1, "inside of frame 3: 8 of its 16 bytes"),
        (bytes(40), ["--size", "4x4"], 2, "need both --size WxH and --pix-fmt"),
        (bytes(40), ["--size", "4by4", "--pix-fmt", "gray"], 2, "not WIDTHxHEIGHT"),
        (bytes(40), ["--size", "4x4", "--pix-fmt", "gray", "--luma"], 2, "--luma is for yuv420p and nv12"),
        (bytes(40), ["--size", "0x4", "--pix-fmt", "gray"], 2, "sides from 1 to"),
        (b"YUV4MPEG2 W4 H2\n", ["--align", "4"], 2, "--align: for raw frames only"),
        (b"YUV4MPEG2 W4 H2\n", ["--full-range"], 2, "--full-range: for raw frames only"),
    ],
)
def test_what_is_wrong_with_a_pipe_is_said(
    given: bytes,
    options: list[str],
    code: int,
    complaint: str,
    tmp_path: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").write_bytes(given)
    out = tmp_path / "out"
    assert stream(monkeypatch, tmp_path / "in", *options, "-m", tiny_model, "-o", out) == code
    assert complaint in capsys.readouterr().err
    assert not out.exists() or out.stat().st_size % 16 == 0, "whole frames alone are kept"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["no-such.mp4"], 5, "nothing found: no-such.mp4 does not exist"),
        (["no-such-%03d.png"], 1, "there is no such file"),
        ([__file__], 1, "expected a video file"),
        (["."], 1, "expected a video file"),
        (["987"], 1, "expected a camera"),
        (["/dev/null"], 1, "expected a camera"),
        (["tcp://127.0.0.1:9", "--timeout", "1"], 1, "expected a stream there within 1 s"),
        (["clip", "--luma"], 2, "--luma: for frames on standard input only"),
        (["clip", "--full-range"], 2, "--full-range: for frames on standard input only"),
        (["clip", "--frames", "9" * 20], 2, "is not a whole number from 1 to"),
        (["tcp://127.0.0.1:9", "--timeout", "3e6"], 2, "is not a number from 0.001 to 2e+06"),
        (["9999999999"], 2, "a camera's number has at most 9 digits"),
        (["clip", "--pix-fmt", "gray"], 2, "frames of a capture have colours"),
        (["clip", "--policy", "all", "--max-latency", "5"], 2, "ask for policy='latest'"),
        (["clip", "-m", "no-such-model"], 4, "no packaged model"),
    ],
)
def test_what_is_wrong_with_a_source_is_said(
    arguments: list[str], code: int, complaint: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", *(str(clip) if word == "clip" else word for word in arguments)]) == code
    assert complaint in capsys.readouterr().err


def test_a_beginning_that_stands_still_is_warned_of(
    clip: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As OpenCV 5.0 gives interlaced video."""
    still = tmp_path / "still.mkv"
    source = ["-f", "lavfi", "-i", "color=gray:size=64x48", "-frames:v", "6"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-c:v", "ffv1", still], check=True)
    for name, warned in ((clip, False), (still, True)):
        assert main(["stream", str(name), "-m", str(tiny_model), "--frames", "6", "-o", str(tmp_path / "out")]) == 0
        assert ("frames that are the same to the bit" in capsys.readouterr().err) == warned
        (tmp_path / "out").unlink()


def test_a_camera_by_its_device_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = types.SimpleNamespace(isOpened=lambda: True, get=lambda _: 0.0)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: opened)
    assert Capture("/dev/null").live
    assert not Capture(__file__).live


def test_a_file_that_is_there_is_left_alone(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_bytes(bytes(16))
    (tmp_path / "out").write_bytes(b"mine")
    options = ["--size", "4x4", "--pix-fmt", "gray", "-m", tiny_model, "-o", tmp_path / "out"]
    assert stream(monkeypatch, tmp_path / "in", *options) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "out").read_bytes() == b"mine"
    assert stream(monkeypatch, tmp_path / "in", *options, "--on-exist", "overwrite") == 0
    assert len((tmp_path / "out").read_bytes()) == 16


def test_a_stream_without_a_frame_leaves_what_was_there(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").touch()
    (tmp_path / "old").write_bytes(b"mine")
    options = ["--size", "4x4", "--pix-fmt", "gray", "-m", tiny_model]
    assert stream(monkeypatch, tmp_path / "in", *options, "-o", tmp_path / "old", "--on-exist", "overwrite") == 5
    assert (tmp_path / "old").read_bytes() == b"mine"
    assert stream(monkeypatch, tmp_path / "in", *options, "-o", tmp_path / "new") == 5
    assert not (tmp_path / "new").exists()
    (tmp_path / "in").write_bytes(bytes(16))
    (tmp_path / "empty").touch()  # as a power cut leaves it
    for name in ("empty", "folder/within/new"):
        assert stream(monkeypatch, tmp_path / "in", *options, "-o", tmp_path / name) == 0
        assert len((tmp_path / name).read_bytes()) == 16
    capsys.readouterr()
    assert stream(monkeypatch, tmp_path / "in", *options, "-o", tmp_path / "folder") == 2
    assert "is a folder" in capsys.readouterr().err
    assert stream(monkeypatch, tmp_path / "in", *options, "-o", tmp_path / "in/below") == 1
    assert "below: cannot be written: " in capsys.readouterr().err


def test_the_source_is_never_the_sink(
    clip: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, video = tmp_path / "raw", tmp_path / "clip.mp4"
    raw.write_bytes(bytes(16))
    shutil.copy(clip, video)
    (tmp_path / "link").symlink_to(raw)
    options = ["-m", str(tiny_model), "--on-exist", "overwrite", "-o"]
    assert stream(monkeypatch, raw, "--size", "4x4", "--pix-fmt", "gray", *options, tmp_path / "link") == 2
    assert main(["stream", str(video), *options, str(video)]) == 2
    assert capsys.readouterr().err.count("is the input itself") == 2
    assert (raw.read_bytes(), video.read_bytes()) == (bytes(16), clip.read_bytes())


def start(tiny_model: Path, *arguments: str) -> subprocess.Popen[bytes]:
    raw = ["-", "--size", "16x16", "--pix-fmt", "gray", "-m", str(tiny_model), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *raw], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)


def test_a_source_that_stalls(tiny_model: Path) -> None:
    with start(tiny_model, "-o", "-", "--timeout", "0.5") as process:
        process.stdin.write(bytes(256))
        assert len(process.stdout.read()) == 256, "what came before the stall is delivered"
        assert process.wait(TIMEOUT) == 1
        assert b"stalled: no frame came for 0.5 s" in process.stderr.read()


def test_a_source_that_stalls_before_the_line_that_tells_its_layout() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, "-", "--timeout", "0.5"], stdin=pipe, stderr=pipe) as process:
        assert process.wait(TIMEOUT) == 1
        assert b"stalled: no frame came for 0.5 s" in process.stderr.read()


def test_a_sink_that_closes(tiny_model: Path) -> None:
    with start(tiny_model, "-o", "-") as process:
        process.stdin.write(bytes(256))
        assert len(process.stdout.read(256)) == 256
        process.stdout.close()
        try:
            for _ in range(1000):
                process.stdin.write(bytes(256))
        except BrokenPipeError:
            pass
        assert process.wait(TIMEOUT) == 1
        assert b"standard output was closed by whoever read from it" in process.stderr.read()


@pytest.mark.parametrize(("number", "code"), [(number, 128 + number) for number in SIGNALS])
def test_signals_end_a_stream_with_whole_frames(
    number: signal.Signals, code: int, tiny_model: Path, tmp_path: Path
) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("whoever runs the tests ignores this signal, and so does the command")
    out = tmp_path / "out"
    with start(tiny_model, "-o", str(out)) as process:
        process.stdin.write(bytes(3 * 256 + 100))
        deadline = time.monotonic() + TIMEOUT
        while not (out.exists() and out.stat().st_size == 3 * 256):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(TIMEOUT) == code
        assert b"3 frames of 3, 0 dropped" in process.stdout.read()
    assert out.stat().st_size == 3 * 256


def test_a_lost_connection_is_opened_again(clip: Path, tmp_path: Path, tiny_model: Path) -> None:
    """A server that sends 30 frames, breaks off, and sends them again to whoever comes back."""
    need("ffmpeg")
    stream = tmp_path / "clip.ts"
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", stream], check=True)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                connection.sendall(stream.read_bytes())
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    source = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    options = [source, "--policy", "all", "--reconnect", "2", "-m", str(tiny_model)]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    thread.join(TIMEOUT)
    assert "is there again" in done.stderr
    assert "60 frames of 60" in done.stdout
    assert done.returncode == 1
    assert "did not open again within 2 s" in done.stderr


def test_frames_that_change_their_size(tmp_path: Path) -> None:
    """As those of a camera do whose resolution is switched."""
    source = Source(iter(()), "bgr", fps=25)  # of pixels whose shape nothing tells
    with open_sink(str(tmp_path / "out.y4m"), source, None, overwrite=False) as write:
        write(Frame(pixels_of((12, 16, 3))))
        with pytest.raises(ImageReadError, match="became 8x12 where they were 16x12"):
            write(Frame(pixels_of((12, 8, 3))))
    with (tmp_path / "out.y4m").open("rb") as file:
        header = file.readline()
        assert b" A0:0 " in header
        assert len(list(read_frames(file, read_header(header), y4m=True))) == 1
