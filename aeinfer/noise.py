"""The one definition of each noise: numba kernels whose every value follows from (seed, image, position) alone.

A counter-based generator (the finalizer of splitmix64, Steele et al. 2014, over a running index) takes the place of
generator state, so neither threads nor the order or size of batches change a bit. No file or model code is here.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aeinfer.arrays import check_finite
from aeinfer.errors import InputError
from aeinfer.jit import jit

__all__ = ["add_gaussian", "add_poisson_gaussian", "add_salt_and_pepper"]

Image = NDArray[np.float32]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def add_gaussian(
    images: Image, sigma: ArrayLike, *, seed: int = 0, index: int | Sequence[int] | NDArray[np.int64] = 0
) -> Image:
    """Add white Gaussian noise, unclipped.

    Parameters
    ----------
    images : float32 array of any shape, [0, 1] nominal
        One image, or (N, ...) images when `index` is a sequence of N.
    sigma : float or (N,) floats
        Standard deviation in 8-bit levels (0-255): 127.5 is 0.5 in [0, 1] units.
    seed : int
        Which noise; the same seed and index give the same bits on every machine, thread and batch.
    index : int or (N,) ints
        Which image; images of one job differ by it.

    Returns
    -------
    float32 array of the same shape, not clipped.

    Raises
    ------
    InputError
        `images` is not float32 or holds NaN, infinity or values beyond 1e30, sigma is negative or not finite, or the
        lengths do not agree.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = add_gaussian(np.zeros((28, 28), np.float32), 25.0, seed=1)
    >>> noisy.shape, noisy.dtype
    ((28, 28), dtype('float32'))
    """
    planes, keys = _planes_and_keys(images, seed, index)
    out = np.empty_like(planes)
    _gaussian(planes, _per_image("sigma", sigma, len(keys)) / np.float32(255), keys, out)
    return out.reshape(images.shape)


def add_poisson_gaussian(
    images: Image,
    sigma: ArrayLike,
    peak: ArrayLike,
    *,
    seed: int = 0,
    index: int | Sequence[int] | NDArray[np.int64] = 0,
) -> Image:
    """Replace each value v by Poisson(v * peak) / peak, then add Gaussian noise: a sensor's shot and read noise.

    Parameters
    ----------
    images : float32 array of any shape, [0, 1] nominal
        Linear light. Values below 0 count no photons. See `add_gaussian` for batches.
    sigma : float or (N,) floats
        Standard deviation of the Gaussian part in 8-bit levels (0-255).
    peak : float or (N,) floats
        Photons at value 1: the smaller, the stronger the noise.
    seed, index
        As in `add_gaussian`.

    Returns
    -------
    float32 array of the same shape, not clipped.

    Raises
    ------
    InputError
        As in `add_gaussian`, or peak is not above zero.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = add_poisson_gaussian(np.full((4, 4), 0.5, np.float32), sigma=2.0, peak=100.0)
    """
    planes, keys = _planes_and_keys(images, seed, index)
    peaks = _per_image("peak", peak, len(keys))
    if not np.all(peaks > 0):
        raise InputError(f"peak (photons at value 1) must be above 0, got {peak!r}")
    shot = np.empty_like(planes)
    _poisson(planes, peaks, keys, shot)
    out = np.empty_like(planes)
    _gaussian(shot, _per_image("sigma", sigma, len(keys)) / np.float32(255), keys, out)
    return out.reshape(images.shape)


def add_salt_and_pepper(
    images: Image, amount: ArrayLike, *, seed: int = 0, index: int | Sequence[int] | NDArray[np.int64] = 0
) -> Image:
    """Set a share `amount` of the values to 0 or 1, half each.

    Parameters
    ----------
    images : float32 array of any shape, [0, 1] nominal
        See `add_gaussian` for batches.
    amount : float or (N,) floats
        Share of values hit, 0 to 1. Each channel is hit by itself.
    seed, index
        As in `add_gaussian`.

    Returns
    -------
    float32 array of the same shape.

    Raises
    ------
    InputError
        As in `add_gaussian`, or amount is above 1.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = add_salt_and_pepper(np.full((4, 4), 0.5, np.float32), amount=0.1)
    """
    planes, keys = _planes_and_keys(images, seed, index)
    amounts = _per_image("amount", amount, len(keys))
    if not np.all(amounts <= 1):
        raise InputError(f"amount is the share of values hit, 0 to 1, got {amount!r}")
    out = np.empty_like(planes)
    _salt_and_pepper(planes, amounts, keys, out)
    return out.reshape(images.shape)


def _planes_and_keys(images: Image, seed: int, index: object) -> tuple[Image, NDArray[np.uint64]]:
    """Return the images as contiguous (N, values) and one generator key per image."""
    if images.dtype != np.float32:
        raise InputError(f"noise works on float32 arrays, got {images.dtype}; convert with kernels.to_float")
    indices = np.atleast_1d(np.asarray(index))
    if indices.ndim > 1 or (indices.size and indices.dtype.kind not in "iu"):
        raise InputError(f"index is one integer or one for each image, got {index!r}")
    if np.ndim(index) == 1 and (images.ndim == 0 or len(images) != len(indices)):  # type: ignore[arg-type]
        raise InputError(f"{len(indices)} indices for images of shape {images.shape}: the first axis must count them")
    planes = np.ascontiguousarray(images).reshape(len(indices), images.size // max(len(indices), 1))
    if planes.size:
        check_finite(planes)
    return planes, _image_keys(np.uint64(int(seed) & 0xFFFFFFFFFFFFFFFF), indices.astype(np.uint64))


def _per_image(name: str, values: ArrayLike, count: int) -> NDArray[np.float32]:
    array = np.asarray(values, np.float32)
    if array.shape not in ((), (count,)):
        raise InputError(f"{name} is one number or one for each of the {count} images, got shape {array.shape}")
    if not np.all(np.isfinite(array) & (array >= 0)):
        raise InputError(f"{name} must be finite and not negative, got {values!r}")
    return np.broadcast_to(array, (count,)).copy()


@jit
def _mix(x: np.uint64) -> np.uint64:
    """Finalizer of splitmix64: a bijection whose every output bit hangs on every input bit."""
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    return x ^ (x >> np.uint64(31))


@jit
def _image_keys(seed: np.uint64, indices: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(N,) keys, one generator per (seed, index)."""
    keys = np.empty_like(indices)
    for n in range(indices.size):
        keys[n] = _mix(_mix(seed + GOLDEN) + (indices[n] + np.uint64(1)) * GOLDEN)
    return keys


