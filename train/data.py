"""Training data as pure functions of the step: what the loop asks of it, and digits; photographs are photos.py's.

A batch follows from (seed, step) alone, so a resumed run sees what an unbroken one would have seen. No torch here.
"""

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels, noise
from aeinfer.errors import InputError
from train.idx import read_digits
from train.recipes import Recipe

Tensor = NDArray[np.float32]
Pair = tuple[Tensor, Tensor]

HELD_OUT_DIGITS = 5000  # of the 60,000: early stopping looks at these, never at the test digits
VALIDATION_SEED = 2**32  # apart from every seed of an epoch or a step


class Data(Protocol):
    """What the loop needs: float32 (N, C, H, W) pairs; an epoch of photographs is a fixed number of steps."""

    steps_per_epoch: int
    digest: str  # tells the pictures, and their order, from any others
    validation: list[Pair]
    without_noise: dict[str, list[Tensor]]  # held-out pictures by kind, (1, C, H, W), that should come out as they are

    def batch(self, step: int) -> Pair: ...


class Digits:
    """MNIST and its like: `batch` digits with fresh noise each epoch, half of them clipped and rounded to 8 bits."""

    def __init__(self, folder: Path, batch: int, sigma: float, seed: int, verify: bool = True) -> None:
        images, _labels = read_digits(folder, "train", verify=verify)
        self.digest = hashlib.sha256(images).hexdigest()
        clean = kernels.to_float(images[:, None])
        held_out = min(HELD_OUT_DIGITS, len(clean) // 4)
        self.clean, self.sigma, self.seed, self.size = clean[held_out:], sigma, seed, batch
        self.steps_per_epoch = len(self.clean) // batch
        if not self.steps_per_epoch:
            raise InputError(f"{folder} holds {len(images)} digits: too few for a batch of {batch} and a held-out part")
        kept = clean[:held_out]
        self.without_noise: dict[str, list[Tensor]] = {}  # what goes through a code never comes out as it was
        self.validation = [
            (self._noisy(part, VALIDATION_SEED, np.arange(len(part)) + start), part)
            for start in range(0, held_out, 500)
            for part in [kept[start : start + 500]]
        ]

    def batch(self, step: int) -> Pair:
        epoch, position = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.clean))
        chosen = order[position * self.size : (position + 1) * self.size]
        clean = self.clean[chosen]
        return self._noisy(clean, self.seed + 1 + epoch, chosen), clean

    def _noisy(self, clean: Tensor, seed: int, index: NDArray[np.int64]) -> Tensor:
        if self.sigma == 0:
            return clean
        noisy = noise.add_gaussian(clean, self.sigma, seed=seed, index=index)
        rounded = (index + seed) % 2 == 0
        noisy[rounded] = in_8_bits(noisy[rounded])
        return noisy


def open_data(recipe: Recipe, folder: Path, verify: bool = True) -> Data:
    """Open a recipe's data; `verify` refuses digits that are of no known set."""
    if recipe.crop:
        from train.photos import Photos  # draws with matplotlib, which digits do without

        return Photos(
            folder, recipe.batch, recipe.crop, recipe.sigma, recipe.seed, recipe.camera, recipe.clean, recipe.grey
        )
    return Digits(folder, recipe.batch, recipe.sigma, recipe.seed, verify)


def in_8_bits(noisy: Tensor) -> Tensor:
    """Clipped and rounded, as files hold them."""
    return kernels.to_float(kernels.from_float(noisy, np.uint8))
