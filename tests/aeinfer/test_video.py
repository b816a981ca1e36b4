"""`aeinfer video`: frames are denoised, and all else of a file stays; the files are made here, with PyAV."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import cli
from aeinfer.denoiser import AEInfer
from tests.documented import documented

av = pytest.importorskip("av", reason="needs PyAV: pip install 'aeinfer[video]'")
from aeinfer.temporal import TemporalFilter  # noqa: E402 (not before PyAV is known to import)
from aeinfer.video import Encoding, VideoReader, VideoWriter  # noqa: E402
from aeinfer.video.pixels import Colour, Luma  # noqa: E402

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, COUNT = 64, 48, 12
TICKS = Fraction(1, 12800)


def frames_of(pix_fmt: str, count: int = COUNT, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Any]:
    """Frames of smooth colours with noise, in any pixel format."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:height, :width]
    for number in range(count):
        smooth = 90 + np.stack([across, down, (across + down) / 2 + number], axis=2)
        noisy = (smooth + rng.uniform(-15, 15, smooth.shape)).astype(np.uint8)  # colours that every matrix can hold
        frame = av.VideoFrame.from_ndarray(noisy, "rgb24").reformat(format=pix_fmt)
        if pix_fmt == "bgra":
            np.frombuffer(frame.planes[0], np.uint8)[3::4] = np.arange(width * height) % 251
        elif pix_fmt == "yuva420p":
            np.frombuffer(frame.planes[3], np.uint8).reshape(height, -1)[:] = np.arange(frame.planes[3].line_size) * 3
        yield frame


def make(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    times: Sequence[int] | None = None,
    frames: Sequence[Any] | None = None,
    sound: bool = False,
    subtitles: bool = False,
    **tags: Any,
) -> list[Any]:
    """Write a clip and return its frames as they went in."""
    frames = list(frames_of(pix_fmt) if frames is None else frames)
    times = list(range(len(frames)) if times is None else times)
    times.append(2 * times[-1] - times[-2] if len(times) > 1 else 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate, width=frames[0].width, height=frames[0].height)
        stream.codec_context.time_base = stream.time_base = time_base or 1 / Fraction(rate)
        stream.codec_context.pix_fmt = pix_fmt
        stream.codec_context.flags |= av.codec.context.Flags.frame_duration
        stream.metadata["title"] = "the picture"
        if rotation := tags.pop("rotation", None):
            stream.set_display_rotation(*rotation)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        voice = add_sound(container) if sound else None
        words = container.add_mux_stream("subrip") if subtitles else None
        container.metadata.update(title="A title", artist="Somebody")
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = times[number], stream.codec_context.time_base
            frame.duration = times[number + 1] - times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            write_sound(container, voice)
        if words is not None:
            words.metadata["language"] = "kor"
            write_words(container, words)
    return frames


def add_sound(container: Any) -> Any:
    voice = container.add_stream("libopus" if "webm" in container.format.name else "aac", 48000)
    voice.metadata["language"], voice.disposition = "deu", av.stream.Disposition.dub
    return voice