@jit
def _normal_pair(bits: np.uint64) -> tuple[np.float32, np.float32]:
    """Two standard normal values from 64 random bits (Box and Muller 1958).

    log, sin and cos are Cephes' single-precision polynomials instead of libm's: they vectorize, and they are the same
    bits on every machine.
    """
    f = np.float32
    u = (f(bits >> np.uint64(32)) + f(0.5)) * f(2.0**-32)
    # log(u): u = m * 2^e with m in [sqrt(1/2), sqrt(2))
    raw = np.int32(np.float32(u).view(np.int32) - 0x3F3504F3)
    e = f(raw >> 23)
    m = np.int32((raw & 0x007FFFFF) + 0x3F3504F3).view(np.float32) - f(1)
    p = f(7.0376836292e-2)
    p = p * m - f(1.1514610310e-1)
    p = p * m + f(1.1676998740e-1)
    p = p * m - f(1.2420140846e-1)
    p = p * m + f(1.4249322787e-1)
    p = p * m - f(1.6668057665e-1)
    p = p * m + f(2.0000714765e-1)
    p = p * m - f(2.4999993993e-1)
    p = p * m + f(3.3333331174e-1)
    z = m * m
    log_u = m - f(0.5) * z + p * m * z + e * f(0.69314718056)
    radius = np.sqrt(max(f(-2) * log_u, f(0)))
    # an angle in [-pi/4, pi/4) from 30 bits, and one of four quarter turns from two
    t = (f(bits & np.uint64(0x3FFFFFFF)) * f(2.0**-30) - f(0.5)) * f(1.57079632679)
    w = t * t
    sine = t + t * w * (f(-1.6666654611e-1) + w * (f(8.3321608736e-3) - w * f(1.9515295891e-4)))
    cosine = f(1) - f(0.5) * w + w * w * (f(4.166664568e-2) + w * (f(-1.388731625e-3) + w * f(2.443315711e-5)))
    swap = (bits & np.uint64(0x40000000)) != np.uint64(0)
    sign = f(1) if (bits & np.uint64(0x80000000)) == np.uint64(0) else f(-1)
    first = -sine if swap else cosine
    second = cosine if swap else sine
    return sign * radius * first, sign * radius * second


