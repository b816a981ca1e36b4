"""Files that are damaged, cut, joined or odd: what is there is kept, and what is lost is said."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.videos import COUNT, av, frames_of, make, packets_of, times_of

# isort: split
from aeinfer.errors import ImageReadError
from aeinfer.video import VideoReader


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


def test_a_stream_without_packets_is_not_missed(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as the sound of a file that was cut before it began; .mp4 has no stream of nothing."""
    make(tmp_path / "a.mkv")
    with av.open(str(tmp_path / "a.mkv")) as before, av.open(str(tmp_path / "b.mkv"), "w") as after:
        copy = after.add_stream_from_template(before.streams.video[0])
        after.add_stream("aac", 48000)
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = copy
                after.mux([packet])
    run("b.mkv", "c.mp4")
    assert capsys.readouterr().err == ""


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


def test_raw_dv_has_no_frame_in_each_tick(tmp_path: Path) -> None:
    """Encoders and .mp4 refuse so many frames a second."""
    make(tmp_path / "a.dv", "dvvideo", frames=list(frames_of("yuv420p", 3, 720, 576)))
    reader = VideoReader(tmp_path / "a.dv")
    assert (reader.rate, reader.total) == (25, 3)


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


def test_a_list_of_others_videos_is_no_video_by_its_content_alone(tmp_path: Path) -> None:
    make(tmp_path / "other.mkv", "ffv1")
    for name in ("upload.mp4", "list.ffconcat"):
        (tmp_path / name).write_text("ffconcat version 1.0\nfile other.mkv\n")
    with pytest.raises(ImageReadError, match=r"upload\.mp4: a list of videos, not a video"):
        VideoReader(tmp_path / "upload.mp4")
    assert VideoReader(tmp_path / "list.ffconcat").first.width == 64
