"""The element in pipelines of gst-launch-1.0 and of this process, and frames of one's own appsink and appsrc."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer, BackendMissingError, InputError
from aeinfer.gstreamer import PLUGIN_PATH, Frame, buffer_of, frame_of, load_gstreamer
from aeinfer.planes import FORMATS, view
from aeinfer.temporal import TemporalFilter
from tests.documented import ROOT, documented

SYSTEM = "/usr/lib/python3/dist-packages"  # where Debian has gi
SYSTEM_PYTHON = "/usr/bin/python3"
PACKAGES = os.pathsep.join([str(Path(np.__file__).parents[1]), str(Path(PLUGIN_PATH).parents[1])])
TIMEOUT = 60
WIDTH, HEIGHT = 37, 22

pytestmark = [
    pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="there is no gst-launch-1.0 here"),
    pytest.mark.filterwarnings("ignore:DynamicImporter:ImportWarning"),  # gi's own
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a user sets for GStreamer, and a registry of plugins of our own."""
    registry = tmp_path_factory.mktemp("gstreamer") / "registry.bin"
    ours = {"GST_PLUGIN_PATH": PLUGIN_PATH, "PYTHONPATH": PACKAGES, "GST_REGISTRY": str(registry)}
    # GStreamer's Python would take an active environment, which need not know the system's gi, for its own
    path = [folder for folder in os.get_exec_path() if not Path(folder).is_relative_to(sys.prefix)]
    wanted = {**os.environ, **ours, "PATH": os.pathsep.join(path)}
    if subprocess.run(["gst-inspect-1.0", "python"], env=wanted, capture_output=True, timeout=TIMEOUT).returncode:
        pytest.skip("GStreamer has no loader of elements in Python: apt install gstreamer1.0-python3-plugin-loader")
    program = "import sys, gi, numpy; print(*sys.version_info[:2])"
    found = subprocess.run([SYSTEM_PYTHON, "-c", program], env=wanted, capture_output=True, text=True, timeout=TIMEOUT)
    if found.returncode:
        pytest.skip(f"the system's Python has no gi, or cannot use the packages of this one: {found.stderr[-200:]}")
    return wanted


