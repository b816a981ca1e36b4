"""The past of a video lowers the noise of its next frame: a recursive average that follows pans and lets motion pass.

It is the room of one stream's state; what remains of the noise is a network's to remove, and no network is known here.
"""

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.arrays import as_hwc, color_channels, output_for
from aeinfer.errors import InputError
from aeinfer.forking import importing
from aeinfer.kernels import full_scale
from aeinfer.translation import DARK, find_gain, find_translation

__all__ = ["TemporalFilter"]

Frame = NDArray[Any]
Plane = NDArray[np.float32]

STRENGTH = 0.9
MARGIN = {1: 2.75, 3: 2.0}  # by channels: energies of noise alone seldom exceed so much of their mean
QUIET = 0.1  # the share of a frame that is taken for still
QUIET_ENERGY = {1: 0.457, 3: 0.652}  # that quantile of the energies of white noise alone, over their mean
ROUNDING = 1 / 12  # variance of what whole numbers lose: less is no noise, but what a cut has left of an average
SAMPLED = 8  # every so many rows and columns
RISE = 1.1  # of the noise level in a frame: motion everywhere is no noise
TAPS = 8  # of Lanczos' interpolation: the average is shifted again and again
STILL = 0.05  # pixels that are no motion
SAME = 0.002  # of the brightness, which is no change: half a level at most


class TemporalFilter:
    """Average each pixel of a video over the frames in which it stands still, as a Kalman filter of one value does.

    mean += share * (frame - mean), where share is 1 / (past + 1), but at least 1 - strength. `past` is how many frames
    the average is worth: more with each frame, and less as the frame differs from the average by more than noise
    explains, which is estimated from the stillest tenth of the frame. Beforehand the average is shifted as the whole
    picture has moved, and made as bright. One instance serves one stream, and not several threads at once.

    Parameters
    ----------
    strength : float
        Between 0 and 1: the share of the past in what stands still for long, whose noise then falls to
        sqrt((1 - strength) / (1 + strength)) of what it was: with 0.9 to 0.23, as 19 frames' average.

    Raises
    ------
    InputError
        Another strength.
    BackendMissingError
        numba is not installed.

    Examples
    --------
    >>> steady = TemporalFilter()
    >>> frames = np.random.default_rng(0).normal(100, 10, (20, 64, 64)).astype(np.uint8)
    >>> results = [steady(frame) for frame in frames]
    >>> bool(results[-1].std() < 0.4 * frames[-1].std())
    True
    """

    def __init__(self, strength: float = STRENGTH) -> None:
        if not (isinstance(strength, Real) and 0 < strength < 1):
            raise InputError(f"the strength of a temporal filter is a number above 0 and below 1, got {strength!r}")
        self._least: float = 1 - strength
        self._past: _Past | None = None

    def __call__(self, frame: Frame, out: Frame | None = None) -> Frame:
        """Return the next frame of the stream with less noise.

        Parameters
        ----------
        frame : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array of uint8 or uint16
            The colours in any order, but always the same; alpha, the second or fourth channel, passes untouched.
            Another size or dtype than before begins anew.
        out : array like `frame`, optional
            Takes the result; it may be `frame` itself, which is not modified otherwise.

        Returns
        -------
        Array of the shape and dtype of `frame`: `out`, or a new one.

        Raises
        ------
        InputError
            `frame` is none of these, or `out` is not like it.
        """
        view = as_hwc(frame)
        if frame.dtype not in ("uint8", "uint16"):
            raise InputError(f"a temporal filter takes uint8 or uint16, got {frame.dtype}: convert it")
        colors = color_channels(view)
        out = output_for(frame, out)
        colored, target = view[..., :colors], as_hwc(out)
        if self._past is None or not self._past.fits(colored):
            self._past = _Past(colored, self._least)
        result = self._past.add(np.ascontiguousarray(colored).reshape(len(view), -1))
        np.copyto(target[..., colors:], view[..., colors:])
        np.copyto(target[..., :colors], result.reshape(colored.shape))
        return out

    @property
    def sigma(self) -> float | None:
        """Estimated standard deviation of the noise in 8-bit levels (0-255); None before anything is known of it."""
        if self._past is None or self._past.level is None:
            return None
        return math.sqrt(self._past.level) * 255 / self._past.top

    def reset(self) -> None:
        """Forget all frames: what comes next is another scene."""
        self._past = None


