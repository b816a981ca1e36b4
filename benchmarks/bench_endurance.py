"""10,000 images of mixed sizes in one process, and minutes of frames: `python -m benchmarks.bench_endurance` (Linux).

Memory must stay within 5 % of what it was after the first twentieth, descriptors and threads exactly.
`--seconds 7200` streams for two hours.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from aeinfer import AEInfer
from aeinfer.cli.options import number, whole
from aeinfer.image import read_image, write_image
from benchmarks import results
from benchmarks.status import used_bytes

IMAGES, SECONDS = 10_000, 120.0
SUFFIXES = (".png", ".jpg", ".webp", ".tiff")
FRAME = (180, 320, 3)
CHECKS = 20  # looks at the process, evenly spread; the first is the mark
MOST_GROWTH = 1.05


def usage() -> dict[str, float]:
    """Resident memory in MB, open descriptors and threads of this process."""
    return {
        "memory_mb": used_bytes("VmRSS") / 1e6,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 (no Path would be kept)
        "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208
    }


def files(model: AEInfer, count: int) -> Iterator[None]:
    """Write, read, denoise and write again images of 8 to 300 pixels a side, one a step."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(count):
            height, width = rng.integers(8, 300, 2)
            source = Path(folder, f"source{SUFFIXES[i % len(SUFFIXES)]}")
            write_image(source, rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            picture = read_image(source)
            write_image(source.with_stem("result"), model(picture.pixels), metadata=picture.metadata)
            yield


def frames(model: AEInfer, seconds: float) -> Iterator[None]:
    """Stream frames at full speed for so long."""
    frame = np.random.default_rng(0).integers(0, 256, FRAME, dtype=np.uint8)
    end = time.monotonic() + seconds

    def source() -> Iterator[np.ndarray]:
        while time.monotonic() < end:
            yield frame

    for _ in model.stream(source()):
        yield


def watch(kind: str, steps: Iterator[None], share: Callable[[int], float]) -> results.Row:
    """Run all steps and look at the process on the way; `share` tells from the count how much is done."""
    looks: list[dict[str, float]] = []
    count = 0
    for _ in steps:
        count += 1
        if share(count) >= (len(looks) + 1) / CHECKS:
            looks.append(usage())
    first, last = looks[0], max(looks, key=lambda look: look["memory_mb"])
    growth = last["memory_mb"] / first["memory_mb"]
    leaks = [name for name in ("descriptors", "threads") if any(look[name] > first[name] for look in looks[:-1])]
    held = growth <= MOST_GROWTH and not leaks
    return {"kind": kind, "count": count, **first, "growth": round(growth, 3), "leaks": leaks, "held": held}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_endurance", description=__doc__)
    parser.add_argument("--model", default="photo-fast")
    parser.add_argument("--images", type=whole(1), default=IMAGES)
    parser.add_argument("--seconds", type=number(0.1), default=SECONDS, help="of streaming [120]")
    args = parser.parse_args()
    with AEInfer.load(args.model) as model:
        rows = [watch("files", files(model, args.images), lambda count: count / args.images)]
        began = time.monotonic()
        rows.append(watch("stream", frames(model, args.seconds), lambda _: (time.monotonic() - began) / args.seconds))
    results.save("endurance", rows)
    return int(not all(row["held"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
