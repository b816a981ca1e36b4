"""Clips of video made from photographs, the noise put on them, and how good a result is; nothing is denoised here."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels, metrics, noise
from aeinfer.image import read_image
from benchmarks import results

Frame = NDArray[np.uint8]  # (H, W, 3), RGB
Mask = NDArray[np.bool_]  # (H, W)

HEIGHT, WIDTH, FRAMES, SETTLED = 256, 320, 16, 6  # the first frames, before much is averaged, are not measured
CUT = 10
PEAK, READ_SIGMA, GAMMA = 150.0, 1.0, 2.2  # photons at white, read noise in 8-bit levels of linear light
psnr = partial(metrics.psnr, data_range=255)


@dataclass(frozen=True)
class Clip:
    """Frames without noise, and where in each of them nothing moves and something has just moved."""

    kind: str
    frames: list[Frame]
    still: list[Mask] | None = None
    moved: list[Mask] | None = None
    first: int = SETTLED


def window(photo: Frame, top: float, left: float) -> Frame:
    """A frame's part of a photograph, from a place between pixels if need be."""
    if top % 1 == left % 1 == 0:
        return photo[int(top) :, int(left) :][:HEIGHT, :WIDTH].copy()
    move = np.array([[1, 0, left], [0, 1, top]], np.float32)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(photo, move, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)


def disc(photo: Frame, other: Frame) -> Clip:
    """A disc cut from another photograph that moves over a still one."""
    ground, frames, inside = window(photo, 0, 0), [], []
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for t in range(FRAMES):
        middle = np.array([100 + 2.5 * t, 60 + 11 * t])
        cover = np.clip(45 - np.hypot(y - middle[0], x - middle[1]), 0, 1)[..., None]
        shown = np.roll(window(other, 0, 0), np.rint(middle).astype(int), (0, 1))
        frames.append(np.rint(ground + cover * (shown.astype(np.float32) - ground)).astype(np.uint8))
        inside.append(cover[..., 0] > 0)
    ever = np.logical_or.reduce(inside)
    moved = [now | before for before, now in zip([inside[0], *inside], inside, strict=False)]
    return Clip("moving disc", frames, [~ever] * FRAMES, moved)


def clips_of(photo: Frame, other: Frame) -> Iterator[Clip]:
    """All clips of one photograph; `other` is what comes in front of it, and after the cut."""
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    start, end = window(photo, 0, 0), window(other, 0, 0)
    yield Clip("still", [start] * FRAMES, still=[everywhere] * FRAMES)
    yield Clip("pan, 3 pixels", [window(photo, t, 3 * t) for t in range(FRAMES)])
    yield Clip("pan, 1.3 pixels", [window(photo, 0.4 * t, 1.3 * t) for t in range(FRAMES)])
    yield disc(photo, other)
    after = [everywhere if t in (CUT, CUT + 1) else ~everywhere for t in range(FRAMES)]
    yield Clip("cut", [start] * CUT + [end] * (FRAMES - CUT), moved=after, first=CUT)


def all_clips(photos: list[Frame]) -> list[Clip]:
    """Those of each photograph, with the next one in front of it."""
    return [clip for n, photo in enumerate(photos) for clip in clips_of(photo, photos[(n + 1) % len(photos)])]


def read_photos(folder: Path, count: int) -> list[Frame]:
    """The first photographs that are large enough for the pans, spread over the folder."""
    paths = sorted(path for suffix in ("png", "jpg") for path in folder.glob(f"*.{suffix}"))
    large = (HEIGHT + 2 * FRAMES, WIDTH + 4 * FRAMES)
    photos = [read_image(path).pixels for path in paths[:: max(1, len(paths) // count)]]
    photos = [photo for photo in photos if photo.shape[0] >= large[0] and photo.shape[1] >= large[1]]
    if len(photos) < 2:
        raise SystemExit(f"expected two photographs of {large[1]}x{large[0]} pixels or more in {folder}")
    return photos[:count]


def add_noise(clip: Clip, kind: str, seed: int) -> list[Frame]:
    """Each frame under noise of its own, in 8 bits."""
    floats = kernels.to_float(np.stack(clip.frames))
    index = np.arange(len(floats))
    if kind == "camera":
        light = noise.add_poisson_gaussian(floats**GAMMA, READ_SIGMA, PEAK, seed=seed, index=index)
        noisy = np.clip(light, 0, 1) ** (1 / GAMMA)
    else:
        noisy = noise.add_gaussian(floats, float(kind), seed=seed, index=index)
    return list(kernels.from_float(noisy.astype(np.float32), np.uint8))


def score(clip: Clip, found: list[Frame]) -> results.Row:
    """PSNR over the frames; the flicker where the clip stands still; PSNR where it has just moved."""
    measured = range(clip.first, len(clip.frames))
    row: results.Row = {"psnr": float(np.mean([psnr(found[t], clip.frames[t]) for t in measured]))}
    if still := clip.still:
        changes = [(found[t].astype(float) - found[t - 1])[still[t]] for t in measured]
        row["flicker"] = float(np.sqrt(np.mean([np.mean(change**2) for change in changes])))
    if clip.moved:
        places = [(t, clip.moved[t]) for t in measured if clip.moved[t].any()]
        row["moved"] = float(np.mean([psnr(found[t][here], clip.frames[t][here]) for t, here in places]))
    return row