def launch(line: str, environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    command = ["gst-launch-1.0", *line.split()]
    return subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def gst(environment: dict[str, str]) -> Iterator[Any]:
    """The module Gst, initialized, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, SYSTEM])
        for name in ("GST_PLUGIN_PATH", "GST_REGISTRY"):
            patch.setenv(name, environment[name])
        with warnings.catch_warnings(action="ignore", category=ImportWarning):  # gi's own
            try:
                module, _ = load_gstreamer()
            except BackendMissingError as error:
                pytest.skip(str(error))
            module.init(None)
        yield module


def run(gst: Any, line: str, *sinks: str) -> tuple[list[list[Any]], str | None]:
    """Play a pipeline to its end; return the samples of each of these appsinks, and the error on the bus."""
    pipeline = gst.parse_launch(line)
    pipeline.set_state(gst.State.PLAYING)
    try:
        samples = [list(pulled(gst, pipeline.get_by_name(name))) for name in sinks]
        return samples, end_of(gst, pipeline)
    finally:
        pipeline.set_state(gst.State.NULL)


def pulled(gst: Any, sink: Any) -> Iterator[Any]:
    while (sample := sink.emit("try-pull-sample", TIMEOUT * gst.SECOND)) is not None:
        yield sample


def end_of(gst: Any, pipeline: Any) -> str | None:
    """Wait for the end of a pipeline; return the error that it ended with."""
    wanted = gst.MessageType.EOS | gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(TIMEOUT * gst.SECOND, wanted)
    assert message is not None, "the pipeline hangs"
    return message.parse_error()[0].message if message.type == gst.MessageType.ERROR else None


def bytes_of(sample: Any) -> bytes:
    buffer = sample.get_buffer()
    return buffer.extract_dup(0, buffer.get_size())


def denoised(ae: AEInfer, content: bytes, pixel_format: str, stride: int, offset: int = 0) -> bytes:
    """The same bytes, with denoised pixels."""
    expected = bytearray(content)
    pixels = view(expected, WIDTH, HEIGHT, pixel_format, stride, offset)
    pixels[...] = ae(pixels.copy())
    return bytes(expected)


# gst-launch-1.0


def test_thirty_frames_come_out_in_order(
    ae: AEInfer, tiny_model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The noisy ones go to a file of their own meanwhile: what others hold too is not written over."""
    noisy, clean = tmp_path / "noisy", tmp_path / "clean"
    done = launch(
        f"-q videotestsrc num-buffers=30 pattern=ball animation-mode=frames "
        f"! video/x-raw,format=BGR,width={WIDTH},height={HEIGHT} ! tee name=two "
        f"two. ! queue ! filesink location={noisy} "
        f"two. ! queue ! aeinferdenoise model={tiny_model} ! filesink location={clean}",
        environment,
    )
    assert done.returncode == 0, done.stderr
    rows = [np.fromfile(path, np.uint8).reshape(30, HEIGHT, 112) for path in (noisy, clean)]  # 111 bytes and one
    before, after = (each[:, :, :111].reshape(30, HEIGHT, WIDTH, 3) for each in rows)
    assert len({frame.tobytes() for frame in before}) == 30
    expected = np.stack([ae(np.ascontiguousarray(frame[:, :, ::-1]))[:, :, ::-1] for frame in before])
    np.testing.assert_array_equal(after, expected)


def complaint_of(done: subprocess.CompletedProcess[str]) -> str:
    """The line of a gst-launch-1.0 that could not start; there is but one."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("ERROR: from element"))
    return line


def test_what_cannot_start_is_one_clear_line(environment: dict[str, str]) -> None:
    done = launch("videotestsrc num-buffers=3 ! aeinferdenoise model=nothing ! fakesink", environment)
    assert "no packaged model 'nothing': there are mnist-conv, mnist-dense, photo" in complaint_of(done)


@pytest.mark.parametrize(
    ("library", "complaint"),
    [("onnxruntime", 'pip install "aeinfer[cpu]"'), ("numpy", "the one that GStreamer runs, cannot import numpy")],
)
def test_a_missing_library_is_one_clear_line(
    environment: dict[str, str], library: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / f"{library}.py").write_text(f"raise ModuleNotFoundError('None of that', name='{library}')")
    path = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"
    done = launch("videotestsrc num-buffers=3 ! aeinferdenoise ! fakesink", environment, PYTHONPATH=path)
    assert complaint in complaint_of(done)


def interrupted(command: list[str], written: Path, **options: Any) -> str:
    """Interrupt a program once it has written something; it must end well. Return what it printed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            until = time.monotonic() + TIMEOUT
            while not (written.exists() and written.stat().st_size) and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert process.returncode == 0
    return told


def test_interrupted_in_the_middle_it_ends_with_a_whole_frame(
    tiny_model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    clean = tmp_path / "clean"
    line = f"-e videotestsrc is-live=true ! video/x-raw,format=RGB,width=64,height=48,framerate=100/1 \
        ! aeinferdenoise model={tiny_model} ! filesink location={clean} buffer-mode=unbuffered"
    interrupted(["gst-launch-1.0", *line.split()], clean, env=environment)
    assert clean.stat().st_size
    assert clean.stat().st_size % (64 * 48 * 3) == 0


# The element in this process

PLAIN = f"width={WIDTH},height={HEIGHT},framerate=25/1"


@pytest.mark.parametrize("pixel_format", sorted(set(FORMATS) - {"GRAY16_BE"}))
def test_every_format_is_denoised_as_arrays_are(gst: Any, ae: AEInfer, tiny_model: Path, pixel_format: str) -> None:
    """Padding, alpha and colour planes stay, byte by byte."""
    (noisy, clean), error = run(
        gst,
        f"videotestsrc num-buffers=2 pattern=snow ! video/x-raw,format={pixel_format},{PLAIN} ! tee name=two "
        f"two. ! queue ! appsink name=noisy sync=false "
        f"two. ! queue ! aeinferdenoise model={tiny_model} ! appsink name=clean sync=false",
        "noisy",
        "clean",
    )
    assert error is None
    assert len(noisy) == len(clean) == 2
    packing = FORMATS[pixel_format]
    stride = -(-WIDTH * packing.samples * np.dtype(packing.dtype).itemsize // 4) * 4
    for before, after in zip(map(bytes_of, noisy), map(bytes_of, clean), strict=True):
        assert after == denoised(ae, before, pixel_format, stride)
        assert after != before


def test_averaged_over_time_where_asked(gst: Any, ae: AEInfer, tiny_model: Path) -> None:
    (noisy, clean), error = run(
        gst,
        f"videotestsrc num-buffers=5 pattern=ball ! video/x-raw,format=RGBx,{PLAIN} ! tee name=two "
        f"two. ! queue ! appsink name=noisy sync=false "
        f"two. ! queue ! aeinferdenoise model={tiny_model} temporal=true ! appsink name=clean sync=false",
        "noisy",
        "clean",
    )
    assert error is None
    steady = TemporalFilter()
    for before, after in zip(map(bytes_of, noisy), map(bytes_of, clean), strict=True):
        expected = bytearray(before)
        pixels = view(expected, WIDTH, HEIGHT, "RGBx", 4 * WIDTH)
        pixels[...] = ae(steady(pixels))
        assert after == expected


def padded(gst: Any, pixel_format: str, stride: int, offset: int) -> Any:
    """A buffer of noise with rows and a start of its own, which its metadata tell."""
    _, video = load_gstreamer()
    content = np.random.default_rng(0).bytes(offset + stride * HEIGHT * 2)
    buffer = gst.Buffer.new_wrapped(content)
    buffer.pts, buffer.duration = 123_000_000, 40_000_000
    strides, offsets = [stride, stride, 0, 0], [offset, offset + stride * HEIGHT, 0, 0]
    known = video.VideoFormat.from_string(pixel_format)
    planes = 2 if pixel_format == "NV12" else 1
    video.buffer_add_video_meta_full(buffer, 0, known, WIDTH, HEIGHT, planes, offsets, strides)
    return buffer


def caps(gst: Any, pixel_format: str) -> Any:
    return gst.Caps.from_string(f"video/x-raw,format={pixel_format},{PLAIN}")


@pytest.mark.parametrize(("pixel_format", "stride"), [("NV12", 64), ("BGRx", 256), ("RGB", 113)])
def test_rows_lie_where_the_buffer_says(
    gst: Any, ae: AEInfer, tiny_model: Path, pixel_format: str, stride: int
) -> None:
    pipeline = gst.parse_launch(
        f"appsrc name=in format=time ! aeinferdenoise model={tiny_model} ! appsink name=out sync=false"
    )
    source, sink = pipeline.get_by_name("in"), pipeline.get_by_name("out")
    source.set_property("caps", caps(gst, pixel_format))
    buffer = padded(gst, pixel_format, stride, 20)
    before = buffer.extract_dup(0, buffer.get_size())
    pipeline.set_state(gst.State.PLAYING)
    try:
        source.emit("push-buffer", buffer)
        source.emit("end-of-stream")
        (sample,) = pulled(gst, sink)
        assert end_of(gst, pipeline) is None
    finally:
        pipeline.set_state(gst.State.NULL)
    assert bytes_of(sample) == denoised(ae, before, pixel_format, stride, 20)
    assert (sample.get_buffer().pts, sample.get_buffer().duration) == (123_000_000, 40_000_000)


def test_timestamps_stay(gst: Any, tiny_model: Path) -> None:
    (samples,), error = run(
        gst,
        f"videotestsrc num-buffers=5 timestamp-offset=70000000 ! video/x-raw,format=RGB,{PLAIN} "
        f"! aeinferdenoise model={tiny_model} ! appsink name=out sync=false",
        "out",
    )
    assert error is None
    buffers = [sample.get_buffer() for sample in samples]
    assert [buffer.pts for buffer in buffers] == [70_000_000 + 40_000_000 * n for n in range(5)]
    assert {buffer.duration for buffer in buffers} == {40_000_000}
    assert [buffer.offset for buffer in buffers] == list(range(5))


def test_strength_nought_is_the_input(gst: Any, tiny_model: Path) -> None:
    (noisy, clean), error = run(
        gst,
        f"videotestsrc num-buffers=1 pattern=snow ! video/x-raw,format=RGB,{PLAIN} ! tee name=two "
        f"two. ! queue ! appsink name=noisy two. ! queue ! aeinferdenoise strength=0 model={tiny_model} "
        "! appsink name=clean",
        "noisy",
        "clean",
    )
    assert error is None
    assert [*map(bytes_of, clean)] == [*map(bytes_of, noisy)]


def test_frames_that_a_sink_calls_late_are_dropped(gst: Any, tiny_model: Path) -> None:
    """At 100,000 frames a second none but the first is in time."""
    (samples,), error = run(
        gst,
        "videotestsrc num-buffers=300 ! video/x-raw,format=RGB,width=64,height=64,framerate=100000/1 "
        f"! aeinferdenoise model={tiny_model} ! appsink name=out sync=true qos=true",
        "out",
    )
    assert error is None
    assert 1 <= len(samples) < 300


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("model=nowhere/none.onnx", "none.onnx"),
        ("precision=int3", "precision is one of auto, fp32, fp16, int8, got 'int3'"),
        ("device=teapot", "teapot"),
    ],
)
def test_what_cannot_start_is_an_error_on_the_bus(gst: Any, options: str, complaint: str) -> None:
    _, error = run(gst, f"videotestsrc ! aeinferdenoise {options} ! fakesink")
    assert complaint in str(error)


def test_a_buffer_that_is_too_small_is_an_error_on_the_bus(gst: Any, tiny_model: Path) -> None:
    pipeline = gst.parse_launch(f"appsrc name=in format=time ! aeinferdenoise model={tiny_model} ! fakesink")
    source = pipeline.get_by_name("in")
    source.set_property("caps", caps(gst, "GRAY8"))
    pipeline.set_state(gst.State.PLAYING)
    try:
        source.emit("push-buffer", gst.Buffer.new_wrapped(bytes(10)))
        assert "37x22 pixels of GRAY8 take 877 bytes, got 10" in str(end_of(gst, pipeline))
    finally:
        pipeline.set_state(gst.State.NULL)


def test_it_starts_again(gst: Any, tiny_model: Path) -> None:
    pipeline = gst.parse_launch(f"videotestsrc num-buffers=2 ! aeinferdenoise model={tiny_model} ! fakesink")
    for _ in range(2):
        pipeline.set_state(gst.State.PLAYING)
        assert end_of(gst, pipeline) is None
        pipeline.set_state(gst.State.NULL)


# Frames of one's own appsink and appsrc


def sample_of(gst: Any, pixel_format: str = "BGRx", stride: int = 160) -> Any:
    return gst.Sample.new(padded(gst, pixel_format, stride, 8), caps(gst, pixel_format), None, None)


def test_a_frame_shows_the_pixels_of_a_sample(gst: Any) -> None:
    sample = sample_of(gst)
    with frame_of(sample) as frame:
        assert not frame.pixels.flags.writeable
        np.testing.assert_array_equal(frame.pixels, view(bytes_of(sample), WIDTH, HEIGHT, "BGRx", 160, 8))
    assert not hasattr(frame, "pixels")


def test_a_view_that_is_used_on_is_an_error_and_still_safe(gst: Any) -> None:
    sample = sample_of(gst)
    expected = view(bytes_of(sample), WIDTH, HEIGHT, "BGRx", 160, 8)
    frame = frame_of(sample)
    with pytest.raises(InputError, match=r"used on after its block: keep a copy\(\)"), frame:
        kept = frame.pixels[::2, :, 0]
    del sample
    np.testing.assert_array_equal(kept, expected[::2, :, 0])
    assert frame._unmap.alive
    del kept
    assert not frame._unmap.alive


def test_a_view_in_a_circle_that_nobody_holds_is_none_that_is_used_on(gst: Any) -> None:
    gc.disable()  # so that it is not collected before
    try:
        with frame_of(sample_of(gst)) as frame:
            circle: list[Any] = [frame.pixels]
            circle.append(circle)
            del circle
    finally:
        gc.enable()
    assert not frame._unmap.alive


def test_an_error_in_the_block_is_not_hidden(gst: Any, ae: AEInfer) -> None:
    frame = frame_of(sample_of(gst))
    with pytest.raises(InputError, match="out is read-only"), frame:
        ae(frame.pixels, out=frame.pixels)
    assert not hasattr(frame, "pixels")


def test_a_buffer_takes_all_but_the_pixels_from_the_sample(gst: Any, ae: AEInfer) -> None:
    sample = sample_of(gst, "NV12", 40)
    with frame_of(sample) as frame:
        clean = ae(frame.pixels)
    buffer = buffer_of(clean, like=sample)
    assert buffer.extract_dup(0, buffer.get_size()) == denoised(ae, bytes_of(sample), "NV12", 40, 8)
    assert (buffer.pts, buffer.duration) == (123_000_000, 40_000_000)
    with frame_of(gst.Sample.new(buffer, sample.get_caps(), None, None)) as frame:
        np.testing.assert_array_equal(frame.pixels, clean)
    with pytest.raises(InputError, match=r"uint8 of shape \(22, 37\), got uint8 of shape \(22, 37, 3\)"):
        buffer_of(np.zeros((22, 37, 3), np.uint8), like=sample)


def test_other_samples_are_refused(gst: Any) -> None:
    sound = gst.Caps.from_string("audio/x-raw,format=S16LE,rate=8000,channels=1")
    with pytest.raises(InputError, match="expected a sample of raw video, got audio/x-raw"):
        frame_of(gst.Sample.new(gst.Buffer.new_wrapped(bytes(10)), sound, None, None))
    with pytest.raises(InputError, match="expected a sample of raw video, got None"):
        frame_of(gst.Sample.new(gst.Buffer.new_wrapped(bytes(10)), None, None, None))
    with pytest.raises(InputError, match="the sample holds no buffer"):
        frame_of(gst.Sample.new(None, caps(gst, "RGB"), None, None))
    deep = frame_of(gst.Sample.new(gst.Buffer.new_wrapped(bytes(9000)), caps(gst, "P010_10LE"), None, None))
    with pytest.raises(InputError, match=r"formats are RGB, .* got 'P010_10LE'"), deep:
        pass


def test_a_shared_buffer_is_not_written(gst: Any) -> None:
    sample = sample_of(gst)
    frame = Frame(sample.get_buffer(), frame_of(sample)._info, writable=True)
    with pytest.raises(InputError, match="cannot be mapped to be written: copy it"), frame:
        pass


# What the pages and examples say


def test_missing_bindings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    with pytest.raises(BackendMissingError, match=r"install python3-gst-1\.0"):
        load_gstreamer.__wrapped__()


@pytest.mark.skipif(not (ROOT / "examples").exists(), reason="the examples are not here")
def test_the_example_runs(environment: dict[str, str], tmp_path: Path) -> None:
    source = "videotestsrc num-buffers=3 ! video/x-raw,format=BGR,width=30,height=20"
    command = [SYSTEM_PYTHON, "examples/gstreamer_appsink.py", source, f"filesink location={tmp_path / 'clean'}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clean").stat().st_size == 3 * 20 * 92
    assert done.stdout == "3 frames\n"


@pytest.mark.skipif(not (ROOT / "examples").exists(), reason="the examples are not here")
def test_the_example_ends_where_its_sink_fails_and_on_ctrl_c(environment: dict[str, str], tmp_path: Path) -> None:
    endless = "videotestsrc is-live=true ! video/x-raw,format=BGR,width=30,height=20"
    command, clean = [SYSTEM_PYTHON, "examples/gstreamer_appsink.py", endless], tmp_path / "clean"
    failing = [*command, "identity error-after=2 ! fakesink"]
    done = subprocess.run(failing, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (1, "Failed after iterations as requested.\n")
    stopped = [*command, f"filesink location={clean} buffer-mode=unbuffered"]
    told = interrupted(stopped, clean, env=environment, cwd=ROOT)
    assert told == f"{clean.stat().st_size // (20 * 92)} frames\n"


def test_documented_lines_run(environment: dict[str, str], tmp_path: Path) -> None:
    for program in ("jpegenc", "avimux"):
        if subprocess.run(["gst-inspect-1.0", program], env=environment, capture_output=True).returncode:
            pytest.skip(f"GStreamer has no {program} here: apt install gstreamer1.0-plugins-good")
    lines = documented("gstreamer.md", "gst-path") + documented("gstreamer.md", "gst-launch")
    typed = {key: value for key, value in environment.items() if key != "GST_PLUGIN_PATH"}
    (tmp_path / "python").symlink_to(sys.executable)
    typed["PATH"] = f"{tmp_path}{os.pathsep}{typed['PATH']}"
    command = ["bash", "-euc", lines]
    done = subprocess.run(command, cwd=tmp_path, env=typed, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clean.avi").stat().st_size > 10_000
