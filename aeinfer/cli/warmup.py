"""`aeinfer warmup`: compiles all kernels and runs models once, ahead of the first image: for images of containers."""

import argparse
import time
from types import ModuleType

from aeinfer.cli.console import ExitCode, complain, say, say_json
from aeinfer.cli.options import add_device

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "-m",
        "--model",
        nargs="+",
        action="extend",
        metavar="MODEL",
        help="names or .onnx files (default: all that come with aeinfer)",
    )
    add_device(parser)
    parser.add_argument("--json", action="store_true", help="print what was done as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compile what is not compiled yet, and run each model."""
    from aeinfer import kernels
    from aeinfer.models import packaged_models

    began = time.perf_counter()
    loops = kernels.load_loops()  # which a few small images alone would not load
    models = [_run_model(name, args.device) for name in args.model or packaged_models()]
    if loops is not None:
        _make_noise()
        _average_frames()
    kept_in, why_not = _kept_in(loops)
    if kept_in is None:
        complain(f"no compiled kernels are kept: {why_not}")
    if args.json:
        say_json({"models": models, "kernels": kept_in, "seconds": round(time.perf_counter() - began, 3)})
        return ExitCode.DONE
    for model in models:
        say(f"{model['name']}: {model['precision']} on {model['provider']}")
    if kept_in is not None:
        say(f"compiled kernels: {kept_in}")
    return ExitCode.DONE


def _run_model(name: str, device: str) -> dict[str, str]:
    """Run one model on every dtype, each a kernel of its own, and on more than one window."""
    import numpy as np

    from aeinfer.arrays import DTYPES
    from aeinfer.denoiser import AEInfer

    with AEInfer.load(name, device=device) as model:
        side = 64 if model.info.tile is None else model.info.tile + 1
        for dtype in DTYPES:
            model.denoise(np.zeros((side, side, 3), dtype))
        return {"name": model.info.name, "precision": model.info.precision, "provider": model.provider}


def _make_noise() -> None:
    import numpy as np

    from aeinfer import noise

    grey = np.full((1, 8, 8), 0.5, np.float32)
    noise.add_gaussian(grey, 25)
    noise.add_poisson_gaussian(grey, 2, 100)
    noise.add_salt_and_pepper(grey, 0.1)


def _average_frames() -> None:
    """Run the temporal filter on a noisy pan, for each dtype that it takes."""
    import numpy as np

    from aeinfer.temporal import TemporalFilter

    rng = np.random.default_rng(0)
    wide = rng.integers(0, 200, (16, 32)).repeat(8, 0).repeat(8, 1)
    for dtype in (np.uint8, np.uint16):
        steady = TemporalFilter()
        for moved in range(0, 16, 4):
            steady((wide[:, moved : moved + 128] + rng.integers(0, 20, (128, 128))).astype(dtype))


def _kept_in(loops: ModuleType | None) -> tuple[str | None, str]:
    """The folder that holds the machine code; None where none does, and why."""
    if loops is None:
        return None, "there is no numba to compile them"
    from aeinfer.jit import cache_path, is_compiled

    if not is_compiled(loops.gather):
        return None, "NUMBA_DISABLE_JIT is set, Python runs them"
    return cache_path(loops.gather), "no cache folder is writable; NUMBA_CACHE_DIR names another"
