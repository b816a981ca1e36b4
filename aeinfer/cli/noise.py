"""`aeinfer noise`: adds a known noise to files and folders, the same for the same seed wherever it runs."""

import argparse
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from aeinfer.cli.files import change_files
from aeinfer.cli.job import Worker
from aeinfer.cli.options import add_job_options, number, whole
from aeinfer.errors import InputError
from aeinfer.folder import Job
from aeinfer.kernels import from_float, to_float
from aeinfer.picture import Pixels, join_alpha, split_alpha

__all__ = ["add_options", "run"]

NEEDED = {"gaussian": ("sigma",), "poisson-gaussian": ("peak",), "salt-and-pepper": ("amount",)}
ALLOWED = {"gaussian": ("sigma",), "poisson-gaussian": ("peak", "sigma"), "salt-and-pepper": ("amount",)}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_job_options(parser, "noisy")
    parser.add_argument("--kind", choices=tuple(NEEDED), default="gaussian", help="(default: gaussian)")
    parser.add_argument(
        "--sigma",
        type=number(0, 255),
        metavar="S",
        help="standard deviation of the gaussian part in 8-bit levels, 0-255; gaussian needs it",
    )
    parser.add_argument(
        "--peak",
        type=number(1e-6),
        metavar="P",
        help="poisson-gaussian: photons at white; values are taken for linear light",
    )
    parser.add_argument("--amount", type=number(0, 1), metavar="A", help="salt-and-pepper: share of values, 0-1")
    parser.add_argument(
        "--seed",
        type=whole(0, 2**64 - 1),
        default=0,
        metavar="N",
        help="which noise (default: 0); each file name and page has its own",
    )


def run(args: argparse.Namespace) -> int:
    """Add noise to what the arguments name."""
    _check(args)

    @contextmanager
    def open_worker() -> Iterator[Worker]:
        noisy = _noise(args)

        def change(pixels: Pixels, job: Job) -> Pixels:
            colour, alpha = split_alpha(pixels)
            # by its name, whatever lies beside it; the first page has the file's, the others what no file has
            index = zlib.crc32(os.fsencode(job.relative)) + (job.page << 32)
            return join_alpha(from_float(noisy(to_float(colour), index), colour.dtype), alpha)

        yield Worker(change)

    return change_files(args, "noisy", open_worker)


def _check(args: argparse.Namespace) -> None:
    """Refuse options that are missing for the kind of noise, or would do nothing."""
    for option in ("sigma", "peak", "amount"):
        given = getattr(args, option) is not None
        if option in NEEDED[args.kind] and not given:
            raise InputError(f"--kind {args.kind} needs --{option}")
        if given and option not in ALLOWED[args.kind]:
            raise InputError(f"--kind {args.kind} has no --{option}; it takes --{' and --'.join(ALLOWED[args.kind])}")


def _noise(args: argparse.Namespace) -> Callable[[NDArray[Any], int], NDArray[Any]]:
    from aeinfer import noise

    if args.kind == "gaussian":
        return lambda values, index: noise.add_gaussian(values, args.sigma, seed=args.seed, index=index)
    if args.kind == "poisson-gaussian":
        sigma = args.sigma or 0.0
        return lambda values, index: noise.add_poisson_gaussian(values, sigma, args.peak, seed=args.seed, index=index)
    return lambda values, index: noise.add_salt_and_pepper(values, args.amount, seed=args.seed, index=index)
