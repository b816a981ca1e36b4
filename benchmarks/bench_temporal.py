"""Video with `aeinfer.temporal` and without, and ffmpeg's filters: `python -m benchmarks.bench_temporal`.

Clips are made from photographs: standing still, panned, with a disc that moves over them, cut; and by ffmpeg's own test
sources. `--tune PHOTOS` prints the strengths of ffmpeg's filters that suit a noise best.
"""

import argparse
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aeinfer import AEInfer, kernels, metrics, noise
from aeinfer.cli.options import whole
from aeinfer.image import read_image
from aeinfer.session import fingerprint_of
from aeinfer.temporal import TemporalFilter
from benchmarks import results
from benchmarks.packaged import model_files

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Method = Callable[[list[Frame]], list[Frame]]

HEIGHT, WIDTH, FRAMES, SETTLED = 256, 320, 16, 6  # the first frames, before much is averaged, are not measured
LARGE, LARGE_FRAMES = (720, 1280), 12
PATIENCE = 120  # seconds: given too few frames, atadenoise waits forever
CUT = 10
SLOW = "nlmeans"  # which is measured under one noise, and knows no time
PHOTOS = Path(__file__).parents[1] / "examples" / "photos" / "clean"
NOISES = ("15", "25", "camera")
PEAK, READ_SIGMA, GAMMA = 150.0, 1.0, 2.2  # photons at white, read noise in 8-bit levels of linear light
MODELS, PRECISION = ("photo-fast", "photo"), "fp32"
SOURCES = {"testsrc2": "testsrc2=size={w}x{h}:rate=25", "mandelbrot": "mandelbrot=size={w}x{h}:rate=25:start_scale=1"}
FILTERS = {
    "hqdn3d": "hqdn3d={0}:{1}:{2}:{3}",
    "nlmeans": "nlmeans=s={0}",
    "atadenoise": "atadenoise=0a={0}:0b={1}:1a={0}:1b={1}:2a={0}:2b={1}",
}
DEFAULTS = {"hqdn3d": (4.0, 3.0, 6.0, 4.5), "nlmeans": (1.0,), "atadenoise": (0.02, 0.04)}
# times the defaults: the highest mean PSNR of still, panned and moving training photographs, found by --tune
FITTED = {
    "hqdn3d": {"15": 6.0, "25": 10.0, "camera": 5.0},
    "nlmeans": {"25": 10.0},
    "atadenoise": {"15": 8.0, "25": 12.0, "camera": 8.0},
}
TRIED = {
    "hqdn3d": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15),
    "nlmeans": (6, 8, 10, 12, 14, 18),
    "atadenoise": (1, 2, 4, 6, 8, 10, 12, 15),
}


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


def source_clips() -> Iterator[Clip]:
    """ffmpeg's own test pictures."""
    for kind, source in SOURCES.items():
        command = ["-f", "lavfi", "-i", source.format(h=HEIGHT, w=WIDTH), "-frames:v", str(FRAMES)]
        yield Clip(kind, through_ffmpeg(command, [], (HEIGHT, WIDTH)))


def through_ffmpeg(command: list[str], frames: list[Frame], size: tuple[int, int]) -> list[Frame]:
    """Run ffmpeg on one thread, with raw frames on its input, and return the raw frames that it writes."""
    output = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-threads", "1", "-"]
    program = ["ffmpeg", "-v", "error", "-nostdin", "-filter_threads", "1", *command, *output]
    given = b"".join(frame.tobytes() for frame in frames)
    run = subprocess.run(program, input=given, capture_output=True, check=True, timeout=PATIENCE)
    return list(np.frombuffer(run.stdout, np.uint8).reshape(-1, *size, 3))


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


def by_network(model: AEInfer, temporal: str = "") -> Method:
    def run(frames: list[Frame]) -> list[Frame]:
        steady = TemporalFilter()
        if temporal == "before":
            return [model(steady(frame)) for frame in frames]
        return [steady(model(frame)) if temporal == "after" else model(frame) for frame in frames]

    return run


def by_temporal(frames: list[Frame]) -> list[Frame]:
    steady = TemporalFilter()
    return [steady(frame) for frame in frames]


def by_ffmpeg(name: str, times: float) -> Method:
    """One of ffmpeg's filters, in YCbCr of full resolution, at so many times its default strength."""
    text = FILTERS[name].format(*(f"{times * value:g}" for value in DEFAULTS[name]))

    def run(frames: list[Frame]) -> list[Frame]:
        height, width, _ = frames[0].shape
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "25", "-i", "-"]
        return through_ffmpeg([*source, "-vf", f"format=yuv444p,{text}"], frames, (height, width))

    return run