@jit
def _gaussian(images: Image, sigma: NDArray[np.float32], keys: NDArray[np.uint64], out: Image) -> None:
    """out[n, i] = images[n, i] + sigma[n] * normal(keys[n], i); sigma in units of the image."""
    count, size = images.shape
    for n in range(count):
        for pair in range(size // 2):
            a, b = _normal_pair(_mix(keys[n] + np.uint64(pair) * GOLDEN))
            out[n, 2 * pair] = images[n, 2 * pair] + sigma[n] * a
            out[n, 2 * pair + 1] = images[n, 2 * pair + 1] + sigma[n] * b
        if size % 2:
            a, b = _normal_pair(_mix(keys[n] + np.uint64(size // 2) * GOLDEN))
            out[n, size - 1] = images[n, size - 1] + sigma[n] * a


@jit
def _uniform(bits: np.uint64) -> float:
    """A float64 inside (0, 1)."""
    return (float(bits >> np.uint64(12)) + 0.5) * 2.0**-52


@jit
def _poisson_value(mean: float, state: np.uint64) -> float:
    """One Poisson value: products of uniforms (Knuth) below 10, transformed rejection (Hoermann 1993, PTRS) above."""
    if mean < 10.0:
        threshold, count = np.exp(-mean), 0
        state += GOLDEN
        product = _uniform(_mix(state))
        while product > threshold:
            state += GOLDEN
            product *= _uniform(_mix(state))
            count += 1
        return float(count)
    b = 0.931 + 2.53 * np.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        state += GOLDEN
        u = _uniform(_mix(state)) - 0.5
        state += GOLDEN
        v = _uniform(_mix(state))
        us = 0.5 - abs(u)
        k = np.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= v_r:
            return float(k)
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if np.log(v * inverse_alpha / (a / (us * us) + b)) <= k * np.log(mean) - mean - math.lgamma(k + 1.0):
            return float(k)


@jit
def _poisson(images: Image, peaks: NDArray[np.float32], keys: NDArray[np.uint64], out: Image) -> None:
    """out[n, i] = Poisson(images[n, i] * peaks[n]) / peaks[n]."""
    count, size = images.shape
    for n in range(count):
        key = _mix(keys[n] ^ MIX_1)  # a stream of its own, apart from the Gaussian part's
        for i in range(size):
            mean = max(images[n, i], np.float32(0)) * float(peaks[n])
            out[n, i] = _poisson_value(mean, _mix(key + np.uint64(i) * GOLDEN)) / peaks[n]


@jit
def _salt_and_pepper(images: Image, amounts: NDArray[np.float32], keys: NDArray[np.uint64], out: Image) -> None:
    """out[n, i] = 0 or 1 for a share amounts[n] of the values, images[n, i] for the others."""
    count, size = images.shape
    for n in range(count):
        key = _mix(keys[n] ^ MIX_2)  # a stream of its own: noises of one seed may be added to one another
        for i in range(size):
            u = _uniform(_mix(key + np.uint64(i) * GOLDEN))
            half = amounts[n] * 0.5
            out[n, i] = 0.0 if u < half else (1.0 if u >= 1.0 - half else images[n, i])
