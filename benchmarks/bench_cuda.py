"""The same network on an NVIDIA GPU, ours and PyTorch's: `python -m benchmarks.bench_cuda`; see README.md.

Ours is the fp32 and the fp16 file on onnxruntime's CUDA provider, and on TensorRT's where that starts; PyTorch's is
channels-last in half precision, eager and compiled. All take a batch from the CPU's memory and give the result back
there, take turns, and are compared with the CPU's result before they are timed. Needs the extras gpu, export and a GPU.
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from aeinfer import AEInfer
from aeinfer.errors import AEInferError
from aeinfer.model_bytes import fingerprint_of
from aeinfer.session import Session
from benchmarks import options, results
from benchmarks.engines import Run, Tensor, torch_network
from benchmarks.packaged import color_models
from benchmarks.timing import interleaved_seconds
from export.fp16 import keep_fp16, noisy_ramps

SHAPES = ((1, 720, 1280), (1, 2160, 3840), (16, 256, 256))  # a frame, a photograph, tiles
ROUNDS = 15
TOLERANCE = {"fp32": 5e-3, "fp16": 0.02}  # the largest difference from the CPU in fp32; a GPU's fp32 may be TF32


def fp16_file(path: Path, folder: Path) -> Path:
    """Write the fp16 file of a model into a folder, and return it.

    Raises
    ------
    RuntimeError
        Rounding costs it more than export allows.
    """
    info = AEInfer.load(path, device="cpu").info
    target = folder / f"{path.stem}.fp16.onnx"
    if not keep_fp16(onnx.load(path), info, target, noisy_ramps(info)):
        raise RuntimeError("its fp16 file loses too much")
    return target


def in_torch(path: Path, device: str, *, compiled: bool) -> Run:
    """PyTorch in half precision and channels-last, with cuDNN free to measure which algorithm is best."""
    import torch

    torch.backends.cudnn.benchmark = True
    network = torch_network(path).to(device, torch.float16, memory_format=torch.channels_last)
    if compiled:
        network = torch.compile(network)

    def run(batch: Tensor) -> Tensor:
        with torch.inference_mode():
            images = torch.from_numpy(batch).to(device).to(torch.float16, memory_format=torch.channels_last)
            denoised: Tensor = network(images).float().contiguous().cpu().numpy()
            return denoised

    return run


def ways(path: Path, half: Path, device: str) -> dict[str, "partial[Run]"]:
    """What makes each way's call: it may take long, and may fail."""

    def session(file: Path, where: str) -> Run:
        return Session(file.read_bytes(), file.name, where).run

    return {
        f"aeinfer {device} fp32": partial(session, path, device),
        f"aeinfer {device} fp16": partial(session, half, device),
        "aeinfer tensorrt fp16": partial(session, half, "tensorrt"),
        f"torch {device} fp16, channels-last": partial(in_torch, path, device, compiled=False),
        f"torch.compile {device} fp16, channels-last": partial(in_torch, path, device, compiled=True),
    }


def measure(method: str, path: Path, device: str, shape: tuple[int, int, int], rounds: int) -> Iterator[results.Row]:
    """Yield one row a way: milliseconds, megapixels a second, and its time over ours; or why there is none."""
    count, height, width = shape
    batch = np.random.default_rng(0).random((count, 3, height, width), np.float32)
    expected = Session(path.read_bytes(), path.name, "cpu").run(batch)
    facts = {"method": method, "fingerprint": fingerprint_of(path.read_bytes()), "batch": "x".join(map(str, shape))}
    calls: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, make in ways(path, fp16_file(path, Path(folder)), device).items():
            try:
                run = make()
                off = float(np.abs(run(batch) - expected).max())
            except (AEInferError, ImportError, RuntimeError) as error:  # what onnxruntime and PyTorch raise
                yield {**facts, "way": way, "unavailable": str(error).strip().partition("\n")[0]}
                continue
            if not off <= TOLERANCE["fp32" if "fp32" in way else "fp16"]:  # not NaN either
                yield {**facts, "way": way, "unavailable": f"another result: off by {off:.4f}"}
            else:
                calls[way] = run
        seconds = interleaved_seconds({way: partial(run, batch) for way, run in calls.items()}, rounds)
    base = seconds.get(f"aeinfer {device} fp16")
    for way, times in seconds.items():
        middle = float(np.median(times))
        row = {**facts, "way": way, "ms": round(middle * 1e3, 2), "mpix_s": round(batch[:, 0].size / middle / 1e6, 1)}
        yield row if base is None else row | {"times_ours": round(float(np.median(times / base)), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_cuda", description=__doc__)
    options.add_rounds(parser, ROUNDS)
    options.add_methods(parser)
    args = parser.parse_args()
    files = {method: path for method, path in color_models().items() if method.endswith(" fp32")}
    chosen = options.chosen(parser, files, args.methods)
    try:
        AEInfer.load(files[chosen[0]], device="cuda").close()
        import torch

        card = torch.cuda.get_device_name()
    except (AEInferError, ImportError, RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        parser.exit(3, f"bench_cuda: there is no GPU to measure: {error}\n")
    for method in chosen:
        for shape in SHAPES:
            rows = [{"gpu": card, **row} for row in measure(method, files[method], "cuda", shape, args.rounds)]
            results.merge("cuda", rows, ("gpu", "method", "batch", "way"), files)


if __name__ == "__main__":
    main()
