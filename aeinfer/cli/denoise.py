"""`aeinfer denoise`: loads one model and runs it over files and folders."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from aeinfer.cli.batch import process
from aeinfer.cli.console import complain
from aeinfer.cli.job import Change, Worker
from aeinfer.cli.options import add_device, add_job_options, add_precision, number, whole

if TYPE_CHECKING:
    from aeinfer.denoiser import AEInfer

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_job_options(parser, "denoised")
    parser.add_argument(
        "-m", "--model", default="photo", help="a packaged model's name or a .onnx file (default: photo)"
    )
    add_device(parser)
    add_precision(parser)
    parser.add_argument(
        "-s", "--strength", type=number(0, 1), default=1.0, help="from 0, the input, to 1, the full result (default: 1)"
    )
    parser.add_argument("-t", "--tile", type=whole(1), help="side of a tile in pixels, without its halo (see bench)")
    parser.add_argument(
        "--max-memory",
        type=whole(1),
        metavar="MB",
        help="for libraries, network and copies; the picture itself, read and denoised, comes on top",
    )
    parser.add_argument("-b", "--batch", type=whole(1), help="tiles in a batch")
    parser.add_argument(
        "--threads",
        type=whole(1),
        metavar="N",
        help="threads to use (default: what bench found best, or what this job may)",
    )


def run(args: argparse.Namespace) -> int:
    """Denoise what the arguments name."""

    @contextmanager
    def open_worker() -> Iterator[Worker]:
        from aeinfer.denoiser import AEInfer

        load = partial(
            AEInfer.load,
            args.model,
            device=args.device,
            precision=args.precision,
            tile=args.tile,
            batch=args.batch,
            max_memory_mb=args.max_memory,
            spinning=False,  # decoders and encoders want the cores that the network's threads wait on
        )
        with ExitStack() as stack:
            model = stack.enter_context(load(threads=args.threads))
            if args.verbose:
                complain(f"model {model.info.name} on {model.provider}")

            def narrow() -> Change:
                return _change(stack.enter_context(load(threads=1)), args.strength)

            # several at once would share a bound on memory, and a GPU
            alone = args.max_memory is not None or model.provider != "CPUExecutionProvider"
            yield Worker(
                _change(model, args.strength), model.provider, model.info.fingerprint, None if alone else narrow
            )

    return process(args, "denoised", open_worker)


def _change(model: "AEInfer", strength: float) -> Change:
    return lambda pixels, _: model.denoise(pixels, strength=strength)
