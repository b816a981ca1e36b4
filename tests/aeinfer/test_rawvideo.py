"""Raw frames and y4m: where each byte lies, against ffmpeg and GStreamer; what is refused."""

import io
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer.errors import ImageReadError, InputError
from aeinfer.rawvideo import PIXEL_FORMATS, Layout, read_frames, read_header, write_header
from tests.documented import need

SIDES = st.integers(1, 40)


def run(command: list[str], given: bytes = b"") -> bytes:
    need(command[0])
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@given(SIDES, SIDES, st.sampled_from(PIXEL_FORMATS), st.sampled_from([1, 4, 16]))
def test_views_reach_every_byte_but_the_padding_once(width: int, height: int, pixel_format: str, align: int) -> None:
    layout = Layout(width, height, pixel_format, align)
    buffer = np.zeros(layout.size, np.uint8)
    layout.pixels(buffer)[:] += 1
    if layout.is_yuv:
        for plane in layout.chroma(buffer):
            plane[:] += 1
    assert buffer.max() == 1
    halves = -(-width // 2) * -(-height // 2)
    expected = {"rgb24": 3 * width * height, "bgr24": 3 * width * height, "gray": width * height}
    assert buffer.sum() == expected.get(pixel_format, width * height + 2 * halves)
    assert align > 1 or buffer.all()


@pytest.mark.parametrize(
    ("pixel_format", "other"), [("rgb24", "bgr24"), ("bgr24", "rgb24"), ("yuv420p", "nv12"), ("nv12", "yuv420p")]
)
@pytest.mark.parametrize("size", [(16, 12), (7, 5)])
def test_bytes_lie_where_ffmpeg_puts_them(pixel_format: str, other: str, size: tuple[int, int]) -> None:
    """Values that ffmpeg brings to the places of another format are found there by its views."""
    ours, theirs = Layout(*size, pixel_format), Layout(*size, other)
    buffer = (np.arange(ours.size) % 251).astype(np.uint8)
    shape = ["-f", "rawvideo", "-s", "{}x{}".format(*size), "-pix_fmt"]
    command = ["ffmpeg", "-v", "error", *shape, pixel_format, "-i", "-", *shape, other, "-"]
    swapped = np.frombuffer(run(command, buffer.tobytes()), np.uint8).copy()
    if ours.is_yuv:
        np.testing.assert_array_equal(theirs.pixels(swapped), ours.pixels(buffer))
        np.testing.assert_array_equal(theirs.chroma(swapped), ours.chroma(buffer))
    else:
        np.testing.assert_array_equal(theirs.pixels(swapped)[..., ::-1], ours.pixels(buffer))


@pytest.mark.parametrize(
    ("name", "pixel_format"), [("BGR", "bgr24"), ("GRAY8", "gray"), ("I420", "yuv420p"), ("NV12", "nv12")]
)
@pytest.mark.parametrize("size", [(318, 24), (37, 24), (35, 13)])
def test_gstreamer_pads_to_four_bytes(name: str, pixel_format: str, size: tuple[int, int]) -> None:
    width, height = size
    caps = f"video/x-raw,format={name},width={width},height={height}"
    command = ["gst-launch-1.0", "-q", "videotestsrc", "num-buffers=1", "pattern=smpte", "!", caps]
    raw = np.frombuffer(run([*command, "!", "fdsink", "fd=1"]), np.uint8)
    layout = Layout(width, height, pixel_format, 4)
    assert layout.size == raw.size
    pixels = layout.pixels(raw.copy())
    bars = pixels.reshape(height, width, -1)[: height // 2]  # the upper part: bars that are the same in each row
    assert np.ptp(bars.astype(int), axis=0).max() == 0
    assert np.ptp(bars.astype(int)) > 100


@settings(max_examples=30)
@given(SIDES, SIDES, st.integers(0, 3), st.integers(0, 3))
def test_frames_come_whole_whatever_the_reader_gets(width: int, height: int, count: int, seed: int) -> None:
    layout = Layout(width, height, "yuv420p")
    frames = np.random.default_rng(seed).integers(0, 256, (count, layout.size), dtype=np.uint8)
    got = list(read_frames(io.BufferedReader(Dribble(frames.tobytes())), layout))
    assert [line for line, _ in got] == [b""] * count
    np.testing.assert_array_equal(np.reshape([frame for _, frame in got], frames.shape), frames)


class Dribble(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        return self.file.readinto(memoryview(buffer)[: 1 + len(buffer) // 3])


def test_y4m_of_ffmpeg_is_read() -> None:
    source = ["-f", "lavfi", "-i", "testsrc2=size=34x18:rate=30000/1001"]
    command = ["ffmpeg", "-v", "error", *source, "-frames:v", "3", "-pix_fmt", "yuv420p"]
    stream = io.BufferedReader(io.BytesIO(run([*command, "-f", "yuv4mpegpipe", "-"])))
    layout = read_header(stream.readline())
    assert (layout.width, layout.height, layout.pixel_format, layout.full_range) == (34, 18, "yuv420p", False)
    frames = list(read_frames(stream, layout, y4m=True))
    assert [line for line, _ in frames] == [b"FRAME\n"] * 3
    raw = run([*command, "-f", "rawvideo", "-"])
    assert b"".join(frame.tobytes() for _, frame in frames) == raw


def test_our_header_is_read_by_ffmpeg_and_by_us() -> None:
    header = write_header(34, 18, 30000 / 1001)
    assert read_header(header) == Layout(34, 18, "yuv420p")
    shown = ["-show_entries", "stream=width,height,pix_fmt,r_frame_rate", "-of", "csv=p=0"]
    told = run(["ffprobe", "-v", "error", *shown, "-f", "yuv4mpegpipe", "-"], header + b"FRAME\n" + bytes(34 * 27))
    width, height, pixel_format, rate = told.decode().strip().split(",")
    assert (width, height, pixel_format) == ("34", "18", "yuv420p")
    assert float(Fraction(rate)) == pytest.approx(29.97)


def test_full_range_and_grey_are_told_by_y4m() -> None:
    assert read_header(b"YUV4MPEG2 W4 H2 F25:1 Cmono XYSCSS=400 XCOLORRANGE=FULL\n") == Layout(4, 2, "gray", 1, True)
    assert read_header(b"YUV4MPEG2 W4 H2\n") == Layout(4, 2, "yuv420p")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"RIFF....AVI \n", "expected a y4m stream"),
        (b"YUV4MPEG2 W4 H2", "expected a y4m stream"),  # the stream ended inside of it
        (b"YUV4MPEG2 W4 H2 C420p10\n", "got '420p10': ask ffmpeg for -pix_fmt yuv420p"),
        (b"YUV4MPEG2 W4 C420\n", "a width and a height"),
        (b"YUV4MPEG2 W4 H-2\n", "a width and a height"),
        (b"YUV4MPEG2 W4 H\xff\n", "a width and a height"),
    ],
)
def test_another_header_is_refused(line: bytes, complaint: str) -> None:
    with pytest.raises(ImageReadError, match=complaint):
        read_header(line)


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (b"FRAME\n" + bytes(6) + b"FRAME\n" + bytes(5), "ended inside of frame 2: 5 of its 6 bytes"),
        (b"FRAME\n" + bytes(6) + b"FRAMES", "expected the line FRAME before frame 2, got b'FRAMES'"),
        (b"FRAME\n" + bytes(7), "before frame 2"),
    ],
)
def test_half_a_frame_is_named_after_the_whole_ones(stream: bytes, complaint: str) -> None:
    frames = read_frames(io.BufferedReader(io.BytesIO(stream)), Layout(2, 2, "yuv420p"), y4m=True)
    assert next(frames)[1].tobytes() == bytes(6)
    with pytest.raises(ImageReadError, match=complaint):
        next(frames)


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        ((0, 2, "gray"), "sides from 1 to"),
        ((2, 1 << 17, "gray"), "sides from 1 to"),
        ((2, 2, "yuv444p"), "got 'yuv444p'"),
        ((2, 2, "gray", 0), "at least 1 byte"),
    ],
)
def test_impossible_layouts_are_refused(layout: tuple[int, int, str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Layout(*layout)
