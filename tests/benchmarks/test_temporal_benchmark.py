"""The clips of the benchmark of video are what their names say, and its table shows the rows."""

import numpy as np
import pytest

from aeinfer.model_bytes import fingerprint_of
from benchmarks import bench_temporal, ffmpeg, results, table
from benchmarks.clips import CUT, FRAMES, HEIGHT, WIDTH, Clip, add_noise, clips_of, score
from benchmarks.packaged import model_files
from tests.documented import need


@pytest.fixture(scope="module")
def clips() -> dict[str, Clip]:
    photo, other = np.random.default_rng(0).integers(0, 256, (2, 300, 400, 3)).astype(np.uint8)
    return {clip.kind: clip for clip in clips_of(photo, other)}


def test_still_parts_stand_still_and_moved_parts_do_not(clips: dict[str, Clip]) -> None:
    for clip in clips.values():
        assert [frame.shape for frame in clip.frames] == [(HEIGHT, WIDTH, 3)] * FRAMES
        for t in range(1, FRAMES):
            changed = (clip.frames[t] != clip.frames[t - 1]).any(2)
            assert not clip.still or not changed[clip.still[t]].any()
    disc = clips["moving disc"]
    assert disc.moved
    assert 0.2 < disc.moved[9].mean() / disc.moved[0].mean() < 3
    pan = clips["pan, 3 pixels"].frames
    np.testing.assert_array_equal(pan[6][:-1, :-3], pan[5][1:, 3:])
    for t in (CUT - 1, CUT):
        assert (clips["cut"].frames[t] != clips["cut"].frames[0]).any() == (t == CUT)


def test_a_clip_without_noise_scores_at_most(clips: dict[str, Clip]) -> None:
    row = score(clips["still"], clips["still"].frames)
    assert row == {"psnr": np.inf, "flicker": 0}
    worse = [np.where(frame < 255, frame + 1, 254).astype(np.uint8) for frame in clips["moving disc"].frames]
    row = score(clips["moving disc"], worse)
    assert row["psnr"] == pytest.approx(row["moved"]) == pytest.approx(20 * np.log10(255))


def test_noise_is_as_strong_as_told_and_another_in_each_frame() -> None:
    grey = Clip("still", [np.full((64, 64, 3), 128, np.uint8)] * 2)
    for kind in ("15", "25"):
        first, second = (frame.astype(float) - 128 for frame in add_noise(grey, kind, 0))
        assert first.std() == pytest.approx(float(kind), rel=0.05)
        assert abs(np.mean(first * second)) < 0.1 * float(kind) ** 2
    dark = Clip("still", [np.full((64, 64, 3), 40, np.uint8)])
    camera = [add_noise(clip, "camera", 0)[0].std() for clip in (dark, grey)]
    assert camera[0] > 1.1 * camera[1] > 5


def test_ffmpeg_gives_back_as_many_frames(clips: dict[str, Clip]) -> None:
    need("ffmpeg")
    frames = clips["still"].frames  # atadenoise waits forever for a fourth
    for name in ffmpeg.FILTERS.keys() - {ffmpeg.SLOW}:
        assert np.shape(ffmpeg.by_ffmpeg(name, 1)(frames)) == (FRAMES, HEIGHT, WIDTH, 3)


def test_rows_name_the_file_of_their_network() -> None:
    for method, model in (("photo", "photo fp32"), ("photo-fast + temporal", "photo-fast fp32")):
        fingerprint = fingerprint_of(model_files()[model].read_bytes())
        assert bench_temporal.network_of(method) == {"model": model, "fingerprint": fingerprint}
    assert bench_temporal.network_of("temporal alone") == bench_temporal.network_of("ffmpeg nlmeans") == {}


def test_the_table_shows_what_the_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[results.Row] = [{"method": "noisy", "noise": "25", "clip": "pan", "psnr": 19.0}]
    rows += [{"method": "noisy", "noise": "25", "clip": "still", "psnr": 20.0, "flicker": 9.0}]
    rows += [{"method": "noisy", "noise": "25", "clip": "moving disc", "psnr": 21.0, "moved": 22.0}]
    rows += [{"method": "noisy", "noise": "25", "clip": "cut", "psnr": 23.0, "moved": 24.0}]
    rows += [{"method": "noisy", "ms_still": 10.4, "ms_pan": 20.6}]
    monkeypatch.setattr(results, "load", lambda _name: {"rows": rows, "machine": {"cpu": "this"}})
    line = table.temporal("25").splitlines()[2]
    assert line == "| noisy | 19.00 | 20.00 | 21.00 | 23.00 | 9.00 | 22.00 | 24.00 | 10 / 21 |"
