"""Does a model file do what its PyTorch network does? `python -m export.verify FILE --checkpoint C`: exit 0 if so."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aeinfer.errors import AEInferError, InputError
from aeinfer.model_bytes import read_model
from aeinfer.session import Session
from train.checkpoint import trained_model
from train.resampling import MaxUnpool

Tensor = NDArray[np.float32]
TOLERANCE = 1e-4


def random_samples(model: nn.Module) -> list[Tensor]:
    """Batches of noise at several sizes, beyond [0, 1] too, as unclipped noisy images are."""
    rng = np.random.default_rng(0)
    if model.window:
        shapes = [(n, model.channels, model.window, model.window) for n in (1, 3, 64)]
    else:
        sides = [(1, 1), (2, 3), (5, 4), (9, 16)]
        shapes = [(1 + i % 2, model.channels, h * model.stride, w * model.stride) for i, (h, w) in enumerate(sides)]
    return [rng.normal(0.5, 0.5, shape).astype(np.float32) for shape in shapes]


def largest_error(session: Session, model: nn.Module, samples: Sequence[Tensor]) -> float:
    """Return the largest absolute difference between a file in onnxruntime and its network in PyTorch.

    Max-unpooling is not continuous: where two activations are equal but for their last bit, either may be the largest,
    and a value comes to lie a pixel further. Of such a network one value in a thousand is left out.

    Raises
    ------
    InputError
        The file gives something of another shape.
    """
    errors = []
    for sample in samples:
        with torch.no_grad():
            expected, found = model(torch.from_numpy(sample)).numpy(), session.run(sample)
        if found.shape != expected.shape:
            raise InputError(
                f"expected a whole network, which gives {expected.shape}, got one that gives {found.shape}"
            )
        errors.append(np.abs(found - expected).ravel())
    jumps = any(isinstance(step, MaxUnpool) for step in model.modules())
    return float(np.quantile(np.concatenate(errors), 0.999 if jumps else 1.0))


def _images(channels: int, side: int | None) -> str:
    """Say which images a network takes."""
    return f"images of {channels} channel(s) and {f'{side}x{side} pixels' if side else 'any size'}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.verify", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="largest absolute difference, in [0, 1] units"
    )
    args = parser.parse_args(argv)
    try:
        model, _recipe = trained_model(args.checkpoint)
        session = Session(read_model(args.file), str(args.file), device="cpu")
        info = session.info()
        if info.precision == "int8":
            raise InputError("expected a file in floating point, got one of int8: what rounding costs, export says")
        if (info.channels, info.tile) != (model.channels, model.window):
            raise InputError(
                f"expected the file of the checkpoint's network, which takes {_images(model.channels, model.window)}, "
                f"got one that takes {_images(info.channels, info.tile)}: {args.file}"
            )
        error = largest_error(session, model, random_samples(model))
    except (AEInferError, OSError) as problem:
        parser.exit(2, f"export.verify: {problem}\n")
    agrees = error <= args.tolerance
    print(f"{args.file}: largest difference {error:.2e}, {'within' if agrees else 'ABOVE'} {args.tolerance:.0e}")
    return 0 if agrees else 1


if __name__ == "__main__":
    raise SystemExit(main())