def write_sound(container: Any, voice: Any) -> None:
    for number in range(20):
        samples = np.random.default_rng(number).normal(0, 0.1, (2, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
        container.mux(voice.encode(frame))
    container.mux(voice.encode(None))


def write_words(container: Any, words: Any) -> None:
    for number, text in enumerate([b"hello", "안녕".encode()]):
        packet = av.Packet(text)
        packet.stream, packet.time_base = words, Fraction(1, 1000)
        packet.pts = packet.dts = 200 * number
        packet.duration = 150
        container.mux([packet])


def probe(path: Path) -> tuple[Any, list[Any]]:
    """The open container and its decoded frames."""
    container = av.open(str(path))
    return container, list(container.decode(video=0))


def times_of(path: Path) -> list[Fraction]:
    container, frames = probe(path)
    return [frame.pts * container.streams.video[0].time_base for frame in frames]


def packets_of(path: Path, kind: str) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(**{kind: 0})
        return [(packet.pts, packet.duration, bytes(packet)) for packet in packets if packet.size]


def plane(frame: Any, index: int, dtype: Any = np.uint8) -> np.ndarray:
    part = frame.planes[index]
    rows = np.frombuffer(part, dtype).reshape(part.height, -1)
    return rows[:, : part.width * (2 if frame.format.name == "nv12" and index else 1)]


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Any:
    """Run the command on two files of tmp_path."""

    def call(source: str, target: str, *options: str, code: int = 0) -> None:
        command = ["video", str(tmp_path / source), str(tmp_path / target), "-m", str(tiny_model), *options]
        assert cli.main(command) == code

    return call


CLOCKS = {
    "constant": ("mp4", 25, None, None),
    "ntsc": ("mp4", Fraction(30000, 1001), None, None),
    "film in mkv": ("mkv", Fraction(24000, 1001), Fraction(1, 1000), [round(n * 1001 / 24) for n in range(COUNT)]),
    "variable": ("mp4", 25, TICKS, [0, 512, 513, 2000, 2100, 5000, 5001, 5002, 9000, 9999, 12800, 20000]),
    "variable in mkv": ("mkv", 25, Fraction(1, 1000), [0, 7, 40, 41, 100, 333, 334, 400, 1000, 1001, 2000, 2020]),
    "late": ("mp4", 25, TICKS, [6400 + 512 * n for n in range(COUNT)]),
    "transport stream": ("ts", 25, Fraction(1, 90000), [126000 + 3600 * n for n in range(COUNT)]),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_every_frame_keeps_its_time(run: Any, tmp_path: Path, clock: str) -> None:
    suffix, rate, time_base, times = CLOCKS[clock]
    make(tmp_path / f"a.{suffix}", rate=rate, time_base=time_base, times=times)
    run(f"a.{suffix}", f"b.{suffix}")
    before, after = (probe(tmp_path / f"{name}.{suffix}")[0].streams.video[0] for name in "ab")
    assert times_of(tmp_path / f"a.{suffix}") == times_of(tmp_path / f"b.{suffix}")
    assert (after.time_base, after.start_time) == (before.time_base, before.start_time)
    if "variable" not in clock:
        assert after.average_rate == before.average_rate == rate


def test_sound_subtitles_and_what_files_say_stay(run: Any, tmp_path: Path) -> None:
    make(tmp_path / "plain.mkv", sound=True, subtitles=True)
    with av.open(str(tmp_path / "plain.mkv")) as source, av.open(str(tmp_path / "a.mkv"), "w") as container:
        copies = [container.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        for stream, copy in zip(source.streams, copies, strict=True):
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
        container.metadata.update(source.metadata)
        container.add_attachment("font.ttf", "application/x-truetype-font", b"a font")
        second = {"time_base": Fraction(1, 1000), "start": 200, "end": 400, "metadata": {"title": "two"}}
        container.set_chapters([{"id": 1, **second, "start": 0, "end": 200}, {"id": 2, **second}])
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                container.mux([packet])
    run("a.mkv", "b.mkv")
    assert packets_of(tmp_path / "a.mkv", "audio") == packets_of(tmp_path / "b.mkv", "audio")
    assert packets_of(tmp_path / "a.mkv", "subtitles") == packets_of(tmp_path / "b.mkv", "subtitles")
    with av.open(str(tmp_path / "a.mkv")) as before, av.open(str(tmp_path / "b.mkv")) as after:
        assert [stream.type for stream in after.streams] == ["video", "audio", "subtitle", "attachment"]
        for one, other in zip(before.streams, after.streams, strict=True):
            own = {"DURATION", "ENCODER"}
            assert {key: one.metadata[key] for key in one.metadata.keys() - own} == {
                key: other.metadata[key] for key in other.metadata.keys() - own
            }
            assert one.disposition == other.disposition
        assert after.streams[1].language == "deu"
        assert after.streams[3].data == b"a font"
        assert after.chapters() == before.chapters()
        assert len(after.chapters()) == 2
        assert after.metadata["title"] == "A title"
        assert after.metadata["ARTIST"] == "Somebody"


def test_what_a_container_does_not_hold_is_said(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.mkv", sound=True, subtitles=True, rotation=(90,))
    run("a.mkv", "b.mp4")
    said = capsys.readouterr()
    assert "left out: subtitle stream 2 (srt): mp4 does not hold it as it is" in said.err
    assert said.out.rstrip().endswith("b.mp4, libx264, yuv420p, 1 left out")
    assert packets_of(tmp_path / "a.mkv", "audio")[5][2] == packets_of(tmp_path / "b.mp4", "audio")[5][2]
    run("a.mkv", "b.webm", "--json")
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert (facts["frames"], facts["codec"], facts["pix_fmt"]) == (COUNT, "libvpx-vp9", "yuv420p")
    assert [line.split(" ")[0] for line in facts["left_out"]] == ["audio", "subtitle"]
    run("a.mkv", "b.ts", "-q")
    said = capsys.readouterr()
    assert "the rotation by 90 degrees: mpegts does not hold it" in said.err
    assert "left out: 1 subtitle streams: mpegts does not say what they are" in said.err


def test_a_cover_stays_a_cover(run: Any, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        streams = [container.add_stream(codec, 25, width=WIDTH, height=HEIGHT) for codec in ("libx264", "mjpeg")]
        streams[1].pix_fmt, streams[1].disposition = "yuvj420p", av.stream.Disposition.attached_pic
        for frame in frames_of("yuv420p"):
            container.mux(streams[0].encode(frame))
        container.mux([*streams[0].encode(None), *streams[1].encode(next(frames_of("yuvj420p")))])
    covers = {}
    for source, target in (("a.mp4", "b.mp4"), ("a.mp4", "c.mkv"), ("c.mkv", "d.mkv")):
        run(source, target)
        with av.open(str(tmp_path / target)) as container:
            assert container.streams[1].disposition & av.stream.Disposition.attached_pic
            covers[target] = next(bytes(packet) for packet in container.demux(container.streams[1]) if packet.size)
    with av.open(str(tmp_path / "a.mp4")) as container:
        cover = next(bytes(packet) for packet in container.demux(container.streams[1]) if packet.size)
    assert covers == {"b.mp4": cover, "c.mkv": cover, "d.mkv": cover}


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "tags"),
    [
        ("a.mp4", "libx264", "yuv420p", {"color_range": 1, "color_primaries": 1, "color_trc": 1, "colorspace": 1}),
        ("a.mkv", "libx264", "yuv420p", {"color_range": 2, "color_primaries": 5, "color_trc": 6, "colorspace": 5}),
        ("a.mp4", "libx264", "yuv420p10le", {"color_range": 1, "color_primaries": 9, "color_trc": 16, "colorspace": 9}),
        ("a.webm", "libvpx-vp9", "yuv420p", {"color_range": 1, "colorspace": 1}),
    ],
)
@pytest.mark.parametrize("luma", [False, True])
def test_colour_tags_and_aspect_stay(
    run: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    codec: str,
    pix_fmt: str,
    tags: dict[str, int],
    luma: bool,
) -> None:
    make(tmp_path / name, codec, pix_fmt, sample_aspect_ratio=Fraction(4, 3), **tags)
    run(name, f"b{name[1:]}", *(["--luma"] if luma else []))
    said = capsys.readouterr()
    container, frames = probe(tmp_path / f"b{name[1:]}")
    found = {tag: getattr(frames[0], tag) for tag in tags}
    assert found == tags
    assert frames[0].format.name == ("yuvj420p" if tags["color_range"] == 2 else pix_fmt)
    assert container.streams.video[0].sample_aspect_ratio == (1 if codec == "libvpx-vp9" else Fraction(4, 3))
    assert said.err == ""
    if not luma:
        run(name, "c.webm", "-q")
        lost = "left out: the pixels' aspect ratio 4/3: this codec in matroska,webm does not hold it"
        assert (lost in capsys.readouterr().err) == (codec != "libvpx-vp9")


def test_limited_range_is_not_missed_where_nothing_is_said(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mkv", color_range=1)
    run("a.mkv", "b.mp4")
    assert capsys.readouterr().err == ""


def test_a_flag_of_interlacing_that_is_lost_is_said(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mp4", options={"x264-params": "tff=1"})
    run("a.mp4", "b.mp4")
    assert capsys.readouterr().err == ""
    assert VideoReader(tmp_path / "b.mp4").first.interlaced_frame
    run("a.mp4", "b.webm")
    assert "left out: the flag of interlacing: this codec in matroska,webm does not hold it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
@pytest.mark.parametrize("turn", [(90,), (180,), (270, True)])
def test_rotation_stays(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, turn: tuple[Any, ...]
) -> None:
    make(tmp_path / name, "libvpx-vp9" if name == "a.webm" else "libx264", rotation=turn)
    run(name, f"b{name[1:]}")
    before, after = (probe(tmp_path / file)[1][0] for file in (name, f"b{name[1:]}"))
    assert before.rotation
    assert capsys.readouterr().err == ""
    assert bytes(after.side_data["DISPLAYMATRIX"]) == bytes(before.side_data["DISPLAYMATRIX"])


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_still_picture_with_exif_is_a_video_of_one_frame(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Its EXIF is side data of a kind that PyAV has no name for."""
    pil = pytest.importorskip("PIL.Image")
    exif = pil.Exif()
    exif[274] = 6
    pil.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save(tmp_path / name, exif=exif)
    run(name, "b.mkv")
    before, after = (probe(tmp_path / file)[1][0] for file in (name, "b.mkv"))
    assert before.rotation == after.rotation == -90
    assert capsys.readouterr().err == ""


def test_rgb_with_alpha_becomes_what_a_webm_holds(run: Any, tmp_path: Path) -> None:
    make(tmp_path / "a.mov", "qtrle", "argb")
    run("a.mov", "b.webm")
    _, frames = probe(tmp_path / "b.webm")
    assert len(frames) == len(probe(tmp_path / "a.mov")[1])


def test_what_a_container_holds_for_nobody_to_read_is_refused(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mkv")
    run("a.mkv", "b.ts", "--codec", "ffv1", code=2)
    assert "mpegts does not hold what ffv1 makes" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv"]


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_of_a_grey_picture_no_matrix_is_missed(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    dtype = np.uint8 if mode == "L" else np.uint16
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (64, 96), dtype))
    run("a.png", "b.mp4")
    assert capsys.readouterr().err == ""


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


def test_lost_metadata_of_hdr_is_said(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    light = "master-display=G(1,1)B(1,1)R(1,1)WP(1,1)L(1,1):max-cll=1000,400"
    make(tmp_path / "a.mkv", "libx265", "yuv420p10le", options={"x265-params": f"log-level=error:{light}"})
    run("a.mkv", "b.mkv")
    assert "left out: HDR metadata of the mastering display" in capsys.readouterr().err


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
            gap = np.abs(plane(frame, index, dtype).astype(int) - plane(back, index, dtype))
            is_full = tags.get("color_range") == 2 or pix_fmt == "yuvj420p"  # swscale rounds its chroma down
            assert gap.mean() < (0.1 if not is_full else 0.7 if dtype == np.uint8 else 1.6)
            assert gap.max() <= 2


def test_ten_bits_are_taken_to_the_full_scale_of_sixteen() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p10le")
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


@pytest.mark.parametrize(("codec", "pix_fmt"), [(None, "yuv444p"), ("ffv1", "yuv420p")])
def test_odd_sides(run: Any, tmp_path: Path, codec: str | None, pix_fmt: str) -> None:
    make(tmp_path / "a.mkv", "ffv1", frames=list(frames_of("yuv420p", 3, 63, 47)))
    run("a.mkv", "b.mkv", *(["--codec", codec] if codec else []))
    _, after = probe(tmp_path / "b.mkv")
    assert [(frame.width, frame.height, frame.format.name) for frame in after] == [(63, 47, pix_fmt)] * 3


def test_rows_from_the_bottom_up() -> None:
    frame = next(frames_of("yuv420p", 1))
    graph = av.filter.Graph()
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.push(frame)
    flipped = graph.pull()
    assert flipped.planes[0].line_size < 0
    assert np.array_equal(Luma("yuv420p").open(flipped).pixels, plane(frame, 0)[::-1])


def test_frames_at_the_same_time(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = [0, 40, 40, *range(80, 80 + 40 * (COUNT - 3), 40)]
    make(tmp_path / "a.mkv", "ffv1", time_base=Fraction(1, 1000), times=times)
    run("a.mkv", "b.mkv")
    assert "1 frames left out, whose time does not come after the one before" in capsys.readouterr().err
    assert times_of(tmp_path / "b.mkv") == [Fraction(40 * number, 1000) for number in range(COUNT - 1)]


def test_damaged_packets_cost_their_frames_alone(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.mov", "png", "rgb24")
    with av.open(str(tmp_path / "a.mov")) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray((tmp_path / "a.mov").read_bytes())
    for position, size in (places[3], places[7]):
        data[position : position + size] = bytes(size)
    (tmp_path / "a.mov").write_bytes(data)
    run("a.mov", "b.mov", "--json")
    said = capsys.readouterr()
    assert "2 packets cannot be decoded: their frames are left out" in said.err
    assert (json.loads(said.out)["undecodable"], json.loads(said.out)["frames"]) == (2, COUNT - 2)
    left = [Fraction(number, 25) for number in range(COUNT) if number not in (3, 7)]
    assert times_of(tmp_path / "b.mov") == left


def test_a_file_that_was_cut_keeps_what_is_there(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.mkv", "ffv1")
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    run("a.mkv", "b.mkv", "--json")
    frames = json.loads(capsys.readouterr().out)["frames"]
    assert 2 < frames < COUNT
    assert len(times_of(tmp_path / "b.mkv")) == frames


def remux(source: Path, target: Path, **options: str) -> None:
    """Copy picture and sound into another container."""
    with av.open(str(source)) as before, av.open(str(target), "w", options=options) as after:
        copies = {
            stream.index: after.add_stream_from_template(stream, opaque=True)
            for stream in before.streams
            if stream.type in ("video", "audio")
        }
        for packet in before.demux():
            if packet.size and packet.stream.index in copies:
                packet.stream = copies[packet.stream.index]
                after.mux([packet])


@pytest.mark.parametrize("suffix", ["mp4", "fragmented.mp4", "mkv", "flv"])
def test_a_file_that_ends_early_is_said_to(tmp_path: Path, suffix: str) -> None:
    make(tmp_path / "a.mkv", rate=5, sound=True, options={"g": "4"})
    flags = {"mp4": "faststart", "fragmented.mp4": "frag_keyframe+empty_moov"}.get(suffix)
    whole, cut = tmp_path / f"b.{suffix}", tmp_path / f"c.{suffix}"
    remux(tmp_path / "a.mkv", whole, **({"movflags": flags} if flags else {}))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 5])
    for path, is_whole in ((whole, True), (cut, False)):
        reader = VideoReader(path)
        assert (len(list(reader.frames(lambda _: None))) == COUNT) == is_whole
        assert (reader.breaks_off is None) == is_whole


@pytest.mark.parametrize(
    ("suffix", "times"),
    [
        ("mkv", [0, 40, 5000, 5040]),
        ("mkv", [100000, 100040]),
        ("mp4", [4000, 4040, 9000, 9040]),
        ("flv", [0, 1000, 4000, 4040]),
        ("webm", [0, 40]),  # the sound goes on
    ],
)
def test_a_whole_file_does_not_end_early(tmp_path: Path, suffix: str, times: list[int]) -> None:
    frames = list(frames_of("yuv420p", len(times)))
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    make(
        tmp_path / f"a.{suffix}", codec, time_base=Fraction(1, 1000), times=times, frames=frames, sound=suffix != "flv"
    )
    reader = VideoReader(tmp_path / f"a.{suffix}")
    assert len(list(reader.frames(lambda _: None))) == len(times)
    assert reader.breaks_off is None


def test_a_lost_packet_of_sound_costs_itself_alone(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.ts", sound=True)
    data = (tmp_path / "a.ts").read_bytes()
    sound = [at for at in range(0, len(data), 188) if data[at + 1 : at + 3] == b"\x01\x01"]  # none that begins anything
    (tmp_path / "a.ts").write_bytes(data[: sound[5]] + data[sound[5] + 188 :])
    run("a.ts", "b.mkv")
    said = capsys.readouterr()
    assert "left out: 1 packets of audio stream 1 (aac): matroska refuses them" in said.err
    assert said.out.startswith(f"{COUNT} frames")
    assert len(packets_of(tmp_path / "b.mkv", "audio")) == len(packets_of(tmp_path / "a.ts", "audio")) - 1


def test_times_that_jump_back_go_on(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.ts", "mpeg2video", sound=True)
    sound = len(packets_of(tmp_path / "a.ts", "audio"))
    (tmp_path / "a.ts").write_bytes((tmp_path / "a.ts").read_bytes() * 3)
    run("a.ts", "b.mkv")
    assert "times jump back 2 times, as in joined recordings: they are made to go on" in capsys.readouterr().err
    times = times_of(tmp_path / "b.mkv")
    assert len(times) == 3 * COUNT
    assert all(0.039 <= float(later - time) < 0.11 for time, later in pairwise(times))
    starts = [start for start, _, _ in packets_of(tmp_path / "b.mkv", "audio")]
    assert starts == sorted(starts)
    assert len(starts) == 3 * sound


def test_a_stream_that_begins_later_is_said_to_be_left_out(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filler = (b"\x47\x1f\xff\x10" + bytes(184)) * 4000  # the end is looked at, too
    parts = []
    for number, sound in enumerate((False, True, False)):
        times = range(COUNT * number, COUNT * (number + 1))
        make(tmp_path / "part.ts", rate=1, times=times, sound=sound)  # so slow that the first part is all that counts
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / "a.ts").write_bytes(filler.join(parts))
    run("a.ts", "c.mkv")
    said = capsys.readouterr()
    assert "a stream that begins in the middle is left out" in said.err
    assert said.out.startswith(f"{3 * COUNT} frames")


def test_frames_of_avi_that_come_in_another_order_than_they_are_coded(run: Any, tmp_path: Path) -> None:
    make(tmp_path / "a.avi", options={"x264-params": "bframes=2:b-adapt=0:b-pyramid=none"})
    run("a.avi", "b.mkv")
    times = times_of(tmp_path / "b.mkv")
    assert [25 * (time - times[0]) for time in times] == list(range(COUNT))


def test_frames_before_zero_are_shown(run: Any, tmp_path: Path) -> None:
    """Where the clock of a transport stream, which has 33 bits, begins anew, libavformat counts from there."""
    first = (1 << 33) - 126000 - 3600 * 5  # 126000: what the muxer adds
    make(tmp_path / "a.ts", time_base=Fraction(1, 90000), times=[first + 3600 * n for n in range(COUNT)])
    assert times_of(tmp_path / "a.ts")[0] < 0
    run("a.ts", "b.mp4")
    times = times_of(tmp_path / "b.mp4")
    assert [25 * (time - times[0]) for time in times] == list(range(COUNT))
    assert times[0] >= 0


def test_another_size_in_mid_stream_is_refused(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a.ts", time_base=Fraction(1, 90000), times=[3600 * n for n in range(COUNT)])
    later = [3600 * (n + COUNT) for n in range(COUNT)]
    make(tmp_path / "b.ts", time_base=Fraction(1, 90000), times=later, frames=list(frames_of("yuv420p", 12, 96, 64)))
    with (tmp_path / "a.ts").open("ab") as file:
        file.write((tmp_path / "b.ts").read_bytes())
    run("a.ts", "c.mp4", code=1)
    assert f"frame {COUNT + 1} is 96x64 yuv420p, those before it are 64x48 yuv420p" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ts", "b.ts"]


def test_refusals(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "pip install 'aeinfer[video]'" in capsys.readouterr().err


def command(*arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "aeinfer", "video", *map(str, arguments)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
    resource = pytest.importorskip("resource")
    make(tmp_path / "a.mkv", "ffv1")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from aeinfer import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    assert resource
    words = ["video", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "-m", str(tiny_model), "--codec", "ffv1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "b.mkv: cannot be written: File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_progress(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("aeinfer.cli.console.Line.show", lambda _, text: shown.append(text))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    make(tmp_path / "a.mkv")  # says how long it is, not how many frames it has
    run("a.mkv", "b.mkv")
    assert shown[0].startswith(f"0/{COUNT}  0%")
    assert shown[6].startswith(f"6/{COUNT}  50%  ")
    assert "frames/s" in shown[6]
    assert shown[6].endswith(" left")


def test_in_python(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
