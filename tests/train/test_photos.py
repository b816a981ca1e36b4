"""Crops, looks and noise of photographs follow from the step; some are held out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aeinfer.errors import InputError
from train.camera import LUMA
from train.crops import in_two_colours, with_vivid_colours
from train.photos import MESHED, MOST_PADDED, OF_ALL, OF_CAMERAS, Look, Photos

Photo = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def pictures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No crop is partly flat, which has no noise to measure, or as no camera takes it; tests below have some back."""
    for share in ("PARTLY_FLAT", "ON_SCREEN", "ON_SCREEN_CLEAN", "VIVID", "SWAPPED", "NEGATIVE", "COLOURED"):
        monkeypatch.setattr(f"train.photos.{share}", 0.0)


def test_photo_crops_follow_from_the_step(photos: Path) -> None:
    first, second = (Photos(photos, 4, 64, 55, seed=1) for _ in range(2))
    for step in (0, 9):
        (noisy, clean), (noisy_again, clean_again) = first.batch(step), second.batch(step)
        assert np.array_equal(noisy, noisy_again)
        assert np.array_equal(clean, clean_again)
        assert clean.shape == noisy.shape == (4, 3, 64, 64)
        assert clean.dtype == noisy.dtype == np.float32
        assert clean.min() >= 0
        assert clean.max() <= 1


def test_photo_noise_covers_the_range(photos: Path) -> None:
    data = Photos(photos, 32, 32, 55, seed=2, clean=0.02)
    sigmas = np.concatenate([(noisy - clean).std((1, 2, 3)) * 255 for noisy, clean in map(data.batch, range(12))])
    assert 70 < sigmas.max() < 103
    assert 0.02 < np.mean(sigmas > 58) < 0.12  # stronger than asked for
    assert 0.3 < np.mean(sigmas < 20) < 0.5
    assert 0 < np.mean(sigmas == 0) < 0.06  # left clean


def test_photo_validation_is_clipped_noise_of_three_strengths(photos: Path) -> None:
    pairs = Photos(photos, 2, 32, 55, seed=1).validation
    assert len(pairs) == 6  # one held-out photograph
    assert all(noisy.min() >= 0 and noisy.max() <= 1 for noisy, _clean in pairs)
    assert all(noisy.shape[2] % 16 == 0 for noisy, _clean in pairs)
    strengths = [(noisy - clean).std() for noisy, clean in pairs]
    assert strengths[:3] == sorted(strengths[:3])
    assert not np.array_equal(pairs[4][0], pairs[1][0]), "the fifth is the second, gone through a file"
    assert (pairs[5][0] != pairs[1][0]).mean() > 0.5, "the last is edited"
    flat = (pairs[3][0] == pairs[3][1]).all(1)
    assert 0 < flat.mean() < 1, "the fourth is the second, with a flat part"
    assert np.ptp(pairs[3][1].transpose(0, 2, 3, 1)[flat], axis=0).max() == 0
    np.testing.assert_array_equal(pairs[3][0].transpose(0, 2, 3, 1)[~flat], pairs[1][0].transpose(0, 2, 3, 1)[~flat])


