"""`aeinfer decode`: turns a file of codes back into images, with the model that encoded them."""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from aeinfer.atomic import clear_parts, is_there
from aeinfer.cli.console import ExitCode, complain, nothing_found, say
from aeinfer.cli.interrupt import Stop, until_stopped
from aeinfer.cli.options import add_device, add_on_exist
from aeinfer.codes import Codes, read_codes
from aeinfer.denoiser import AEInfer
from aeinfer.errors import ImageWriteError, InputError
from aeinfer.formats import FORMATS
from aeinfer.image import write_image
from aeinfer.kernels import from_float
from aeinfer.opencv import quiet_opencv

__all__ = ["add_options", "run"]

AT_ONCE = 256
"""Images that are decoded together."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("codes", metavar="CODES.npz", help="what aeinfer encode wrote")
    parser.add_argument("-o", "--output", metavar="OUT", help="folder of the images (default: beside, NAME-decoded)")
    parser.add_argument("-m", "--model", help="the model that encoded (default: the packaged one of its name)")
    add_on_exist(parser, "one", "skip", "overwrite", "error")
    parser.add_argument("--format", choices=tuple(FORMATS), default="png", help="of the images (default: png)")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Decode one file of codes."""
    return until_stopped(lambda stop: _run(args, stop))


def _run(args: argparse.Namespace, stop: Stop) -> int:
    source = Path(args.codes)
    if not source.exists():
        return nothing_found(f"{source} does not exist")
    codes = read_codes(source)
    folder = Path(args.output) if args.output else source.with_name(f"{source.stem}-decoded")
    targets = _targets(args, codes, folder)
    with AEInfer.load(args.model or codes.model, device=args.device, precision=codes.precision) as ae:
        codes.check_model(ae.info)
        return _decode(ae, codes, folder, targets, stop)


def _targets(args: argparse.Namespace, codes: Codes, folder: Path) -> list[Path | None]:
    """Return where each image goes, None where it is to be skipped.

    Raises
    ------
    InputError
        Two would go to one place, or one exists and may not.
    """
    if folder.is_file():
        raise InputError(f"the output {folder} is a file; name a folder")
    targets = [(folder / name).with_suffix(FORMATS[args.format].suffixes[0]) for name in codes.names.tolist()]
    if twice := [str(target) for target, count in Counter(targets).items() if count > 1]:
        raise InputError(f"nothing was done, because several images would become {', '.join(twice)}")
    existing = [target for target in targets if is_there(target)]
    if existing and args.on_exist == "error":
        raise InputError(f"nothing was done, because {', '.join(map(str, existing))} exist")
    left = set(existing) if args.on_exist == "skip" else set()
    return [None if target in left else target for target in targets]


def _decode(ae: AEInfer, codes: Codes, folder: Path, targets: list[Path | None], stop: Stop) -> int:
    quiet_opencv()
    for parent in {target.parent for target in targets if target is not None}:
        clear_parts(parent)
    written = failed = 0
    for start in range(0, len(targets), AT_ONCE):
        images = from_float(ae.decode(codes.codes[start : start + AT_ONCE]), np.uint8)
        for image, target in zip(images, targets[start : start + AT_ONCE], strict=True):
            stop.hold()
            try:
                if target is not None:
                    write_image(target, image)
                    written += 1
            except ImageWriteError as error:
                complain(str(error))
                failed += 1
            stop.release()
    say(f"{written} decoded, {targets.count(None)} skipped, {failed} failed: {folder}")
    return ExitCode.FAILED if failed else ExitCode.DONE
