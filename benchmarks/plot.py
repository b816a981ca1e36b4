"""Pictures of the committed figures, in docs/: `python -m benchmarks.plot`; it measures nothing.

psnr-over-speed.svg: PSNR on CBSD68 at sigma 25, float input (8-bit where a method takes nothing else), over megapixels
a second at one thread. Filled markers were measured here. Open markers are published.py's: their speed is their ratio
to FFDNet times that of the network of FFDNet's shape measured here. scaling.png: time and peak memory over megapixels
and images.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks import results
from benchmarks.bench_models import BASE
from benchmarks.peers import PEERS
from benchmarks.published import PUBLISHED

DOCS = Path(__file__).parents[1] / "docs"
TARGET, SCALING = DOCS / "psnr-over-speed.svg", DOCS / "scaling.png"
MODEL, PEER, OTHER = "#c2410c", "#475569", "#64748b"
Point = tuple[float, float]  # MPix/s, dB


def measured() -> dict[str, Point]:
    """Methods with both figures, quality of the whole set; without what was trained on no white noise at all."""
    speed = {row["method"]: row["mpix_per_s_1"] for row in results.load("models")["rows"]}
    wanted = [row for row in results.load("quality")["rows"] if (row["set"], row["sigma"]) == ("cbsd68", 25)]
    whole = max(row["images"] for row in wanted)  # a mean over a few images would stand at the wrong height
    wanted = sorted((row for row in wanted if row["images"] == whole), key=lambda row: row["input"])
    psnr = {row["method"]: row["psnr"] for row in wanted}  # float comes last
    shown = [method for method in psnr if method in speed and not method.startswith("photo-camera")]
    return {method: (speed[method], psnr[method]) for method in shown}


def published() -> dict[str, Point]:
    base = next(row["mpix_per_s_1"] for row in results.load("models")["rows"] if row["method"] == BASE)
    column = ("cbsd68", "float")
    return {
        name: (each.speed * base, each.psnr[column][1])
        for name, each in PUBLISHED.items()
        if each.speed and column in each.psnr
    }


def place(name: str, point: Point) -> tuple[Point, str]:
    """Offset and alignment of a label, so that neighbours stay apart."""
    if name in PEERS:
        return ((8, -3), "left") if 2 < point[0] < 50 else ((-8, -3), "right")
    if name.endswith("int8"):
        return (0, -13), "right"
    if name.endswith("fp32"):
        return (0, 10 if name.startswith("photo-best") else 6), "left"
    return ((0, -13) if name in ("DnCNN", "DRUNet") else (0, 6)), "center"


def draw_quality(target: Path = TARGET) -> None:
    plt.rcParams.update({"svg.hashsalt": "aeinfer", "svg.fonttype": "path", "font.size": 9})
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    kinds = [
        ({k: v for k, v in measured().items() if k not in PEERS}, MODEL, MODEL, "aeinfer"),
        ({k: v for k, v in measured().items() if k in PEERS}, PEER, PEER, "other packages, measured here"),
        (published(), OTHER, "none", "published figures"),
    ]
    for points, edge, face, label in kinds:
        rates, psnrs = ([point[i] for point in points.values()] for i in (0, 1))
        axes.scatter(rates, psnrs, s=42, edgecolors=edge, facecolors=face, label=label, zorder=3)
        for name, point in points.items():
            offset, side = place(name, point)
            axes.annotate(name, point, offset, textcoords="offset points", ha=side, color=edge, fontsize=8)
    axes.set(xscale="log", xlabel="megapixels a second, one thread", ylabel="PSNR in dB, CBSD68, sigma 25")
    axes.margins(x=0.12, y=0.1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.25, which="major")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", frameon=False)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def curves(unit: str, figure: str) -> dict[str, list[tuple[float, float]]]:
    """Return label -> counts and figures ("seconds" or "peak_mb") of results/scaling.json."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in results.load("scaling")["rows"]:
        if row["unit"] == unit and figure in row:
            bound = f"max_memory_mb={row['limit_mb']}" if row.get("limit_mb") else "no bound"
            how = f"{row['threads']} thread{'s' * (row['threads'] > 1)}" if figure == "seconds" else bound
            size = "" if unit == "megapixels" else row["input"].removeprefix("images of") + ","
            found.setdefault(f"{row['method']},{size} {how}", []).append((row["count"], row[figure]))
    return found


def draw_scaling(target: Path = SCALING) -> None:
    """Time and memory over megapixels and images; dotted: what is in proportion to a curve's median."""
    plt.rcParams.update({"font.size": 9})
    figure, grid = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    for line, shown in zip(grid, ("seconds", "peak_mb"), strict=True):
        for axes, unit in zip(line, ("megapixels", "images"), strict=True):
            for place, (label, points) in enumerate(curves(unit, shown).items()):
                counts, values = np.array(points).T
                style = {"color": f"C{place // 2}", "mfc": "none" if place % 2 else None}
                axes.plot(counts, values, "s--" if place % 2 else "o-", ms=4, lw=1, label=label, **style)
                if shown == "seconds":
                    axes.plot(counts, np.median(values / counts) * counts, ":", color=style["color"], lw=0.8)
            axes.set(xscale="log", xlabel=f"{unit} of one image" if unit == "megapixels" else "images in one array")
            axes.set(ylabel="seconds", yscale="log") if shown == "seconds" else axes.set(ylabel="peak, MB", ylim=0)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.grid(alpha=0.25, which="major")
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize=7)
    figure.savefig(target, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__).parse_args()
    for drawn, path in ((draw_quality, TARGET), (draw_scaling, SCALING)):
        drawn()
        print(f"{path} written")
