"""The command `aeinfer`: picks one command's file, runs it, and turns errors into exit codes; does no work itself.

Commands are imported when they are called, so that help and version cost nothing.
"""

import argparse
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from aeinfer.cli.console import ExitCode, complain
from aeinfer.errors import AEInferError, BackendMissingError, InputError, ModelError, ProviderUnavailableError
from aeinfer.version import __version__

__all__ = ["main", "run"]

COMMANDS = {
    "denoise": "remove the noise from images, folders and trees of them",
    "stream": "denoise frames as they come, from a camera, a URL or another program",
    "video": "denoise a video file; sound, subtitles and times stay as they are",
    "encode": "squeeze images into the few numbers of an autoencoder's code",
    "decode": "turn such codes back into images",
    "noise": "add a known noise to images, to measure with",
    "compare": "measure images against clean ones: PSNR, SSIM and a picture side by side",
    "formats": "list the image formats that this install reads and writes",
    "models": "list the models that come with aeinfer",
    "info": "show what a model file says of itself",
    "warmup": "compile the kernels and run models once, ahead of the first image",
    "bench": "measure which precision, threads, tile and batch are best on this machine, and remember them",
    "doctor": "say why aeinfer does not work on this machine, or that it does",
}

EXIT_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (BackendMissingError, ExitCode.UNAVAILABLE),
    (ProviderUnavailableError, ExitCode.UNAVAILABLE),
    (ModelError, ExitCode.BAD_MODEL),
    (InputError, ExitCode.USAGE),
    (AEInferError, ExitCode.FAILED),
    (OSError, ExitCode.FAILED),
    (MemoryError, ExitCode.FAILED),
)


# OpenBLAS, in numpy and again in OpenCV, sets 200 MB of address space aside for threads that no command uses, and dies
# where it may not have them; it looks at this when numpy is imported, which is later
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str
        Without the program's name; None takes the process's own.

    Returns
    -------
    0 all good, 1 some files failed, 2 wrong usage or unsafe, 3 a backend or device is missing, 4 a bad model,
    5 nothing found, 129 hung up, 130 interrupted, 143 terminated.

    Examples
    --------
    >>> main(["--version"]) == 0  # doctest: +ELLIPSIS
    aeinfer ...
    True
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parser(arguments).parse_args(arguments)
        with _voices(getattr(args, "verbose", False)):
            code: int = args.run(args)
            _flush()
            return code
    except SystemExit as stop:  # argparse has printed help or what is wrong
        return stop.code if isinstance(stop.code, int) else ExitCode.DONE
    except KeyboardInterrupt:
        complain("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except tuple(kind for kind, _ in EXIT_CODES) as error:
        complain(str(error) or type(error).__name__)
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def _flush() -> None:
    """Bring what was printed to where it goes; what is in its way is not taken for what is in the way of results."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"standard output: cannot be written: {error.strerror}") from error


def run() -> NoReturn:
    """Be the process `aeinfer`: run the command of its arguments, and end without taking Python and libraries down.

    That would take a sixth of the time of one small image, to free what the system frees at once.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed, as some services begin programs
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - as long as the process
    code = main()
    try:
        sys.stdout.flush()
    except OSError:  # help that nobody could read
        code = ExitCode.FAILED
    os._exit(code)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aeinfer",
        description="Remove noise from images with small autoencoders.",
        epilog="exit codes: 0 all good, 1 some files failed, 2 wrong usage or unsafe, 3 backend or device missing, "
        "4 bad model, 5 nothing found, 129 hung up, 130 interrupted, 143 terminated",
    )
    parser.add_argument("--version", action="version", version=f"aeinfer {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if arguments and arguments[0] == name:
            module = importlib.import_module(f"aeinfer.cli.{name}")
            module.add_options(command)
            command.set_defaults(run=module.run)
    return parser


@contextmanager
def _voices(verbose: bool) -> Iterator[None]:
    """Let the library's log and Python's warnings speak as this program does, for one command."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("aeinfer: %(message)s"))
    logger = logging.getLogger("aeinfer")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _once()
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _once() -> Callable[..., None]:
    """Return what says a warning, but none twice: a model that several threads load has one for each."""
    said: set[str] = set()

    def show(message: Warning | str, *_where: object, **_else: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            complain(str(message))

    return show
