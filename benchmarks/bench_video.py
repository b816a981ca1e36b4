"""Which model for which noise of video: `python -m benchmarks.bench_video --data DIR --real DIR [--methods TEXT...]`.

Noisy pictures as frames with colour at half the resolution, through an encoder and then through `aeinfer video`. What
they are is told in README.md. Rows go into results/video.json.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from aeinfer import cli, kernels, metrics
from benchmarks import options, results
from benchmarks.bench_quality import NOISY
from benchmarks.clips import Clip, Frame, add_noise
from benchmarks.noisy import Image, Images, real_pairs
from benchmarks.packaged import fingerprint

SET, EVERY, EVERY_REAL, SIDE = "kodak24", 3, 6, 480
LOSSLESS, LOSSY = ("ffv1", {}), ("libx264", {"crf": "18"})
WAYS = {  # name -> model and options of `aeinfer video`
    "the default, photo-fast": ("photo-fast", []),
    "-m photo": ("photo", ["-m", "photo"]),
    "-m photo-best": ("photo-best", ["-m", "photo-best"]),
    "-m photo-camera": ("photo-camera", ["-m", "photo-camera"]),
    "--luma, photo-fast-grey": ("photo-fast-grey", ["--luma"]),
    "--luma -m photo-fast": ("photo-fast", ["--luma", "-m", "photo-fast"]),
    "--luma -m photo": ("photo", ["--luma", "-m", "photo"]),
}
WAY = {"dst_colorspace": Colorspace.ITU601, "dst_color_range": ColorRange.MPEG, "interpolation": Interpolation.AREA}
Planes = tuple[NDArray[np.uint8], ...]  # Y, U and V


def encode(frames: list[Frame], path: Path, codec: tuple[str, dict[str, str]]) -> Path:
    """Write frames of RGB as 4:2:0 (BT.601, limited range)."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec[0], rate=25, options=codec[1])
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p", **WAY)))
        container.mux(stream.encode())
    return path


def planes_of(path: Path) -> Iterator[Planes]:
    """Yield the planes of each frame of a file."""
    with av.open(path) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray()
            height = frame.height
            yield pixels[:height], pixels[height : height * 5 // 4], pixels[height * 5 // 4 :]


def score(found: Path, expected: Path) -> results.Row:
    """Mean PSNR in dB over the frames of the luma, and of both planes of chroma."""
    pairs = zip(planes_of(found), planes_of(expected), strict=True)
    frames = [[metrics.psnr(a, b, data_range=255) for a, b in zip(*pair, strict=True)] for pair in pairs]
    luma, *chroma = np.mean(frames, axis=0)
    return {"luma": round(luma, 2), "chroma": round(np.mean(chroma), 2)}


def middle(image: Image) -> Frame:
    return np.ascontiguousarray(kernels.from_float(image[:SIDE, :SIDE], np.uint8))


def clips(images: Images, real: Path) -> Iterator[tuple[str, list[Frame], list[Frame], tuple[str, dict[str, str]]]]:
    """Yield the name, the clean and the noisy frames, and the codec that these went through."""
    clean = [middle(image) for _, image in images]
    white, shot = (add_noise(Clip("frames", clean), kind, seed=0) for kind in ("25", "camera"))
    yield "white noise, sigma 25", clean, white, LOSSLESS
    yield "the same, libx264 crf 18", clean, white, LOSSY
    yield "shot noise, libx264", clean, shot, LOSSY
    pairs = [tuple(map(middle, pair)) for pair in real_pairs(real)][::EVERY_REAL]
    yield "real cameras, libx264", [mean for _, mean in pairs], [noisy for noisy, _ in pairs], LOSSY


def denoise(method: str, before: Path, after: Path) -> results.Row:
    """Run the command on a file, and name the model that it took."""
    model, given = WAYS[method]
    command = ["video", str(before), str(after), "--codec", "ffv1", "--on-exist", "overwrite", "-q", *given]
    if code := cli.main(command):
        raise SystemExit(f"aeinfer {' '.join(command)} ended with {code}")
    return {"model": f"{model} fp32", "fingerprint": fingerprint(f"{model} fp32")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_video", description=__doc__)
    options.add_set(parser, SET)
    parser.add_argument("--real", type=Path, required=True, help="folder of real pairs NAME_real, NAME_mean")
    options.add_methods(parser)
    args = parser.parse_args()
    methods = options.chosen(parser, [NOISY, *WAYS], args.methods)
    images = options.images(parser, args.data, SET, EVERY)
    if not any(real_pairs(args.real)):
        parser.exit(2, f"bench_video: expected NAME_real and NAME_mean in {args.real}\n")
    with tempfile.TemporaryDirectory() as folder:
        before, expected, after = (Path(folder, f"{name}.mkv") for name in ("noisy", "clean", "denoised"))
        for kind, clean, noisy, codec in clips(images, args.real):
            encode(clean, expected, LOSSLESS)
            encode(noisy, before, codec)
            for method in methods:
                row: results.Row = {"method": method, "noise": kind}
                if method == NOISY:
                    row |= score(before, expected)
                else:
                    row |= denoise(method, before, after) | score(after, expected)
                results.merge("video", [row], ("method", "noise"), {NOISY, *WAYS})


if __name__ == "__main__":
    main()
