"""White noise where a picture was edited: shared by the colours, unequal, uneven, beside none, enlarged; no torch here.

A network that saw noise only as strong everywhere, in all colours apart or in all the same, takes whatever lies between
for texture, and leaves half of it: with the colours made paler by two fifths after the noise, 5 dB.
Images are float32 (C, H, W), not clipped; `noisy - clean` is the noise.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from train.flats import flat_part

__all__ = ["edited"]

Image = NDArray[np.float32]
Edit = Callable[[Image, Image, np.random.Generator], tuple[Image, Image]]

PALEST, MOST_COLOURFUL = 0.1, 1.3  # times the differences between the colours of the noise
CHANNEL_SPREAD = 0.4  # standard deviation of the logarithm of each colour's strength
WEAKEST, STRONGEST = 0.2, 2.0  # of noise that is uneven, times its own strength
LEAST_LIGHT = 0.02  # that is counted to black, where the noise of light would be none
QUIET = 0.4  # the most that is left of the noise around an island, or in it
MOST_ENLARGED = 1.8


def edited(noisy: Image, clean: Image, grey: bool, rng: np.random.Generator) -> tuple[Image, Image]:
    """A picture with white noise and without, both as some edit leaves them; grey ones stay grey."""
    edits, shares = zip(*(GREY if grey else COLOUR).items(), strict=True)
    edit: Edit = edits[rng.choice(len(edits), p=shares)]
    return edit(noisy, clean, rng)


def _shared(noisy: Image, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Noise that the colours share a part of: paler or more colourful pictures, mixed channels, old video."""
    noise = noisy - clean
    weights = rng.dirichlet((2, 2, 2)).astype(np.float32)
    alike = np.tensordot(weights, noise, 1)
    return clean + alike + np.float32(rng.uniform(PALEST, MOST_COLOURFUL)) * (noise - alike), clean


def _unequal(noisy: Image, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Noise stronger in one colour than in the next, as white balance makes it."""
    gains = np.exp(rng.normal(0, CHANNEL_SPREAD, (3, 1, 1))).astype(np.float32)
    return clean + gains * (noisy - clean), clean


def _uneven(noisy: Image, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Noise stronger here than there: in the corners, in lifted shadows, or where there is more light."""
    if rng.random() < 0.5:
        light = np.maximum(clean, LEAST_LIGHT)
        strength = np.sqrt(light / light.mean())
    else:
        places = rng.uniform(WEAKEST, STRONGEST, (4, 4)).astype(np.float32)
        strength = cv2.resize(places, clean.shape[:0:-1], interpolation=cv2.INTER_LINEAR)
    return clean + strength * (noisy - clean), clean


def _island(noisy: Image, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """A part with less noise or none: a picture put into another, or masked."""
    where, _colour = flat_part(clean.shape[1:], rng)
    strength = np.where(where, rng.choice((0, rng.uniform(0, QUIET))), 1).astype(np.float32)
    return clean + strength * (noisy - clean), clean


def _enlarged(noisy: Image, clean: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """The middle, as large as the whole was: digital zoom."""
    shape = np.array(clean.shape[1:])
    part = (shape / MOST_ENLARGED ** rng.random()).astype(int)
    middle = tuple(slice(start, start + length) for start, length in zip((shape - part) // 2, part, strict=True))
    how = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC)))

    def enlarge(image: Image) -> Image:
        return np.stack([cv2.resize(plane[middle], shape[::-1].tolist(), interpolation=how) for plane in image])

    return enlarge(noisy), np.clip(enlarge(clean), 0, 1)  # cubic interpolation overshoots


COLOUR: dict[Edit, float] = {_shared: 0.45, _unequal: 0.1, _uneven: 0.2, _island: 0.1, _enlarged: 0.15}
GREY: dict[Edit, float] = {_uneven: 0.6, _island: 0.2, _enlarged: 0.2}
