"""`aeinfer denoise`: loads one model and runs it over files and folders."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aeinfer.cli.console import complain
from aeinfer.cli.files import change_files
from aeinfer.cli.job import Change, Worker
from aeinfer.cli.options import add_job_options, add_network, network_options, number, whole
from aeinfer.errors import InputError
from aeinfer.folder import Job
from aeinfer.kernels import full_scale
from aeinfer.picture import Pixels, split_alpha

if TYPE_CHECKING:
    from aeinfer.denoiser import AEInfer

__all__ = ["add_options", "run"]

DIM = 1 / 4
"""Of the range: what no pixel of an image exceeds, such as 14 bits in 16, has less noise than networks look for."""

Dim = set[tuple[Path, int]]
"""The images, or pages, of which this is true."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_job_options(parser, "denoised")
    parser.add_argument(
        "--watch",
        type=number(0.01),
        metavar="SECONDS",
        help="go on: look so often for new files that have stopped growing",
    )
    add_network(
        parser,
        "photo",
        beyond="the picture itself, read and denoised, comes",
        threads="threads to use (default: what bench found best, or what this job may)",
    )
    parser.add_argument("-b", "--batch", type=whole(1), help="tiles in a batch")


def run(args: argparse.Namespace) -> int:
    """Denoise what the arguments name."""
    dim: Dim = set()

    @contextmanager
    def open_worker() -> Iterator[Worker]:
        from aeinfer.denoiser import AEInfer

        # decoders and encoders want the cores that the network's threads would wait on
        options = {**network_options(args), "batch": args.batch, "spinning": False}
        with ExitStack() as stack:
            model = stack.enter_context(AEInfer.load(args.model, **options))
            if args.verbose:
                complain(f"model {model.info.name} on {model.provider}")

            def narrow() -> Change:
                alike = AEInfer.load(args.model, **{**options, "threads": 1})
                return _change(stack.enter_context(alike), args.strength, dim)

            # several at once would share a bound on memory, and a GPU
            alone = args.max_memory is not None or model.on_gpu
            change = _change(model, args.strength, dim)
            yield Worker(change, model.provider, model.info.fingerprint, None if alone else narrow)

    code = change_files(args, "denoised", open_worker)
    if dim:
        complain(
            f"{len(dim)} of the images or pages fill less than a quarter of their range: noise is left in them, and "
            "dark values may shift; stretch them first (docs/measurements.md)"
        )
    return code


def _change(model: "AEInfer", strength: float, dim: Dim) -> Change:
    def change(pixels: Pixels, job: Job) -> Pixels:
        colours, _alpha = split_alpha(pixels)
        if colours.dtype.kind == "f" and colours.min() > 1:
            raise InputError("all values are above 1, and a network answers within [0, 1]: scale them into it first")
        if colours.dtype != "uint8" and 0 < colours.max() <= DIM * full_scale(colours.dtype):
            dim.add((job.source, job.page))
        return model.denoise(pixels, strength=strength)

    return change
