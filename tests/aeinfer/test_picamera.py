"""The callback for picamera2, with stand-ins for its MappedArray and requests: there is no camera here.

They have the layout of the real ones: one block of memory, rows and planes with padding, and a configuration that tells
format, size and stride.
"""

import runpy
import sys
import types
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer, InputError
from aeinfer.picamera import FORMATS, Callback
from tests.documented import ROOT, documented
from tests.programs import run_python


class MappedArray:
    """As picamera2's: maps a stream's memory in a `with` block; `reshape` is what its users see by default."""

    def __init__(self, request: "Request", stream: str, reshape: bool = True, write: bool = True) -> None:
        assert write
        assert not reshape, "its shape has no room for the padding of YUV's rows"
        self._memory = request.memory[stream]

    def __enter__(self) -> "MappedArray":
        self.array = np.frombuffer(self._memory, np.uint8)
        return self

    def __exit__(self, *_error: object) -> None:
        del self.array


class Request:
    """As picamera2's CompletedRequest: configuration and memory of each stream, and metadata."""

    def __init__(self, metadata: dict[str, Any], **streams: tuple[dict[str, Any], bytearray]) -> None:
        self.config: dict[str, Any] = {"main": None, "lores": None, "raw": None, "use_case": "preview"}
        self.config |= {name: config for name, (config, _) in streams.items()}
        self.memory = {name: memory for name, (_, memory) in streams.items()}
        self._metadata = metadata

    def get_metadata(self) -> dict[str, Any]:
        return dict(self._metadata)


SLOW = {"FrameDuration": 60_000_000, "SensorTimestamp": 1}  # a minute from frame to frame: none is late
FAST = {"FrameDuration": 1}
SIZE = WIDTH, HEIGHT = 22, 10


class Picamera2:
    """As picamera2's own: gives each frame to pre_callback, then to who captures it."""

    def create_video_configuration(self, main: dict[str, Any]) -> dict[str, Any]:
        return main

    create_preview_configuration = create_video_configuration

    def configure(self, configuration: dict[str, Any]) -> None:
        (self.width, self.height), self.format = configuration["size"], configuration.get("format", "XBGR8888")
        self.samples = 4 if self.format == "XBGR8888" else 3

    def start(self, show_preview: bool = False) -> None:
        if show_preview:  # whose frames go through the callback, captured or not
            self.capture_array()

    def stop(self) -> None:
        pass

    def capture_array(self) -> np.ndarray:
        stride = self.width * self.samples
        config = {"format": self.format, "size": (self.width, self.height), "stride": stride}
        memory = bytearray(np.random.default_rng(0).bytes(stride * self.height))
        self.pre_callback(Request(SLOW, main=(config, memory)))
        return np.frombuffer(memory, np.uint8).reshape(self.height, self.width, self.samples)


@pytest.fixture(autouse=True)
def picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("picamera2")
    vars(module).update(MappedArray=MappedArray, Picamera2=Picamera2)
    monkeypatch.setitem(sys.modules, "picamera2", module)


def frame(pixel_format: str, stride: int, size: int, seed: int = 0) -> tuple[dict[str, Any], bytearray]:
    memory = bytearray(np.random.default_rng(seed).bytes(size))
    return {"format": pixel_format, "size": SIZE, "stride": stride, "framesize": size}, memory


@pytest.mark.parametrize(
    ("pixel_format", "samples", "rgb"),
    [
        ("RGB888", 3, [2, 1, 0]),
        ("BGR888", 3, [0, 1, 2]),
        ("XRGB8888", 4, [2, 1, 0]),
        ("XBGR8888", 4, [0, 1, 2]),
    ],
)
def test_colours_are_in_memory_as_picamera2_has_them(
    ae: AEInfer, pixel_format: str, samples: int, rgb: list[int]
) -> None:
    row, stride = WIDTH * samples, 128
    main = frame(pixel_format, stride, stride * HEIGHT)
    expected = np.array(main[1], np.uint8).reshape(HEIGHT, stride)
    pixels = expected[:, :row].reshape(HEIGHT, WIDTH, samples)
    pixels[:, :, rgb] = ae(np.ascontiguousarray(pixels[:, :, rgb]))

    callback = Callback(ae)
    callback(Request(SLOW, main=main))
    assert main[1] == expected.tobytes()
    assert (callback.denoised, callback.skipped) == (1, 0)


