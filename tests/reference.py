"""Slow and obvious numpy twins of what aeinfer does fast; the tests compare against them, nothing else uses them."""

import math

import numpy as np


def psnr(image: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """PSNR in dB by its definition, one pixel after the other."""
    errors = [(float(a) - float(b)) ** 2 for a, b in zip(image.flat, reference.flat, strict=True)]
    mean = sum(errors) / len(errors)
    return float("inf") if mean == 0 else float(10 * np.log10(data_range**2 / mean))


def ssim(image: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """SSIM by its definition: each 11x11 window of each channel under two-dimensional gaussian weights."""
    y, x = np.mgrid[-5:6, -5:6]
    weights = np.exp(-(y**2 + x**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    planes = [np.atleast_3d(array).astype(np.float64) for array in (image, reference)]
    height, width, channels = planes[0].shape
    values = []
    for channel, top, left in np.ndindex(channels, height - 10, width - 10):
        a, b = (plane[top : top + 11, left : left + 11, channel] for plane in planes)
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        spread_a, spread_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
        shared = (weights * (a - mean_a) * (b - mean_b)).sum()
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        values.append(luminance * (2 * shared + c2) / (spread_a + spread_b + c2))
    return float(np.mean(values))


def gather_tiles(
    image: np.ndarray, positions: np.ndarray, bottoms: np.ndarray, scale: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Tiles (B, C, T_h, T_w) by definition: one value after the other, the edge and the last channel repeated."""
    _height, width, channels = image.shape
    tiles = np.empty(shape, np.float32)
    for b, c, y, x in np.ndindex(shape):
        row, column = min(positions[b][0] + y, bottoms[b] - 1), min(positions[b][1] + x, width - 1)
        tiles[b, c, y, x] = np.float32(image[row, column, min(c, channels - 1)]) / np.float32(scale)
    return tiles


def place_tiles(
    tiles: np.ndarray, positions: np.ndarray, keep: np.ndarray, source: np.ndarray, strength: float, scale: float
) -> np.ndarray:
    """The source with each tile's kept part written over it, one value after the other."""
    out = source.copy()
    for tile, (top, left), (y0, y1, x0, x1) in zip(tiles, positions, keep, strict=True):
        for y, x, c in np.ndindex(y1 - y0, x1 - x0, source.shape[2]):
            values = tile[:, y0 + y - top, x0 + x - left]
            value = values[c] if source.shape[2] == len(values) else (values[0] + values[1] + values[2]) / np.float32(3)
            before, value = np.float32(source[y0 + y, x0 + x, c]), value * np.float32(scale)
            if strength != 1:
                value = before + np.float32(strength) * (value - before)
            out[y0 + y, x0 + x, c] = value if scale == 1 else np.rint(np.clip(value, 0, scale))
    return out


def blend_tiles(tiles: np.ndarray, positions: np.ndarray, weights: np.ndarray, height: int, width: int) -> np.ndarray:
    """(C, H, W): the weighted mean, in double precision, of all tiles that cover a pixel."""
    total, share = np.zeros((tiles.shape[1], height, width)), np.zeros((height, width))
    window = np.outer(weights, weights).astype(np.float64)
    for tile, (top, left) in zip(tiles, positions, strict=True):
        area = np.s_[top : top + len(weights), left : left + len(weights)]
        total[:, area[0], area[1]] += tile * window
        share[area] += window
    return total / share


GOLDEN, MASK = 0x9E3779B97F4A7C15, 0xFFFFFFFFFFFFFFFF


def mix(x: int) -> int:
    """The finalizer of splitmix64 in Python's integers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def image_key(seed: int, index: int) -> int:
    """The key of one image's generator."""
    return mix(mix(seed + GOLDEN & MASK) + (index + 1) * GOLDEN & MASK)


def normal(key: int, position: int) -> float:
    """The standard normal value at a position: Box and Muller by the mathematics library, in double precision."""
    bits = mix(key + position // 2 * GOLDEN & MASK)
    radius = math.sqrt(-2 * math.log(((bits >> 32) + 0.5) / 2**32))
    turn = ((bits & 0x3FFFFFFF) / 2**30 - 0.5) * math.pi / 2 + (math.pi / 2 if bits >> 30 & 1 else 0)
    turn += math.pi if bits >> 31 & 1 else 0
    return radius * (math.sin(turn) if position % 2 else math.cos(turn))


def temporal_energy(frame: np.ndarray, average: np.ndarray) -> np.ndarray:
    """(H, W): squares of 3x3 sums of (H, W, C) differences, averaged over the channels and 5x5 pixels; edges repeat."""
    height, width, channels = frame.shape
    difference = frame.astype(np.float64) - average
    sums, energy = np.zeros(frame.shape), np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        for j, k in np.ndindex(3, 3):
            sums[y, x] += difference[np.clip(y + j - 1, 0, height - 1), np.clip(x + k - 1, 0, width - 1)]
    for y, x in np.ndindex(height, width):
        for j, k in np.ndindex(5, 5):
            energy[y, x] += (sums[np.clip(y + j - 2, 0, height - 1), np.clip(x + k - 2, 0, width - 1)] ** 2).sum()
    return energy / (9 * 25 * channels)


def temporal_average(
    frame: np.ndarray,
    energies: np.ndarray,
    level: float,
    margin: float,
    least: float,
    mean: np.ndarray,
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The new mean (H, W, C), weight (H, W) and frame, one pixel after the other."""
    mean, weight, top = mean.astype(np.float64), weight.astype(np.float64), np.iinfo(frame.dtype).max
    for y, x in np.ndindex(energies.shape):
        past = max(weight[y, x], 1e-6)
        past = max(past / (1 + past * max(energies[y, x] / level - margin * (1 + 1 / past), 0) ** 2), 1e-6)
        share = max(1 / (past + 1), least)
        mean[y, x] += share * (frame[y, x] - mean[y, x])
        weight[y, x] = 1 / (share**2 + (1 - share) ** 2 / past)
    return mean, weight, np.rint(np.clip(mean, 0, top))


def shifted(
    mean: np.ndarray, weight: np.ndarray, dy: int, dx: int, down: np.ndarray, across: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, C) and (H, W) as they look from (dy, dx) on, interpolated with the weights of the neighbours."""
    height, width, _ = mean.shape
    before = len(down) // 2 - 1
    out, new_weight = np.zeros(mean.shape), np.zeros(weight.shape)
    for y, x in np.ndindex(height, width):
        inside = 0 <= y + dy < height and 0 <= x + dx < width
        new_weight[y, x] = weight[y + dy, x + dx] if inside else 0
        for j, k in np.ndindex(len(down), len(across)):
            source = np.clip(y + dy + j - before, 0, height - 1), np.clip(x + dx + k - before, 0, width - 1)
            out[y, x] += float(down[j]) * float(across[k]) * mean[source] if 0 <= x + dx < width else 0
    return out, new_weight
