"""`aeinfer video`: times, sound, subtitles, colour tags, rotation and all else of a file stay, or are said not to."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.videos import COUNT, HEIGHT, TICKS, WIDTH, av, frames_of, make, packets_of, probe, times_of

# isort: split
from aeinfer.video import VideoReader

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


def test_alpha_that_an_encoder_lists_and_does_not_start_with_is_left_out(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mov", "qtrle", "argb")
    run("a.mov", "b.mkv", "--codec", "libx265")
    assert "left out: alpha" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 2])
def test_hevc_of_few_frames_that_apples_players_take(run: Any, tmp_path: Path, count: int) -> None:
    """libx265 gives them decoding times from memory that nobody has written; those are often far behind."""
    make(tmp_path / "a.mp4", frames=list(frames_of("yuv420p", count)))
    for _ in range(3):
        run("a.mp4", "b.mp4", "--codec", "libx265", "--on-exist", "overwrite")
    container, frames = probe(tmp_path / "b.mp4")
    assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    assert times_of(tmp_path / "b.mp4") == times_of(tmp_path / "a.mp4")
    assert len(frames) == count


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_of_a_grey_picture_no_matrix_is_missed(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    dtype = np.uint8 if mode == "L" else np.uint16
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (64, 96), dtype))
    run("a.png", "b.mp4")
    assert capsys.readouterr().err == ""


def test_lost_metadata_of_hdr_is_said(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    light = "master-display=G(1,1)B(1,1)R(1,1)WP(1,1)L(1,1):max-cll=1000,400"
    make(tmp_path / "a.mkv", "libx265", "yuv420p10le", options={"x265-params": f"log-level=error:{light}"})
    run("a.mkv", "b.mkv")
    assert "left out: HDR metadata of the mastering display" in capsys.readouterr().err
