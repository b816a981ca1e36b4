"""Pictures of digits, of the space of their codes, and of PSNR over the size of the code; nothing is measured here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

Digits = NDArray[np.float32]
STEPS = 9  # on the way from one digit to another


def grid(rows: Mapping[str, Digits], path: Path, scale: int = 2) -> None:
    """Draw a row of (N, S, S) images for each name, which stands before it; a pixel of theirs is `scale` wide."""
    count, side = next(iter(rows.values())).shape[:2]
    size = (count * side * scale / 100 + 0.07 * max(map(len, rows)), len(rows) * (side * scale + 6) / 100)
    figure, axes = plt.subplots(len(rows), 1, figsize=size, layout="constrained", squeeze=False)
    for (name, digits), axis in zip(rows.items(), axes[:, 0], strict=True):
        axis.imshow(np.hstack(list(digits)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8, parse_math=False)
        axis.spines[:].set_visible(False)
    _save(figure, path)


def between(first: NDArray[np.float32], last: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return codes on the line from one code to another, both among them."""
    share = np.linspace(0, 1, STEPS, dtype=np.float32).reshape(-1, *[1] * first.ndim)
    return (1 - share) * first + share * last


def latent(codes: NDArray[np.float32], labels: NDArray[np.uint8], path: Path) -> None:
    """Draw codes, (N, ...), on the plane of their first two principal components, coloured by digit."""
    flat = codes.reshape(len(codes), -1)
    flat = flat - flat.mean(0)
    _values, vectors = np.linalg.eigh(flat.T @ flat)
    components = flat @ vectors[:, :-3:-1]
    plane = np.zeros((len(codes), 2), np.float32)  # codes of one number lie on a line
    plane[:, : components.shape[1]] = components
    figure, axis = plt.subplots(figsize=(5, 4.2), layout="constrained")
    for digit in range(10):
        axis.scatter(*plane[labels == digit].T, s=2, color=f"C{digit}", label=str(digit), linewidths=0)
    axis.set(xlabel="first principal component of the codes", ylabel="second", xticks=[], yticks=[])
    axis.legend(markerscale=5, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def curve(families: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Draw the PSNR over the numbers in the code; of each family one line, or one point."""
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, points in families.items():
        dashed = "--" if name.startswith("PCA") else "-"
        axis.plot(*zip(*points, strict=True), dashed, marker="o", markersize=4, label=name)
    axis.set(xscale="log", xlabel="numbers in the code", ylabel="PSNR in dB")
    sizes = sorted({size for points in families.values() for size, _psnr in points})
    axis.set_xticks(sizes, map(str, sizes))
    axis.minorticks_off()
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    for label in axis.legend(frameon=False, fontsize=8).get_texts():
        label.set_parse_math(False)  # a name with two $ in it is no formula
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, bbox_inches="tight", pad_inches=0.05, metadata={"Software": None})
    plt.close(figure)
