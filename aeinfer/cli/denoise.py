"""`aeinfer denoise`: loads one model and runs it over files and folders."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from aeinfer.cli.console import complain
from aeinfer.cli.files import change_files
from aeinfer.cli.job import Change, Worker
from aeinfer.cli.options import add_job_options, add_network, network_options, number, whole

if TYPE_CHECKING:
    from aeinfer.denoiser import AEInfer

__all__ = ["add_options", "run"]


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
                return _change(stack.enter_context(alike), args.strength)

            # several at once would share a bound on memory, and a GPU
            alone = args.max_memory is not None or model.on_gpu
            yield Worker(
                _change(model, args.strength), model.provider, model.info.fingerprint, None if alone else narrow
            )

    return change_files(args, "denoised", open_worker)


def _change(model: "AEInfer", strength: float) -> Change:
    return lambda pixels, _: model.denoise(pixels, strength=strength)