@pytest.mark.parametrize("pixel_format", ["YUV420", "YVU420", "NV12", "NV21"])
def test_of_yuv_luma_alone(ae: AEInfer, pixel_format: str) -> None:
    """YUV420 is a block of H * 3 / 2 rows of the luma's stride, at whose end two rows of chroma lie in one."""
    stride = 64
    lores = frame(pixel_format, stride, stride * HEIGHT * 3 // 2)
    expected = np.array(lores[1], np.uint8).reshape(HEIGHT * 3 // 2, stride)
    expected[:HEIGHT, :WIDTH] = ae(expected[:HEIGHT, :WIDTH].copy(), strength=0.7)

    Callback(ae, stream="lores", strength=0.7)(Request(SLOW, main=frame("RGB888", 128, 1280), lores=lores))
    assert lores[1] == expected.tobytes()


@pytest.mark.parametrize(("pixel_format", "first"), [("YUYV", 0), ("UYVY", 1)])
def test_of_a_usb_camera_luma_alone(ae: AEInfer, pixel_format: str, first: int) -> None:
    main = frame(pixel_format, 2 * WIDTH, 2 * WIDTH * HEIGHT)
    expected = np.array(main[1], np.uint8).reshape(HEIGHT, WIDTH, 2)
    expected[:, :, first] = ae(expected[:, :, first].copy())
    Callback(ae)(Request({}, main=main))
    assert main[1] == expected.tobytes()


def test_nothing_is_compiled_while_the_camera_runs(ae: AEInfer, monkeypatch: pytest.MonkeyPatch) -> None:
    warm: list[AEInfer] = []
    monkeypatch.setattr(AEInfer, "warmup", lambda self: warm.append(self))
    Callback(ae)
    assert warm == [ae]


def test_late_frames_pass_and_are_counted(ae: AEInfer) -> None:
    """At a microsecond from frame to frame, the first takes as long as thousands."""
    callback = Callback(ae)
    request = Request(FAST, main=frame("RGB888", 128, 1280))
    callback(request)
    after = bytes(request.memory["main"])
    for _ in range(20):
        callback(request)
    assert (callback.denoised, callback.skipped) == (1, 20)
    assert bytes(request.memory["main"]) == after
    callback(Request(SLOW, main=frame("RGB888", 128, 1280)))  # which makes up for it all
    callback(request)
    assert (callback.denoised, callback.skipped) == (2, 21)


@pytest.mark.parametrize("metadata", [SLOW, {}], ids=["in time", "of a camera that tells no time"])
def test_otherwise_every_frame_is_denoised(ae: AEInfer, metadata: dict[str, Any]) -> None:
    callback = Callback(ae)
    for _ in range(5):
        callback(Request(metadata, main=frame("BGR888", 128, 1280)))
    assert (callback.denoised, callback.skipped) == (5, 0)


def test_other_formats_and_streams_are_refused(ae: AEInfer) -> None:
    with pytest.raises(InputError, match=f"denoised as {', '.join(FORMATS)}, got 'SRGGB10'"):
        Callback(ae)(Request({}, main=frame("SRGGB10", 64, 640)))
    with pytest.raises(InputError, match="no stream 'lores': configure it"):
        Callback(ae, stream="lores")(Request({}, main=frame("RGB888", 128, 1280)))


def test_importing_it_imports_no_picamera2() -> None:
    program = "import sys, aeinfer.picamera; print('picamera2' in sys.modules)"
    assert run_python(program) == ["False"]


def test_documented_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(documented("picamera2.md", "picamera2"), names)
    noisy = np.frombuffer(np.random.default_rng(0).bytes(480 * 640 * 3), np.uint8).reshape(480, 640, 3)
    expected = AEInfer.load("photo-fast", precision="int8", color="bgr")(noisy)
    np.testing.assert_array_equal(names["frame"], expected)
    assert capsys.readouterr().out == "1 0\n"


@pytest.mark.skipif(not (ROOT / "examples").exists(), reason="the examples are not here")
def test_the_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["picamera2_preview.py", "0.01"])
    runpy.run_path(str(ROOT / "examples" / "picamera2_preview.py"), run_name="__main__")
    assert "1 denoised, 0 skipped" in capsys.readouterr().out
