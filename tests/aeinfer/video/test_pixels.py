"""Frames of every pixel format are denoised as arrays are, and what is not to change does not."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer.denoiser import AEInfer
from aeinfer.temporal import TemporalFilter
from tests.videos import HEIGHT, WIDTH, av, frames_of, make, plane, probe

# isort: split
from aeinfer.video import VideoReader
from aeinfer.video.pixels import Colour, Luma


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "nv12", "yuv422p", "yuv420p10le", "yuv444p12le", "gray", "gray10le"])
def test_luma_alone_is_changed(run: Any, tmp_path: Path, tiny_model: Path, pix_fmt: str) -> None:
    codec = "rawvideo" if pix_fmt == "nv12" else "ffv1"
    frames = make(tmp_path / "a.nut", codec, pix_fmt)
    run("a.nut", "b.nut", "--codec", codec, "--luma")
    _, after = probe(tmp_path / "b.nut")
    deep = frames[0].format.components[0].bits - 8
    dtype, shift = (np.uint16, 8 - deep) if deep else (np.uint8, 0)
    with AEInfer.load(tiny_model) as ae:
        for one, other in zip(frames, after, strict=True):
            assert other.format.name == pix_fmt
            clean = ae(plane(one, 0, dtype) << dtype(shift)).astype(np.int64)
            rounded = np.minimum((clean + (1 << shift >> 1)) >> shift, (256 << deep) - 1)
            assert np.array_equal(plane(other, 0, dtype), rounded)
            for index in range(1, len(one.planes)):
                assert np.array_equal(plane(one, index, dtype), plane(other, index, dtype))
    assert not np.array_equal(plane(frames[0], 0, dtype), plane(after[0], 0, dtype))


def test_luma_in_the_default_encoder(run: Any, tmp_path: Path) -> None:
    frames = make(tmp_path / "a.nut", "rawvideo", "nv12")
    run("a.nut", "b.mp4", "--luma", "--crf", "0")
    _, after = probe(tmp_path / "b.mp4")  # decoded as yuv420p
    assert np.array_equal(plane(frames[3], 1)[:, ::2], plane(after[3], 1))
    assert np.array_equal(plane(frames[3], 1)[:, 1::2], plane(after[3], 2))


def test_colour_is_what_the_network_gives(run: Any, tmp_path: Path, tiny_model: Path) -> None:
    frames = make(tmp_path / "a.mkv", "ffv1", "bgra")
    run("a.mkv", "b.mkv", "--codec", "ffv1")
    _, after = probe(tmp_path / "b.mkv")
    with AEInfer.load(tiny_model, color="bgr") as ae:
        for one, other in zip(frames, after, strict=True):
            before = one.to_ndarray()
            assert len(np.unique(before[..., 3])) > 200
            assert np.array_equal(other.to_ndarray(), ae(before))


@pytest.mark.parametrize("pix_fmt", ["bgra", "gray10le"])
def test_averaged_over_time_where_asked(run: Any, tmp_path: Path, tiny_model: Path, pix_fmt: str) -> None:
    frames, steady = make(tmp_path / "a.nut", "ffv1", pix_fmt), TemporalFilter()
    run("a.nut", "b.nut", "--codec", "ffv1", "--temporal", *(["--luma"] if pix_fmt == "gray10le" else []))
    _, after = probe(tmp_path / "b.nut")
    with AEInfer.load(tiny_model, color="bgr") as ae:
        for one, other in zip(frames, after, strict=True):
            if pix_fmt == "bgra":
                assert np.array_equal(other.to_ndarray(), ae(steady(one.to_ndarray())))
            else:
                clean = ae(steady(plane(one, 0, np.uint16) << np.uint16(6))).astype(np.int64)
                assert np.array_equal(plane(other, 0, np.uint16), np.minimum((clean + 32) >> 6, 1023))


def test_alpha_beside_the_frames_of_webm(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.webm", "libvpx-vp9", "yuva420p")
    run("a.webm", "b.webm")
    run("b.webm", "c.webm")
    one, other = (plane(VideoReader(tmp_path / name).first, 3) for name in ("a.webm", "c.webm"))
    assert np.ptp(one) > 100
    assert np.abs(one.astype(int) - other).mean() < 16
    capsys.readouterr()
    run("c.webm", "d.mp4")
    assert "left out: alpha: yuv420p has none" in capsys.readouterr().err


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "gbrp10le"])
@pytest.mark.parametrize("tags", [{}, {"colorspace": 1, "color_range": 1}, {"colorspace": 9, "color_range": 2}])
def test_there_and_back_is_the_same_picture(pix_fmt: str, tags: dict[str, int]) -> None:
    """The way to RGB and back, where nothing is changed between."""
    way = Colour(pix_fmt, pix_fmt)
    for frame in frames_of(pix_fmt, 2):
        for name, value in tags.items():
            setattr(frame, name, value)
        back = way.close(way.open(frame))
        dtype = np.uint16 if "10" in pix_fmt else np.uint8
        for index in range(len(frame.planes)):
            given = plane(frame, index, dtype).astype(int)
            is_blurred = index > 0 and pix_fmt == "yuv422p"  # what is interpolated and averaged
            if is_blurred:
                sides = np.pad(given, ((0, 0), (1, 1)), "edge")
                given = np.rint((sides[:, :-2] + 6 * given + sides[:, 2:]) / 8).astype(int)
            gap = np.abs(given - plane(back, index, dtype))
            is_full = tags.get("color_range") == 2 or pix_fmt == "yuvj420p"  # swscale rounds its chroma down
            assert gap.mean() < (0.1 + 0.1 * is_blurred if not is_full else 0.7 if dtype == np.uint8 else 1.6)
            assert gap.max() <= 2


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv420p"), ("ffv1", "yuv411p"), ("ffv1", "yuv420p")])
def test_both_pixels_of_a_pair_have_its_chroma(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    """H.264 says that chroma lies on the left one of them, and still it is not moved."""
    make(tmp_path / "a.mkv", codec, pix_fmt)
    _, frames = probe(tmp_path / "a.mkv")
    for frame in frames:
        pixels = Colour(pix_fmt, pix_fmt).open(frame).pixels.astype(int)
        blue_less_red = pixels[..., 2] - pixels[..., 0]  # which luma does not change
        inside = ((pixels > 0) & (pixels < 255)).all(2)
        both = inside[:, ::2] & inside[:, 1::2]
        gaps = np.abs(blue_less_red[:, ::2] - blue_less_red[:, 1::2])[both]
        assert both.any()
        assert gaps.max() <= 3


def test_ten_bits_are_taken_to_the_full_scale_of_sixteen() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p10le")
    frame.time_base = Fraction(1, 25)
    frame.color_range = frame.colorspace = 1
    for luma, low, high in ((64, 0, 0), (502, 32600, 32900), (940, 65200, 65535)):
        for index, value in enumerate((luma, 512, 512)):
            np.frombuffer(frame.planes[index], np.uint16)[:] = value
        pixels = Colour("yuv420p10le", "yuv420p10le").open(frame).pixels
        assert pixels.dtype == np.uint16
        assert low <= pixels.min() <= pixels.max() <= high
        luma_alone = Luma("yuv420p10le").open(frame).pixels
        assert (luma_alone == luma << 6).all()


def test_ten_bits_stay_ten_bits(run: Any, tmp_path: Path) -> None:
    frames = make(tmp_path / "a.mkv", "ffv1", "yuv420p10le")
    run("a.mkv", "b.mkv", "--codec", "ffv1", "-s", "0")
    _, after = probe(tmp_path / "b.mkv")
    values = plane(after[0], 0, np.uint16)
    assert after[0].format.name == "yuv420p10le"
    assert len(np.unique(values & 3)) == 4
    assert np.abs(values.astype(int) - plane(frames[0], 0, np.uint16)).mean() < 0.2


def test_a_palette_is_rgb(run: Any, tmp_path: Path) -> None:
    """PNG says that the matrix of what it holds is none, which YUV made of it must not say."""
    pil = pytest.importorskip("PIL.Image")
    picture = pil.new("P", (64, 48))
    picture.putpalette([200, 40, 90])
    picture.save(tmp_path / "a.png")
    run("a.png", "b.mp4", "-s", "0")
    _, frames = probe(tmp_path / "b.mp4")
    assert frames[0].colorspace == 1
    assert np.abs(frames[0].to_ndarray(format="rgb24").astype(int) - [200, 40, 90]).max() <= 4


def test_a_matrix_that_is_not_converted_is_named(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.mkv", colorspace=8)
    run("a.mkv", "b.mkv", code=2)
    assert "FFmpeg does not convert yuv420p of matrix 8 to rgb24: use --luma" in capsys.readouterr().err
    run("a.mkv", "b.mkv", "--luma")


@pytest.mark.parametrize(("codec", "pix_fmt"), [(None, "yuv444p"), ("ffv1", "yuv420p")])
def test_odd_sides_stay(run: Any, tmp_path: Path, codec: str | None, pix_fmt: str) -> None:
    make(tmp_path / "a.mkv", "ffv1", frames=list(frames_of("yuv420p", 3, 63, 47)))
    run("a.mkv", "b.mkv", *(["--codec", codec] if codec else []))
    _, after = probe(tmp_path / "b.mkv")
    assert [(frame.width, frame.height, frame.format.name) for frame in after] == [(63, 47, pix_fmt)] * 3


def test_rows_that_lie_from_the_bottom_up_are_read_so() -> None:
    frame = next(frames_of("yuv420p", 1))
    graph = av.filter.Graph()
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.push(frame)
    flipped = graph.pull()
    assert flipped.planes[0].line_size < 0
    assert np.array_equal(Luma("yuv420p").open(flipped).pixels, plane(frame, 0)[::-1])