def methods(kind: str, with_ffmpeg: bool) -> dict[str, Method]:
    """Name -> what turns noisy frames into others."""
    found: dict[str, Method] = {"noisy": lambda frames: frames, "temporal alone": by_temporal}
    for name in MODELS:
        model = AEInfer.load(name, precision=PRECISION, threads=1)
        found[name] = by_network(model)
        found[f"temporal + {name}"] = by_network(model, "before")
        if name == "photo-fast":
            found[f"{name} + temporal"] = by_network(model, "after")
    for name in FILTERS if with_ffmpeg else ():
        if kind not in FITTED[name]:
            continue
        found[f"ffmpeg {name}"] = by_ffmpeg(name, 1)
        found[f"ffmpeg {name}, fitted"] = by_ffmpeg(name, FITTED[name][kind])
    return found


def network_of(method: str) -> results.Row:
    """Name the network in a method and the file that is measured; a method without one has nothing to name."""
    for name in MODELS:
        if name in method.split(" + "):
            model = f"{name} {PRECISION}"
            return {"model": model, "fingerprint": fingerprint_of(model_files()[model].read_bytes())}
    return {}


def psnr(result: Frame, clean: Frame, mask: Mask | None = None) -> float:
    here = np.ones(clean.shape[:2], bool) if mask is None else mask
    return metrics.psnr(result[here], clean[here], data_range=255)


def score(clip: Clip, found: list[Frame]) -> results.Row:
    """PSNR over the frames; the flicker where the clip stands still; PSNR where it has just moved."""
    measured = range(clip.first, len(clip.frames))
    row: results.Row = {"psnr": float(np.mean([psnr(found[t], clip.frames[t]) for t in measured]))}
    if still := clip.still:
        changes = [(found[t].astype(float) - found[t - 1])[still[t]] for t in measured]
        row["flicker"] = float(np.sqrt(np.mean([np.mean(change**2) for change in changes])))
    if moved := clip.moved:
        row["moved"] = float(np.mean([psnr(found[t], clip.frames[t], moved[t]) for t in measured if moved[t].any()]))
    return row


def read_photos(folder: Path, count: int) -> list[Frame]:
    """The first photographs that are large enough for the pans, spread over the folder."""
    paths = sorted(path for suffix in ("png", "jpg") for path in folder.glob(f"*.{suffix}"))
    large = (HEIGHT + 2 * FRAMES, WIDTH + 4 * FRAMES)
    photos = [read_image(path).pixels for path in paths[:: max(1, len(paths) // count)]]
    photos = [photo for photo in photos if photo.shape[0] >= large[0] and photo.shape[1] >= large[1]]
    if len(photos) < 2:
        raise SystemExit(f"expected two photographs of {large[1]}x{large[0]} pixels or more in {folder}")
    return photos[:count]


def quality(photos: list[Frame], with_ffmpeg: bool) -> list[results.Row]:
    """Means over the photographs, for each kind of clip, noise and method."""
    clips = [clip for n, photo in enumerate(photos) for clip in clips_of(photo, photos[(n + 1) % len(photos)])]
    clips += source_clips() if with_ffmpeg else ()
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


def tune(photos: list[Frame]) -> None:
    """Print, for each of ffmpeg's filters and noises, the PSNR at each strength, the best one first."""
    clips = [clip for n, photo in enumerate(photos) for clip in clips_of(photo, photos[(n + 1) % len(photos)])]
    spatial = [Clip("still", [window(photo, 0, 0)], first=0) for photo in photos]
    for name, kinds in FITTED.items():
        given = spatial if name == SLOW else clips
        for kind in kinds:
            noisy = [add_noise(clip, kind, seed) for seed, clip in enumerate(given)]
            means = {}
            for times in TRIED[name]:
                run = by_ffmpeg(name, times)
                scores = [score(clip, run(frames))["psnr"] for clip, frames in zip(given, noisy, strict=True)]
                means[times] = round(float(np.mean(scores)), 2)
            print(name, kind, dict(sorted(means.items(), key=lambda item: -item[1])), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_temporal", description=__doc__)
    parser.add_argument("--data", type=Path, default=PHOTOS, help="folder of photographs without noise")
    parser.add_argument("--photos", type=whole(1), default=2, help="how many of them")
    parser.add_argument(
        "--tune", type=Path, metavar="PHOTOS", help="a folder of training photographs; measures nothing"
    )
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
