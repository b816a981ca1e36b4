"""Video with `aeinfer.temporal` and without, and ffmpeg's filters: `python -m benchmarks.bench_temporal`.

Clips are made from photographs: standing still, panned, with a disc that moves over them, cut; and by ffmpeg's own test
sources. `--tune PHOTOS` prints the strengths of ffmpeg's filters that suit a noise best.
"""

import argparse
import resource
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from aeinfer import AEInfer
from aeinfer.cli.options import whole
from aeinfer.temporal import TemporalFilter
from benchmarks import results
from benchmarks.clips import Clip, Frame, add_noise, all_clips, read_photos, score
from benchmarks.ffmpeg import FILTERS, FITTED, SLOW, Method, by_ffmpeg, source_clips, tune
from benchmarks.packaged import fingerprint

LARGE, LARGE_FRAMES = (720, 1280), 12
NOISES = ("15", "25", "camera")
MODELS, PRECISION = ("photo-fast", "photo"), "fp32"


def by_network(model: AEInfer, frames: list[Frame]) -> list[Frame]:
    return [model(frame) for frame in frames]


def by_temporal(frames: list[Frame]) -> list[Frame]:
    steady = TemporalFilter()
    return [steady(frame) for frame in frames]


def methods(kind: str, with_ffmpeg: bool) -> dict[str, Method]:
    """Name -> what turns noisy frames into others."""
    found: dict[str, Method] = {"noisy": lambda frames: frames, "temporal alone": by_temporal}
    for name in MODELS:
        alone = partial(by_network, AEInfer.load(name, precision=PRECISION, threads=1))
        found[name] = alone
        found[f"temporal + {name}"] = lambda frames, alone=alone: alone(by_temporal(frames))
        if name == "photo-fast":
            found[f"{name} + temporal"] = lambda frames, alone=alone: by_temporal(alone(frames))
    for name in FILTERS if with_ffmpeg else ():
        if kind in FITTED[name]:
            found[f"ffmpeg {name}"] = by_ffmpeg(name, 1)
            found[f"ffmpeg {name}, fitted"] = by_ffmpeg(name, FITTED[name][kind])
    return found


def network_of(method: str) -> results.Row:
    """Name the network in a method and the file that is measured; a method without one has nothing to name."""
    for name in MODELS:
        if name in method.split(" + "):
            model = f"{name} {PRECISION}"
            return {"model": model, "fingerprint": fingerprint(model)}
    return {}


def quality(photos: list[Frame], with_ffmpeg: bool) -> list[results.Row]:
    """Means over the photographs, for each kind of clip, noise and method."""
    clips = [*all_clips(photos), *(source_clips() if with_ffmpeg else ())]
    rows = []
    for kind in NOISES:
        noisy = [add_noise(clip, kind, seed) for seed, clip in enumerate(clips)]
        for name, method in methods(kind, with_ffmpeg).items():
            scores: dict[str, list[results.Row]] = {}
            for clip, frames in zip(clips, noisy, strict=True):
                scores.setdefault(clip.kind, []).append(score(clip, method(frames)))
            for clip_kind, found in scores.items():
                means = {key: round(float(np.mean([each[key] for each in found])), 2) for key in found[0]}
                rows.append(
                    {"method": name, "noise": kind, "clip": clip_kind, "clips": len(found), **means, **network_of(name)}
                )
                results.show(rows[-1])
    return rows


def processor_seconds() -> float:
    """Of this process and of the programs it has waited for: others on the machine do not count."""
    own, programs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, programs))


def costs(photo: Frame, with_ffmpeg: bool) -> Iterator[results.Row]:
    """Milliseconds of processor time a frame of 1280x720, standing and panned: what twelve frames take beyond four."""
    height, width = LARGE
    wide = cv2.resize(photo, (width + 3 * LARGE_FRAMES, height))
    pan = Clip("pan", [wide[:, 3 * t :][:, :width].copy() for t in range(LARGE_FRAMES)])
    stands = Clip("still", [pan.frames[0]] * LARGE_FRAMES)
    noisy = {clip.kind: add_noise(clip, "25", 0) for clip in (stands, pan)}
    for name, method in methods("25", with_ffmpeg).items():
        if name == "noisy":
            continue
        kinds = noisy if "temporal" in name else {"still": noisy["still"]}
        row: results.Row = {"method": name}
        method(noisy["pan"][:4])  # compiled, and warm
        for kind, frames in kinds.items():
            seconds = []
            for part in (frames[:4], frames) * (1 if SLOW in name else 3):
                begin = processor_seconds()
                method(part)
                seconds.append(processor_seconds() - begin)
            row[f"ms_{kind}"] = round(
                1000 * float(np.median(np.subtract(seconds[1::2], seconds[::2]))) / (len(frames) - 4), 1
            )
        row |= network_of(name)
        results.show(row)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_temporal", description=__doc__)
    folder = parser.add_mutually_exclusive_group(required=True)
    folder.add_argument("--data", type=Path, help="folder of photographs without noise, 384x288 pixels or more")
    folder.add_argument(
        "--tune", type=Path, metavar="PHOTOS", help="a folder of training photographs; measures nothing"
    )
    parser.add_argument("--photos", type=whole(1), default=2, help="how many of them")
    args = parser.parse_args()
    with_ffmpeg = shutil.which("ffmpeg") is not None
    if args.tune:
        tune(read_photos(args.tune, args.photos))
        return
    if not with_ffmpeg:
        print("ffmpeg is not installed: its filters and test sources are left out")
    photos = read_photos(args.data, args.photos)
    began = time.perf_counter()
    rows = [*costs(photos[0], with_ffmpeg), *quality(photos, with_ffmpeg)]
    results.write("temporal", rows)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
