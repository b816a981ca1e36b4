"""`aeinfer encode`: squeezes images of a model's window size into its codes, all into one .npz file."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer.atomic import clear_parts, is_there
from aeinfer.cli.console import ExitCode, complain, nothing_found, say
from aeinfer.cli.interrupt import Stop, until_stopped
from aeinfer.cli.options import add_device, add_on_exist, add_precision
from aeinfer.codes import Codes, write_codes
from aeinfer.denoiser import AEInfer
from aeinfer.errors import ImageReadError, InputError
from aeinfer.image import read_image
from aeinfer.inputs import list_inputs
from aeinfer.opencv import quiet_opencv
from aeinfer.picture import Pixels

__all__ = ["add_options", "run"]

Named = tuple[str, Path]
"""An image's name among the codes, and its file."""

AT_ONCE = 256
"""Images that are read before they are encoded together."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help='image, folder or pattern such as "in/*.png"')
    parser.add_argument("-o", "--output", required=True, metavar="CODES.npz", help="the file of codes")
    parser.add_argument(
        "-m", "--model", required=True, help="a model with a code: mnist-dense, mnist-conv, or a .onnx file with halves"
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="folders within folders too; keeps their names")
    add_on_exist(parser, "it", "skip", "overwrite", "error")
    add_device(parser)
    add_precision(parser)


def run(args: argparse.Namespace) -> int:
    """Encode what the arguments name."""
    return until_stopped(lambda stop: _run(args, stop))


def _run(args: argparse.Namespace, stop: Stop) -> int:
    target = Path(args.output)
    if target.suffix != ".npz":
        raise InputError(f"the output is a file of codes, whose name ends in .npz, got {target}")
    if target.is_dir():
        raise InputError(f"the output {target} is a folder; name the file of codes")
    if is_there(target) and args.on_exist != "overwrite":
        if args.on_exist == "error":
            raise InputError(f"nothing was done, because {target} exists")
        say(f"skipped: {target} exists; --on-exist overwrite replaces it")
        return ExitCode.DONE
    found = list_inputs(args.inputs, recursive=args.recursive)
    images = found.images
    _refuse_twins(images)
    for name, reason in found.failures:
        complain(f"{name}: {reason}")
    if not images:
        return nothing_found(f"{', '.join(args.inputs)} holds no images")
    return _encode(args, images, target, stop, failed=len(found.failures))


def _refuse_twins(images: Sequence[Named]) -> None:
    """Refuse images of one name: a code is known by it alone, and `aeinfer decode` gives it a suffix of its own."""
    alike: dict[PurePath, list[str]] = {}
    for name, source in images:
        alike.setdefault(PurePath(name).with_suffix(""), []).append(str(source))
    twins = [f"{', '.join(group)}: all would be named {name}" for name, group in alike.items() if len(group) > 1]
    if twins:
        raise InputError("nothing was done, because\n  " + "\n  ".join(twins))


def _encode(args: argparse.Namespace, images: Sequence[Named], target: Path, stop: Stop, failed: int) -> int:
    quiet_opencv()
    names: list[str] = []
    codes: list[NDArray[np.float32]] = []
    with AEInfer.load(args.model, device=args.device, precision=args.precision) as ae:
        for start in range(0, len(images), AT_ONCE):
            for done, code in _codes(ae, images[start : start + AT_ONCE]):
                names += done
                codes.append(code)
        info = ae.info
    failed += len(images) - len(names)
    if not names:
        complain(f"no image could be encoded: {target} is not written")
        return ExitCode.FAILED
    numbers = np.concatenate(codes)
    clear_parts(target.parent)
    stop.hold()
    write_codes(target, Codes(numbers, np.array(names), info.name, info.precision, info.fingerprint))
    stop.release()
    say(f"{len(names)} encoded, {failed} failed: {target} ({numbers[0].size} numbers each)")
    return ExitCode.FAILED if failed else ExitCode.DONE


def _codes(ae: AEInfer, images: Sequence[Named]) -> Iterator[tuple[list[str], NDArray[Any]]]:
    """Read images and encode them together; where one does not fit, one by one, to say which."""
    read: dict[str, tuple[Path, Pixels]] = {}
    for name, source in images:
        try:
            read[name] = (source, read_image(source).pixels)
        except ImageReadError as error:
            complain(str(error))
        except MemoryError:
            complain(f"{source}: not enough memory")
    try:
        if read:
            yield list(read), ae.encode([pixels for _, pixels in read.values()])
    except InputError:
        for name, (source, pixels) in read.items():
            try:
                yield [name], ae.encode([pixels])
            except InputError as error:
                complain(f"{source}: {error}")