class _Past:
    """What is kept of the frames so far, of one size and dtype."""

    def __init__(self, view: Frame, least: float) -> None:
        with importing:
            import aeinfer.temporal_loops as loops  # numba is imported with the first frame

        height, width, self.channels = view.shape
        self.dtype, self.top, self._least, self._loops = view.dtype, full_scale(view.dtype), least, loops
        self.level: float | None = None  # variance of the noise
        self._mean, self._other_mean = np.zeros((2, height, width * self.channels), np.float32)
        self._weight, self._other_weight = np.zeros((2, height, width), np.float32)
        self._scratch, self._energies = np.zeros((2, height, width), np.float32)
        self._started = False

    def fits(self, view: Frame) -> bool:
        """Return whether a frame has this size and dtype."""
        return view.shape == (*self._weight.shape, self.channels) and view.dtype == self.dtype

    def add(self, rows: Frame) -> Frame:
        """Take the next frame, (H, W * C), into the average, and return that as a new frame."""
        if self._started:
            self._follow(rows)
            self._loops.energy(rows, self._mean, self._scratch, self._energies)
            known, self.level = self.level, self._level()
            if known is not None and self.level is not None:
                result = np.empty_like(rows)
                limits = self.level, MARGIN[self.channels], self._least
                self._loops.average(rows, self._energies, *limits, self._mean, self._weight, result)
                return result
        self._mean[:], self._weight[:], self._started = rows, 1, True
        return rows.copy()

    def _follow(self, rows: Frame) -> None:
        """Shift the average as the picture has moved, make it as bright; after darkness forget the noise's level."""
        factor = self._loops.SHRINK
        size = tuple(side // factor for side in self._weight.shape)
        before, after = np.empty(size, np.float32), np.empty(size, np.float32)
        self._loops.shrink(self._mean, self.channels, before)
        self._loops.shrink(rows, self.channels, after)
        if before.size and before.max() < DARK:
            self.level = None  # nothing was learnt there of the noise that light has
        moved = find_translation(before, after)
        gain = find_gain(before, after, moved)
        if abs(gain - 1) > SAME:
            self._mean *= np.float32(gain)
        if factor * max(map(abs, moved)) > STILL:
            self._shift(factor * moved[0], factor * moved[1])

    def _shift(self, down: float, across: float) -> None:
        """Shift the average; what comes into the picture is worth nothing yet."""
        dy, dx = math.floor(down), math.floor(across)
        weights = _lanczos(down - dy), _lanczos(across - dx)
        self._loops.shift(self._mean, self._weight, dy, dx, *weights, self._other_mean, self._other_weight)
        self._mean, self._other_mean = self._other_mean, self._mean
        self._weight, self._other_weight = self._other_weight, self._weight

    def _level(self) -> float | None:
        """The variance of the noise: what the stillest part of the frame shows, and little more than it was before."""
        sample = np.s_[::SAMPLED, ::SAMPLED]
        energies, weight = self._energies[sample], self._weight[sample]
        counts = (weight > 0) & (energies > ROUNDING)  # black bars have no noise, nor have black frames
        if not counts.any():
            return self.level
        found = float(np.quantile(energies[counts] / (1 + 1 / weight[counts]), QUIET)) / QUIET_ENERGY[self.channels]
        return max(found if self.level is None else min(found, RISE * self.level), ROUNDING)


def _lanczos(fraction: float) -> Plane:
    """Weights of the TAPS values around a place that lies so far behind the middle one."""
    half = TAPS // 2
    places = np.arange(1 - half, half + 1) - fraction
    weights = np.sinc(places) * np.sinc(places / half)
    normal: Plane = (weights / weights.sum()).astype(np.float32)
    return normal