def test_pictures_without_noise_are_held_out_ones_in_five_ways(photos: Path) -> None:
    data = Photos(photos, 2, 32, 55, seed=1)
    clean, meshed, fine, sharp = (data.without_noise[kind] for kind in ("clean", "mesh", "fine", "sharp"))
    assert len(clean) == len(meshed) == len(fine) == len(sharp) == 1
    assert clean[0].shape == meshed[0].shape == sharp[0].shape
    assert np.abs(np.diff(sharp[0])).mean() > np.abs(np.diff(clean[0])).mean()
    assert not np.array_equal(clean[0], meshed[0])
    (screen,) = data.without_noise["screen"]
    assert len(np.unique(screen)) <= 5 < len(np.unique(clean[0]))
    photo = cv2.imread(str(sorted(photos.iterdir())[0]), cv2.IMREAD_COLOR_RGB)
    kept = {tuple(pixel) for pixel in photo.reshape(-1, 3)}
    assert {tuple(pixel) for pixel in np.rint(255 * fine[0][0].reshape(3, -1).T).astype(int)} <= kept
    np.testing.assert_array_equal(meshed[0], Photos(photos, 2, 32, 55, seed=2).without_noise["mesh"][0])
    assert {part.shape[1] for part in Photos(photos, 2, 32, 55, seed=1, grey=1.0).without_noise["mesh"]} == {1}


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    """Hidden files are none."""
    for name in ("._one.jpg", "._two.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="at least 2 photographs"):
        Photos(tmp_path, 2, 32, 55, seed=0)


def test_what_is_no_folder_is_refused(photos: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder of photographs.*0\.png; name one with --data"):
        Photos(photos / "0.png", 2, 32, 55, seed=0)


def test_photographs_that_are_cut_or_tiny_are_named(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    whole = cv2.imencode(".jpg", image)[1].tobytes()
    for content, said in (
        (whole[: len(whole) // 3], "truncated"),
        (cv2.imencode(".jpg", image[:1])[1], "1x100 pixels"),
    ):
        (tmp_path / "0.jpg").write_bytes(whole)
        (tmp_path / "1.jpg").write_bytes(content)
        with pytest.raises(InputError, match=rf"expected a photograph.*1\.jpg: .*{said}"):
            Photos(tmp_path, 2, 32, 55, seed=0)


@pytest.mark.parametrize("side", [10, 31, 63])
def test_a_held_out_photograph_too_small_to_measure_is_refused(tmp_path: Path, side: int) -> None:
    """Others may be smaller: crops of them are enlarged."""
    held_out, trained_on = tmp_path / "0.png", tmp_path / "1.png"
    for path, width in ((held_out, 64), (trained_on, side)):
        cv2.imwrite(str(path), np.full((100, width, 3), 120, np.uint8))
    data = Photos(tmp_path, 2, 32, 55, seed=0)
    assert data.batch(0)[0].shape == (2, 3, 32, 32)
    assert all(min(image.shape[2:]) >= 16 for images in data.without_noise.values() for image in images)
    trained_on.replace(held_out)
    cv2.imwrite(str(trained_on), np.full((100, 64, 3), 120, np.uint8))
    with pytest.raises(InputError, match=rf"at least 64x64 pixels, got 100x{side} in .*0\.png; take it out"):
        Photos(tmp_path, 2, 32, 55, seed=0)


def test_some_crops_have_a_cameras_noise(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera's noise is correlated between neighbours and comes in whole 8-bit levels."""
    monkeypatch.setattr("train.photos.PADDED", 0.0)  # noise that is repeated is correlated too
    monkeypatch.setattr("train.photos.HELD_AS_FILES", 0.0)  # and what has gone through a JPEG
    monkeypatch.setattr("train.photos.EDITED", 0.0)  # or was enlarged
    correlations = {}
    for share in (0.0, 0.5, 1.0):
        data = Photos(photos, 32, 64, 55, seed=0, camera=share)
        noisy, clean = data.batch(3)
        assert np.array_equal(noisy, data.batch(3)[0])
        noise = [crop for crop in (noisy - clean)[:, 1] if crop.any()]
        correlations[share] = np.array([np.corrcoef(n[:, 1:].ravel(), n[:, :-1].ravel())[0, 1] for n in noise])
    assert abs(correlations[0.0]).max() < 0.25
    assert np.median(correlations[1.0]) > 0.25
    assert 0 < np.mean(correlations[0.5] > 0.25) < 1
    assert np.allclose(noisy * 255, np.round(noisy * 255), atol=1e-3)


def test_most_crops_are_of_the_textured_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(2):
        photo = np.full((400, 800, 3), 128, np.uint8)
        photo[:, 400:] = cv2.resize(rng.integers(0, 256, (100, 100, 3), dtype=np.uint8), (400, 400))
        cv2.imwrite(str(tmp_path / f"{i}.png"), photo)
    _noisy, clean = Photos(tmp_path, 64, 32, 0, seed=0).batch(0)
    textured = np.mean(clean.std((1, 2, 3)) > 0.02)
    assert 0.8 < textured < 1


@pytest.mark.parametrize(("drawn", "meshed", "grained"), [(0.12, 0, 0), (0, MESHED, 0), (0, 0, OF_ALL.grained)])
def test_some_crops_are_drawings_some_seen_through_a_mesh_and_some_have_a_grain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: float, meshed: float, grained: float
) -> None:
    monkeypatch.setattr("train.photos.DRAWN", drawn)
    monkeypatch.setattr("train.photos.MESHED", meshed)
    monkeypatch.setattr("train.photos.OF_ALL", replace(OF_ALL, grained=grained))
    for n in range(2):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((128, 128, 3), 120, np.uint8))
    _, clean = Photos(tmp_path, 200, 32, 25, seed=0).batch(0)
    assert 12 <= (clean.std((1, 2, 3)) > 0.01).sum() <= 36  # 24 are expected of 200


@pytest.mark.parametrize(("look", "most"), [(OF_ALL, 0.65), (OF_CAMERAS, 0.4)])
def test_crops_of_a_camera_are_soft_and_softest_in_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look, most: float
) -> None:
    for share in ("DRAWN", "DRAWN_CLEAN", "MESHED", "SOFT_COLOUR"):
        monkeypatch.setattr(f"train.photos.{share}", 0.0)
    for name in ("OF_ALL", "OF_CAMERAS"):
        monkeypatch.setattr(f"train.photos.{name}", replace(look, grained=0.0, sharp=0.0))
    for i in range(4):
        grain = np.random.default_rng(i).integers(0, 256, (200, 200, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{i}.png"), cv2.GaussianBlur(grain, (0, 0), 0.7))

    def detail(camera: float) -> tuple[float, float]:
        data = Photos(tmp_path, 32, 64, 0, seed=0, camera=camera)
        clean = np.concatenate([data.batch(step)[1] for step in range(4)])
        luma = np.tensordot(clean, LUMA, (1, 0))[:, None]
        of_luma, of_colour = (float(np.abs(np.diff(x, axis=-1)).mean()) for x in (luma, clean - luma))
        return of_luma, of_colour

    (luma, colour), (luma_before, colour_before) = detail(1.0), detail(0.0)
    assert luma < most * luma_before
    assert colour / colour_before < 0.75 * luma / luma_before


def test_a_network_for_cameras_alone_sees_no_grain_and_is_judged_by_their_noise(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.photos.DRAWN", 0.0)  # a drawing is not flat, and no grain
    for n in range(2):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((128, 128, 3), 120, np.uint8))
    _, clean = Photos(tmp_path, 200, 32, 55, seed=0, camera=1.0).batch(0)
    assert (clean.std((2, 3)).max(1) > 0.01).mean() < 1.5 * MESHED  # what is flat stays so, but for meshes
    both, alone = (Photos(photos, 2, 32, 55, seed=0, camera=share).validation for share in (0.5, 1.0))
    assert (len(both), len(alone)) == (7, 1)  # one held-out photograph, under each noise that there is
    assert np.abs(np.diff(both[3][1])).mean() > 1.5 * np.abs(np.diff(alone[0][1])).mean(), "its own are softer"


def test_crops_without_noise_are_sharper(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sharp is mistaken for noise, which only crops without any can tell a network."""
    for share in ("DRAWN", "DRAWN_CLEAN"):  # a drawing may be of one colour
        monkeypatch.setattr(f"train.photos.{share}", 0.0)
    data = Photos(photos, 256, 32, 55, seed=0, clean=0.5)
    noisy, clean = data.batch(0)
    without = (noisy == clean).all((1, 2, 3))
    detail = np.abs(np.diff(clean, axis=-1)).mean((1, 2, 3)) / clean.std((2, 3)).mean(1)
    assert detail[without].mean() > 1.05 * detail[~without].mean()


@pytest.mark.parametrize(("clean", "expected"), [(0.0, 12), (1.0, 40)])
def test_some_crops_are_in_few_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: float, expected: int
) -> None:
    for share, value in {
        "DRAWN": 0.0,
        "DRAWN_CLEAN": 0.0,
        "SHARP_CLEAN": 0.0,
        "SOFT_COLOUR_CLEAN": 0.0,
        "SOFT_COLOUR": 0.0,
    }.items():
        monkeypatch.setattr(f"train.photos.{share}", value)
    monkeypatch.setattr("train.photos.ON_SCREEN", 0.03)
    monkeypatch.setattr("train.photos.ON_SCREEN_CLEAN", 0.1)
    for n in range(2):
        noise = np.random.default_rng(n).integers(0, 256, (100, 100, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{n}.png"), noise)
    _, crops = Photos(tmp_path, 400, 32, 55, seed=0, clean=clean).batch(0)
    few = sum(len(np.unique(crop[0])) <= 5 for crop in crops)
    assert expected / 2 < few < 1.6 * expected  # the others have hundreds of levels


@pytest.mark.parametrize(
    ("share", "made"),
    [
        ("NEGATIVE", lambda photo: 255 - photo),
        ("SWAPPED", lambda photo: photo[..., ::-1]),
        ("VIVID", lambda photo: with_vivid_colours(photo, np.random.default_rng(0))),
        ("COLOURED", lambda photo: in_two_colours(photo, np.random.default_rng(0))),
    ],
)
def test_some_crops_are_as_no_camera_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, made: Callable[[Photo], Photo]
) -> None:
    """Of flat photographs of one colour: those that are of another one now, as that share alone makes it."""
    for other in ("DRAWN", "DRAWN_CLEAN", "MESHED"):
        monkeypatch.setattr(f"train.photos.{other}", 0.0)
    monkeypatch.setattr("train.photos.OF_ALL", replace(OF_ALL, grained=0.0))
    monkeypatch.setattr(f"train.photos.{share}", 0.5)
    flat = np.full((100, 100, 3), (100, 30, 60), np.uint8)
    assert (made(flat) != flat).any()
    for n in range(2):
        cv2.imwrite(str(tmp_path / f"{n}.png"), flat[..., ::-1])
    _, crops = Photos(tmp_path, 200, 32, 55, seed=0).batch(0)
    changed = (np.abs(crops * 255 - flat[0, 0, :, None, None]) > 1).any((1, 2, 3))
    assert 60 < changed.sum() < 120  # one permutation of six leaves a colour as it was
    monkeypatch.setattr(f"train.photos.{share}", 0.0)
    _, crops = Photos(tmp_path, 200, 32, 55, seed=0).batch(0)
    assert (np.abs(crops * 255 - flat[0, 0, :, None, None]) <= 1).all()


@pytest.mark.parametrize("camera", [0.0, 1.0])
def test_grey_crops_have_the_same_noise_in_all_colours(
    photos: Path, monkeypatch: pytest.MonkeyPatch, camera: float
) -> None:
    for share in ("DRAWN", "DRAWN_CLEAN"):  # some drawings are of greys alone, and their noise has colours
        monkeypatch.setattr(f"train.photos.{share}", 0.0)
    data = Photos(photos, 32, 64, 55, seed=0, camera=camera, grey=0.5)
    noisy, clean = data.batch(3)
    grey = np.ptp(clean, axis=1).max((1, 2)) == 0
    assert 4 < grey.sum() < 28
    np.testing.assert_array_equal(grey, np.ptp(noisy, axis=1).max((1, 2)) == 0)
    noisy, clean = (np.concatenate(parts) for parts in zip(*map(data.batch, range(4)), strict=True))
    grey = np.ptp(noisy, axis=1).max((1, 2)) == 0
    strengths = (noisy - clean).std((1, 2, 3)) * 255
    assert (strengths[grey] > 0).mean() > 0.9
    assert 0.4 < strengths[grey].mean() / strengths[~grey].mean() < 1.6, "as strong as that of colours"


@pytest.mark.parametrize("axis", [2, 3])
def test_some_lower_and_right_edges_are_repeated(photos: Path, axis: int) -> None:
    """As the runtime pads: the last rows and columns of both images of a pair are copies of the one before them."""
    data = Photos(photos, 32, 64, 55, seed=0)

    def repeated(images: NDArray[np.float32]) -> NDArray[np.int64]:
        same = (np.diff(images, axis=axis) == 0).all((1, 5 - axis))
        return np.argmin(same[:, ::-1], axis=1)

    noisy, clean = (
        np.concatenate(list(map(repeated, parts))) for parts in zip(*map(data.batch, range(4)), strict=True)
    )
    assert (clean >= noisy).all()
    assert 0.1 < (noisy > 0).mean() < 0.4
    assert MOST_PADDED // 2 < noisy.max() <= MOST_PADDED


def test_where_all_crops_are_grey_images_have_one_channel(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.flats.BLACK", 1.0)  # a colour is drawn for each channel there is
    data = Photos(photos, 4, 64, 55, seed=0, camera=0.3, grey=1.0)
    colored = Photos(photos, 4, 64, 55, seed=0, camera=0.3)
    assert {part.shape[:2] for part in data.batch(0)} == {(4, 1)}
    assert {part.shape[1] for pair in data.validation for part in pair} == {1}
    pairs = colored.validation[: len(data.validation)]  # what is behind is noise that went through files
    luma = [cv2.cvtColor(clean[0].transpose(1, 2, 0).copy(), cv2.COLOR_RGB2GRAY) for _, clean in pairs]
    np.testing.assert_array_equal([clean[0, 0] for _, clean in data.validation], luma)


@pytest.mark.parametrize("camera", [0.0, 1.0])
def test_a_part_of_some_crops_is_of_one_colour_and_without_noise(
    photos: Path, monkeypatch: pytest.MonkeyPatch, camera: float
) -> None:
    monkeypatch.setattr("train.photos.HELD_AS_FILES", 0.0)
    monkeypatch.setattr("train.photos.PADDED", 0.0)
    plain = Photos(photos, 16, 64, 55, seed=0, camera=camera, grey=0.25).batch(0)[1]
    monkeypatch.setattr("train.photos.PARTLY_FLAT", 1.0)
    noisy, clean = (part.transpose(0, 2, 3, 1) for part in Photos(photos, 16, 64, 55, 0, camera, grey=0.25).batch(0))
    parts = (clean != plain.transpose(0, 2, 3, 1)).any(3)
    assert 0.1 < parts.mean() < 0.5
    for noisy_one, clean_one, part in zip(noisy, clean, parts, strict=True):
        assert not part.any() or len(np.unique(clean_one[part], axis=0)) == 1
        np.testing.assert_array_equal(noisy_one[part], clean_one[part])
