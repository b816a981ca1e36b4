"""Batches of photographs as pure functions of the step: crops, what they look like, and their noise. No torch here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels, noise
from train.camera import add_camera_noise
from train.crops import (
    in_two_colours,
    middle,
    sharpened,
    through_mesh,
    with_grain,
    with_soft_colour,
    with_vivid_colours,
)
from train.data import VALIDATION_SEED, Pair, Tensor, in_8_bits
from train.drawings import drawing
from train.edits import edited
from train.files import as_file
from train.flats import flat_part
from train.photo_folder import read_photos
from train.screens import on_screen

TEXTURED, CANDIDATES = 0.75, 4  # that share of the crops is the most textured one of so many
DRAWN, DRAWN_CLEAN = 0.07, 0.12  # that share of the crops, and of those without noise, is a drawing, no photograph
VIVID = 0.04  # that share of the crops has colours at the ends of the range
SWAPPED, NEGATIVE = 0.05, 0.02  # that share has its colours in another order, or turned round
COLOURED = 0.04  # that share of the crops has a pattern that is in colour alone
MESHED = 0.12  # that share of the crops is seen through a mesh
ON_SCREEN, ON_SCREEN_CLEAN = 0.03, 0.1  # that share of the crops, and of those without noise, is in few levels
PARTLY_FLAT = 0.15  # a part of that share of the crops is of one colour, without noise
MOST_SHRUNK = 4.0  # the factor, log-uniform from 1
SHRINKING = {cv2.INTER_AREA: 0.45, cv2.INTER_LINEAR: 0.4, cv2.INTER_NEAREST: 0.15}  # how, and how often
MOST_SHARPENED = 2.5  # by an unsharp mask of up to so much
SHARP_CLEAN = 0.8  # that share of the crops without noise is sharpened
SOFT_COLOUR, SOFT_COLOUR_CLEAN = 0.3, 0.6  # likewise, with colour differences that are softer than the luma
SOFT_COLOUR_CAMERA = 0.9  # and that share of those with a camera's noise
TEXTURE_BLOCK = 16  # pixels a side: how finely texture is mapped
EDITED = 0.3  # that share of the crops with white noise has been edited since
STRONG, STRONGEST = 0.08, 1.8  # that share of the crops with white noise has more than sigma, up to so many times
EIGHT_BIT = 0.75  # that share of the crops with white noise is clipped and rounded, as what files hold is
HELD_AS_FILES = 0.3  # that share of those rounded ones has gone through a file as JPEG or video, not as PNG
PADDED, MOST_PADDED = 0.25, 15  # that share of the lower and of the right edges is repeated, up to so many pixels


@dataclass(frozen=True)
class Look:
    """How crops look to a network for all pictures, or to one for the files of cameras alone."""

    grained: float  # that share of the crops gets a grain
    sharp: float  # that share of the crops with noise is sharpened
    enlarged: float  # of those with a camera's noise, the largest factor, log-uniform from 1
    blurred: tuple[float, float]  # of the same, the width in pixels of the Gaussian that stands for a lens
    at_edges: float  # of the same, how many times the sensor's noise there is at most


OF_ALL = Look(grained=0.12, sharp=0.3, enlarged=2.0, blurred=(0.0, 0.8), at_edges=1.0)
# the photographs for training are shrunk: a camera's own have several times as many pixels a side, and are as soft
OF_CAMERAS = Look(grained=0.0, sharp=0.0, enlarged=8.0, blurred=(0.5, 1.5), at_edges=4.0)


class Photos:
    """Random crops of photographs, shrunk by a random factor, flipped and turned, most with sigma from 0 to `sigma`.

    A share `camera` of them has the noise of a camera instead, and is as soft as what a camera takes: enlarged by a
    random factor, blurred a little, its colour more. Where all have, they are softer still, none has a grain or is
    sharpened, and there is more noise at edges: a network that is to keep sand keeps specks. A share `clean` of the
    others has no noise. A share `grey` of all is grey, and its noise the same in all colours: a network that never saw
    that takes it for texture, and leaves it. Where all are, images have one channel. The lower and the right edge of
    some are repeated, as the runtime does up to the stride: noise repeated is stripes, which a network that never saw
    them takes for picture.

    Some are drawings instead (`drawings.py`): letters and flat colours, which photographs hardly have.

    A part of some is flat and without noise (`flats.py`), as beside frames, bars and boxes. The white noise of some is
    as an edit leaves it (`edits.py`).

    Some are seen through a mesh: what cloth, nets, blinds and screens look like, photographs for training rarely hold,
    and a network that did not see it takes it for noise and wipes it out. So are some shown in few levels
    (`screens.py`), some with a pattern that is in colour alone, and some in vivid or unusual colours, of which noise
    that clips leaves another share in each. Some have a grain that is the same in all colours, which the noise of grey
    photographs and of cameras alone must not be taken for: what sand and lawns are.

    Shrinking shows the network more detail per pixel, as small photographs have it, and averages JPEG's traces away;
    half of it is done without averaging, which leaves detail as fine as pixels can hold. Some are sharpened, as
    cameras and programs that shrink pictures do it; of some the colour differences are blurred, as files hold them:
    else a texture in luma alone is taken for what a camera's noise reduction leaves. Crops without noise mostly are
    both, as that is what comes out worst: fields, pebbles, foam.
    Most of a photograph is smooth: most crops are the most textured one of several drawn.
    """

    steps_per_epoch = 500

    def __init__(
        self,
        folder: Path,
        batch: int,
        crop: int,
        sigma: float,
        seed: int,
        camera: float = 0.0,
        clean: float = 0.0,
        grey: float = 0.0,
    ) -> None:
        self.photos, held_out, self.digest = read_photos(folder)
        self.textures = [_texture(photo) for photo in self.photos]
        self.size, self.crop, self.sigma, self.seed = batch, crop, sigma, seed
        self.camera, self.clean, self.grey = camera, clean, grey
        self.look = OF_CAMERAS if camera == 1 else OF_ALL
        self.channels = 1 if grey == 1 else 3
        self.without_noise = self._pictures(held_out)
        self.validation = self._pairs([middle(photo, 256) for photo in held_out])

    def batch(self, step: int) -> Pair:
        rng = np.random.default_rng([self.seed, step])
        by_camera = rng.random(self.size) < self.camera
        noiseless = ~by_camera & (rng.random(self.size) < self.clean)
        grey = rng.random(self.size) < self.grey
        crops = [self._crop(rng, without_noise, alike) for without_noise, alike in zip(noiseless, grey, strict=True)]
        crops = [self._softened(crop, rng) if camera else crop for crop, camera in zip(crops, by_camera, strict=True)]
        crops = [_grey(crop) if alike else crop for crop, alike in zip(crops, grey, strict=True)]
        clean = kernels.to_float(np.stack(crops)).transpose(0, 3, 1, 2).copy()
        sigma = self.sigma * np.interp(rng.random(self.size), (0, 1 - STRONG, 1), (0, 1, STRONGEST)) * ~noiseless
        noisy = noise.add_gaussian(clean, sigma, seed=self.seed + 1 + step, index=np.arange(self.size))
        noisy[grey] = noisy[grey, :1]
        for i in np.flatnonzero(~by_camera & ~noiseless & (rng.random(self.size) < EDITED)):
            noisy[i], clean[i] = edited(noisy[i], clean[i], grey[i], rng)
        rounded = rng.random(self.size) < EIGHT_BIT
        noisy[rounded] = in_8_bits(noisy[rounded])
        for i in np.flatnonzero(by_camera):
            seen = add_camera_noise(crops[i], rng, self.look.at_edges)
            noisy[i] = _planes(_grey(seen) if grey[i] else seen)[0]
        for i in np.flatnonzero(rng.random(self.size) < PARTLY_FLAT):
            where, colour = flat_part((self.crop, self.crop), rng)
            _flatten((noisy[i], clean[i]), where, colour[:1] if grey[i] else colour)
        for i in np.flatnonzero(rounded & ~by_camera & ~noiseless & ~grey & (rng.random(self.size) < HELD_AS_FILES)):
            noisy[i] = _as_file(noisy[i], rng)
        padding = rng.integers(1, MOST_PADDED, (self.size, 2), endpoint=True) * (rng.random((self.size, 2)) < PADDED)
        for image, (rows, columns) in zip((*noisy, *clean), (*padding, *padding), strict=True):
            _repeat_edges(image, rows, columns)
        return noisy[:, : self.channels], clean[:, : self.channels]

    def _pictures(self, photos: list[NDArray[np.uint8]]) -> dict[str, list[Tensor]]:
        """Held-out pictures by kind that should come out as they are."""
        clean = [middle(cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 256) for photo in photos]
        kinds = {
            "clean": clean,
            "mesh": [through_mesh(photo, np.random.default_rng(i)) for i, photo in enumerate(clean)],
            "screen": [on_screen(photo, np.random.default_rng(i)) for i, photo in enumerate(clean)],
            "fine": [middle(photo[2::4, 2::4], 256) for photo in photos],
            "sharp": [with_soft_colour(sharpened(photo, 2.0, 1.0), 1.0) for photo in clean],
        }
        return {kind: [self._held_out(picture) for picture in pictures] for kind, pictures in kinds.items()}

    def _pairs(self, photos: list[NDArray[np.uint8]]) -> list[Pair]:
        """Held-out (noisy, clean): white noise of three strengths, edited, in files, beside flat parts; a camera's."""
        white, by_camera, partly_flat, in_files, edits = [], [], [], [], []
        for i, photo in enumerate(photos if self.camera < 1 else []):
            clean = self._held_out(photo)
            for sigma in (15.0, 25.0, 50.0):
                noisy = in_8_bits(noise.add_gaussian(clean, sigma, seed=VALIDATION_SEED, index=i))
                white.append((noisy, clean))
                if sigma == 25:
                    partly_flat.append(self._partly_flat(noisy, clean, np.random.default_rng(i)))
                    edits.append(self._edited(noisy, clean, np.random.default_rng(i)))
                if sigma == 25 and self.grey < 1:
                    in_files.append((_as_file(noisy[0], np.random.default_rng(i))[None], clean))
        for i, photo in enumerate(photos if self.camera else []):
            rng = np.random.default_rng(i)
            soft = self._softened(photo, rng)
            seen = add_camera_noise(soft, rng, self.look.at_edges)
            by_camera.append((self._held_out(seen), self._held_out(soft)))
        return white + by_camera + partly_flat + in_files + edits

    def _edited(self, noisy: Tensor, clean: Tensor, rng: np.random.Generator) -> Pair:
        noisy, clean = (image[None] for image in edited(noisy[0], clean[0], self.channels == 1, rng))
        return in_8_bits(noisy), clean

    def _partly_flat(self, noisy: Tensor, clean: Tensor, rng: np.random.Generator) -> Pair:
        noisy, clean = noisy.copy(), clean.copy()
        where, colour = flat_part(clean.shape[2:], rng)
        _flatten((noisy[0], clean[0]), where, colour[: self.channels])
        return noisy, clean

    def _held_out(self, image: NDArray[Any]) -> Tensor:
        """(H, W, 3), uint8 or float32 in [0, 1] -> float32 (1, C, H, W) in [0, 1]."""
        image = kernels.to_float(image)
        return _planes(_grey(image) if self.channels == 1 else image)[:, : self.channels]

    def _crop(self, rng: np.random.Generator, without_noise: bool, grey: bool) -> NDArray[np.uint8]:
        drawn = rng.random() < (DRAWN_CLEAN if without_noise else DRAWN)
        crop = drawing(self.crop, rng) if drawn else self._part(rng, grey)
        if self.camera < 1:
            crop = _as_made(crop, without_noise, rng)
        if rng.random() < (SHARP_CLEAN if without_noise else self.look.sharp):
            crop = sharpened(crop, rng.uniform(0, MOST_SHARPENED), rng.uniform(0.5, 1.5))
        if rng.random() < (SOFT_COLOUR_CLEAN if without_noise else SOFT_COLOUR):
            crop = with_soft_colour(crop, rng.uniform(0.5, 2.5))
        crop = np.rot90(crop, rng.integers(4))
        return crop[:, ::-1] if rng.random() < 0.5 else crop

    def _part(self, rng: np.random.Generator, grey: bool) -> NDArray[np.uint8]:
        """A square of a photograph, shrunk to a crop's side; some through a mesh, some that stay colour with a grain.

        On a grey one nothing tells a grain from noise.
        """
        places = [self._place(rng) for _ in range(CANDIDATES if rng.random() < TEXTURED else 1)]
        index, top, left, side = max(places, key=self._texture_at)
        crop = self.photos[index][top : top + side, left : left + side]
        if side != self.crop:
            how = int(rng.choice(list(SHRINKING), p=list(SHRINKING.values())))
            crop = cv2.resize(crop, (self.crop, self.crop), interpolation=how)
        drawn_for = rng.random()
        if drawn_for < MESHED:
            crop = through_mesh(crop, rng)
        elif drawn_for < MESHED + self.look.grained and not grey:
            crop = with_grain(crop, rng)
        return crop

    def _softened(self, crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """A part of a crop as large as the whole, as soft as lens and demosaicing leave it: colour most of all."""
        shape = np.array(crop.shape[:2])
        part = (shape / self.look.enlarged ** rng.random()).astype(int)
        top, left = rng.integers(shape - part + 1)
        crop = crop[top : top + part[0], left : left + part[1]]
        crop = cv2.resize(crop, shape[::-1].tolist(), interpolation=cv2.INTER_CUBIC)
        if rng.random() < SOFT_COLOUR_CAMERA:
            crop = with_soft_colour(crop, rng.uniform(0.5, 2.5))
        return cv2.GaussianBlur(crop, (0, 0), rng.uniform(*self.look.blurred))

    def _place(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Index of a photograph, top, left and side of a square in it."""
        index = int(rng.integers(len(self.photos)))
        height, width = self.photos[index].shape[:2]
        shrink = 1.0 if rng.random() < 0.2 else MOST_SHRUNK ** rng.random()
        side = min(int(self.crop * shrink), height, width)
        return index, int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side

    def _texture_at(self, place: tuple[int, int, int, int]) -> float:
        index, *corner, side = place
        rows, columns = (slice(start // TEXTURE_BLOCK, (start + side) // TEXTURE_BLOCK + 1) for start in corner)
        return float(self.textures[index][rows, columns].mean())


def _as_made(crop: NDArray[np.uint8], without_noise: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Some crops as no camera takes them: in other colours, negative, with patterns of colour, in few levels."""
    in_few_levels = ON_SCREEN_CLEAN if without_noise else ON_SCREEN
    vivid, swapped, negative, coloured, few = rng.random(5) < (VIVID, SWAPPED, NEGATIVE, COLOURED, in_few_levels)
    crop = with_vivid_colours(crop, rng) if vivid else crop
    crop = crop[..., rng.permutation(3)] if swapped else crop
    crop = 255 - crop if negative else crop
    crop = in_two_colours(crop, rng) if coloured else crop
    return on_screen(np.ascontiguousarray(crop), rng) if few else crop


def _texture(photo: NDArray[np.uint8]) -> Tensor:
    """Mean absolute Laplacian of the green channel per block; at half the size, where a sensor's own grain is gone."""
    half = cv2.resize(photo[..., 1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    height, width = (-(-length // TEXTURE_BLOCK) for length in photo.shape[:2])
    energy = np.abs(cv2.Laplacian(half, cv2.CV_32F))
    return cv2.resize(energy, (width, height), interpolation=cv2.INTER_AREA)


def _flatten(images: Iterable[Tensor], where: NDArray[np.bool_], colour: Tensor) -> None:
    """Overwrite a part of each (C, H, W) with one colour of C values, or of one for all."""
    for image in images:
        image[:, where] = colour[:, None]


def _repeat_edges(image: Tensor, rows: int, columns: int) -> None:
    """Overwrite so many rows and columns at the end of (C, H, W) with copies of the one before."""
    height, width = image.shape[1:]
    image[:, height - rows :] = image[:, height - rows - 1, None]
    image[:, :, width - columns :] = image[:, :, width - columns - 1, None]


def _grey(image: NDArray[Any]) -> NDArray[Any]:
    """The luma of ITU-R BT.601 in all three colours."""
    return np.repeat(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _as_file(noisy: Tensor, rng: np.random.Generator) -> Tensor:
    """(3, H, W) float32 of 8-bit levels, the same as a file gives it back."""
    levels = kernels.from_float(noisy, np.uint8).transpose(1, 2, 0)
    return _planes(kernels.to_float(as_file(np.ascontiguousarray(levels), rng)))[0]


def _planes(image: Tensor) -> Tensor:
    """(H, W, C) -> (1, C, H, W)."""
    return image.transpose(2, 0, 1)[None].copy()
