"""`aeinfer bench`: measures which precision, threads, tile and batch are best on this machine, and remembers them."""

import argparse
import dataclasses
import re
from pathlib import Path

import numpy as np

from aeinfer import measuring, tuning
from aeinfer.cli.console import ExitCode, complain, say, say_json
from aeinfer.cli.options import add_device
from aeinfer.errors import InputError, ModelError
from aeinfer.image import read_image
from aeinfer.machine import machine_name
from aeinfer.measuring import Image, Trial
from aeinfer.model_bytes import fingerprint_of, read_model
from aeinfer.models import model_path, plain_stem, precision_files
from aeinfer.session import backend
from aeinfer.threads import thread_count
from aeinfer.tuning import Tuned

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "-m", "--model", default="photo", help="a packaged model's name or a .onnx file (default: photo)"
    )
    add_device(parser)
    parser.add_argument(
        "--size",
        metavar="HxW|PICTURE",
        help="measure tiles and threads on a picture of this size, or on this one (default: a tile of a large one)",
    )
    parser.add_argument("--quick", action="store_true", help="fewer candidates and rounds")
    parser.add_argument("--no-save", action="store_true", help="remember nothing")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure one model, print what was found and remember the best."""
    path = model_path(args.model)
    plain = path.with_name(plain_stem(path) + path.suffix)
    files = precision_files(plain)
    if not files:
        raise ModelError(f"there is no file {plain}")
    picture = _picture(args.size)
    marks = {precision: fingerprint_of(read_model(file)) for precision, file in files.items()}
    machine = machine_name(backend(args.device), thread_count())
    done = []
    if not args.json:
        say(f"{plain.stem} on {machine}")
        say(f"{'':8} {'precision':>9} {'threads':>8} {'tile':>6} {'batch':>8} {'MPix/s':>9}")
    for trial in measuring.trials(files, device=args.device, picture=picture, quick=args.quick):
        done.append(trial)
        if not args.json:
            say(_line(trial.varied, trial))
    best = measuring.best_settings(done, marks)
    saved = None if args.no_save else _remember(best, machine)
    if args.json:
        facts = {"model": plain.stem, "machine": machine, "saved": saved and str(saved)}
        say_json({**facts, "trials": list(map(dataclasses.asdict, done)), "best": list(map(dataclasses.asdict, best))})
        return ExitCode.DONE
    for tuned in best:
        say(_line("best", tuned))
    usual = next((tuned for tuned in best if tuned.precision == "fp32"), best[0])
    auto = tuning.faster(best, usual.fingerprint) or usual
    say(f"precision auto takes {auto.precision}" + (f", remembered in {saved}" if saved else " (not remembered)"))
    return ExitCode.DONE


def _remember(best: list[Tuned], machine: str) -> Path | None:
    """Write it into the cache folder, or say why not: the figures on the screen are good all the same."""
    try:
        return tuning.remember(best, machine)
    except OSError as error:
        complain(f"cannot remember this: {error}")
        return None


def _line(label: str, row: Trial | Tuned) -> str:
    tile, batch = "-" if row.tile is None else row.tile, f"{row.batch_pixels / 1e3:.0f}k"
    return f"{label:8} {row.precision:>9} {row.threads:>8} {tile:>6} {batch:>8} {row.mpix_per_s:>9.2f}"


def _picture(size: str | None) -> Image | None:
    """Return noise of HxW pixels, or the picture of that name."""
    if size is None:
        return None
    if shape := re.fullmatch(r"(\d+)x(\d+)", size):
        height, width = map(int, shape.groups())
        if not 0 < height * width <= 1 << 28:
            raise InputError(f"--size is HxW, from 1 to 2^28 pixels, got {size}")
        return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return read_image(Path(size)).pixels
