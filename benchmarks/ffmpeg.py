"""ffmpeg's test pictures as clips, and its filters as methods, at the strengths that suit a noise best."""

import subprocess
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.clips import FRAMES, HEIGHT, WIDTH, Clip, Frame, add_noise, all_clips, score, window

Method = Callable[[list[Frame]], list[Frame]]  # noisy frames -> others

PATIENCE = 120  # seconds: given too few frames, atadenoise waits forever
SLOW = "nlmeans"  # which is measured under one noise, and knows no time
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


def through_ffmpeg(command: list[str], frames: list[Frame], size: tuple[int, int]) -> list[Frame]:
    """Run ffmpeg on one thread, with raw frames on its input, and return the raw frames that it writes."""
    output = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-threads", "1", "-"]
    program = ["ffmpeg", "-v", "error", "-nostdin", "-filter_threads", "1", *command, *output]
    given = b"".join(frame.tobytes() for frame in frames)
    run = subprocess.run(program, input=given, capture_output=True, check=True, timeout=PATIENCE)
    return list(np.frombuffer(run.stdout, np.uint8).reshape(-1, *size, 3))


def source_clips() -> Iterator[Clip]:
    """ffmpeg's own test pictures."""
    for kind, source in SOURCES.items():
        command = ["-f", "lavfi", "-i", source.format(h=HEIGHT, w=WIDTH), "-frames:v", str(FRAMES)]
        yield Clip(kind, through_ffmpeg(command, [], (HEIGHT, WIDTH)))


def by_ffmpeg(name: str, times: float) -> Method:
    """One of ffmpeg's filters, in YCbCr of full resolution, at so many times its default strength."""
    text = FILTERS[name].format(*(f"{times * value:g}" for value in DEFAULTS[name]))

    def run(frames: list[Frame]) -> list[Frame]:
        height, width, _ = frames[0].shape
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "25", "-i", "-"]
        return through_ffmpeg([*source, "-vf", f"format=yuv444p,{text}"], frames, (height, width))

    return run


def tune(photos: list[Frame]) -> None:
    """Print, for each of ffmpeg's filters and noises, the PSNR at each strength, the best one first."""
    clips = all_clips(photos)
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
