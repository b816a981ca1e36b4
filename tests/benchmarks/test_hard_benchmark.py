"""What is measured of hard pictures says what it says: of a picture left alone, and of one wiped out."""

import numpy as np
import pytest

from benchmarks import bench_hard, results, table
from benchmarks.noisy import Image, Images

IMAGES: Images = [(0, np.random.default_rng(0).uniform(0.3, 0.7, (256, 256, 3)).astype(np.float32))]


def figures_of(value: float | None) -> dict[str, float]:
    """Every figure of what gives its input back, or one value everywhere."""

    def denoise(image: Image, _sigma: float) -> Image:
        return image if value is None else np.full_like(image, value)

    return {row["what"]: row["figure"] for row in bench_hard.measurements(denoise, IMAGES)}


def test_a_picture_left_alone_keeps_its_noise_its_meshes_its_stars_and_its_edges() -> None:
    found = figures_of(None)
    found.pop("white noise, in a part of a frame of video, dB")
    white = [found.pop(what) for what in list(found) if "white noise" in what or "blurred" in what]
    np.testing.assert_allclose(white, 20.2, atol=0.1)  # of sigma 25
    np.testing.assert_allclose(found.pop("rows brighter or darker by 10 levels, dB"), 28.1, atol=0.6)
    np.testing.assert_allclose(
        found.pop("5 % of the pixels black or white, dB"), -10 * np.log10(0.05 * 0.263), atol=0.3
    )
    np.testing.assert_allclose(found.pop("0.2 % of the pixels white, dB"), -10 * np.log10(0.002 * 0.263), atol=2)
    untouched = [found.pop(what) for what in list(found) if what.startswith("no noise") or "sigma 0, dB" in what]
    assert untouched == [48.13] * 5
    assert (
        28 < found.pop("letters for a screen's stripes, sigma 10, dB") < 33
    )  # half of it is cut off at black and white
    assert (
        9 < found.pop("one flat colour of 125, levels off, median") < 11
    )  # 25 / sqrt(2 pi) where one channel is cut off
    assert 9 < found.pop("one flat colour of 125, levels off, the worst tenth from") < 12
    assert [figure for what, figure in found.items() if what.startswith("height")] == [1.0, 1.0, 1.0]
    assert [figure for what, figure in found.items() if not what.startswith("height")] == [0, 0, 0, 0]


def test_a_frame_of_video_has_the_luma_s_noise_and_a_quarter_of_the_colours() -> None:
    flat = np.full((256, 256, 3), 0.5, np.float32)
    error = bench_hard.video(flat, np.random.default_rng(0)) - flat
    luma = error @ np.array([0.299, 0.587, 0.114], np.float32)
    assert luma.std() * 255 == pytest.approx(25 * np.linalg.norm([0.299, 0.587, 0.114]), rel=0.02)
    colour = error - luma[..., None]
    assert np.ptp(colour[1:3, 1:3].reshape(4, 3), axis=0).max() * 255 < 3  # the second and third pixels share it


def test_a_picture_wiped_out_loses_them() -> None:
    found = figures_of(0.5)
    heights = [figure for what, figure in found.items() if what.startswith("height")]
    np.testing.assert_allclose(heights, (0.5 - bench_hard.SKY) / (bench_hard.STAR - bench_hard.SKY), atol=0.01)
    assert found["gain through meshes, mean, dB"] < -3
    assert found["no noise, crops in 2 to 5 levels, mean, dB"] < 15
    assert found["the same, at most"] == 128.0


def test_a_card_shows_what_its_model_is_bad_at_beside_the_noisy_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"method": method, "what": what, "figure": figure}
        for method, figures in (("noisy", (20.0, 1.0)), ("photo-fast fp32", (3.0, 4.0)), ("photo fp32", (30.0, 0.5)))
        for what, figure in zip(("noise", "stars"), figures, strict=True)
    ]
    monkeypatch.setattr(results, "load", lambda _name: {"rows": rows})
    lines = table.hard("photo").splitlines()
    assert lines[0].endswith("| noisy | photo fp32 |")
    assert lines[2:] == ["| noise | 20.00 | 30.00 |", "| stars | 1.00 | 0.50 |"]
