"""`aeinfer compare`: measures images against clean ones of the same name, in numbers and in a picture."""

import argparse
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeinfer.atomic import clear_parts
from aeinfer.cli.console import ExitCode, complain, nothing_found, say, say_json
from aeinfer.cli.interrupt import Stop, until_stopped
from aeinfer.cli.side_by_side import side_by_side, stacked
from aeinfer.errors import ImageReadError, ImageWriteError, InputError
from aeinfer.formats import SUFFIXES, check_writable, format_of
from aeinfer.image import read_image, write_image
from aeinfer.inputs import list_images
from aeinfer.kernels import full_scale
from aeinfer.metrics import SSIM_WINDOW, psnr, ssim
from aeinfer.opencv import quiet_opencv
from aeinfer.picture import Pixels, split_alpha, upright

__all__ = ["add_options", "run"]


@dataclass(frozen=True)
class _Scores:
    """Of one image: PSNR in dB, and SSIM, which is nan where the image is smaller than its window."""

    psnr: float
    ssim: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("inputs", nargs="+", metavar="IMAGES", help="folders, or images, such as: noisy denoised")
    parser.add_argument("--clean", required=True, metavar="CLEAN", help="the folder, or image, to measure against")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders within folders too")
    parser.add_argument("--picture", metavar="OUT.png", help="write all of them side by side, one row an image")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure what the arguments name."""
    return until_stopped(lambda stop: _run(args, stop))


def _run(args: argparse.Namespace, stop: Stop) -> int:
    names = [*args.inputs, args.clean]
    gone = [name for name in names if not Path(name).exists()]
    if gone:
        return nothing_found(f"{', '.join(gone)} does not exist")
    unreadable: list[tuple[str, str]] = []
    columns = _columns(names, args.recursive, unreadable)
    for name, reason in unreadable:
        complain(f"{name}: {reason}")
    if args.picture:
        _check_picture(Path(args.picture), columns)
    stems = list(dict.fromkeys(itertools.chain.from_iterable(columns[:-1])))
    if not stems:
        return nothing_found(f"{', '.join(args.inputs)} holds no images")
    quiet_opencv()
    rows: list[NDArray[np.uint8]] = []
    scores: dict[str, list[_Scores]] = {}
    labels = [Path(name).resolve().stem if Path(name).is_file() else Path(name).resolve().name for name in args.inputs]
    for stem in stems:
        try:
            images = _read_row(stem, names, columns)
        except (ImageReadError, InputError) as error:
            complain(str(error))
            continue
        except MemoryError:
            complain(f"{stem}: not enough memory")
            continue
        scores[stem] = [_measure(image, images[-1]) for image in images[:-1]]
        if args.picture:
            captions = [f"{label} {score.psnr:.2f} dB" for label, score in zip(labels, scores[stem], strict=True)]
            rows.append(side_by_side(images, [*captions, "clean"]))
    failed = len(stems) - len(scores) + len(unreadable)
    _tell(args, labels, scores, failed)
    if rows:
        clear_parts(Path(args.picture).parent)
        stop.hold()
        write_image(args.picture, stacked(rows))
        stop.release()
    return ExitCode.FAILED if failed else ExitCode.DONE


def _columns(names: Sequence[str], recursive: bool, unreadable: list[tuple[str, str]]) -> list[dict[str, Path]]:
    """Return the images that each name stands for, by what they are called; the clean ones come last."""
    columns = [_by_stem(name, recursive, unreadable) for name in names]
    if all(Path(name).is_file() for name in names):  # these belong together, however called
        stem = next(iter(columns[0]))
        columns = [{stem: next(iter(column.values()))} for column in columns]
    return columns


def _check_picture(picture: Path, columns: Sequence[dict[str, Path]]) -> None:
    """Refuse a place for the picture before anything is measured."""
    if picture.suffix.lower() not in SUFFIXES or picture.is_dir():
        raise InputError(f"{picture} is no image by its name; the picture needs a file such as side-by-side.png")
    if picture.exists() and any(picture.samefile(path) for column in columns for path in column.values()):
        raise InputError(f"{picture} is one of the images to compare; name another file for the picture")
    try:
        check_writable(picture, np.zeros((1, 1, 3), np.uint8), format_of(picture))
    except ImageWriteError as error:
        raise InputError(str(error)) from None


def _by_stem(name: str, recursive: bool, unreadable: list[tuple[str, str]]) -> dict[str, Path]:
    """Map what a file is called, relative and without suffix, to the file."""
    place = Path(name)
    if place.is_file():
        return {place.stem: place}
    found: dict[str, Path] = {}
    for path in list_images(place, recursive=recursive, unreadable=unreadable):
        stem = path.relative_to(place).with_suffix("").as_posix()
        if stem in found:
            raise InputError(f"{found[stem]} and {path} have one name; which of them to compare is not clear")
        found[stem] = path
    return found


def _read_row(stem: str, names: Sequence[str], columns: Sequence[dict[str, Path]]) -> list[Pixels]:
    """Read one image of each column, upright, without alpha, the clean one last; all agree in shape and dtype."""
    missing = [name for name, column in zip(names, columns, strict=True) if stem not in column]
    if missing:
        raise InputError(f"{stem}: has no partner in {', '.join(missing)}")
    paths = [column[stem] for column in columns]
    images = [split_alpha(upright(read_image(path)).pixels)[0] for path in paths]
    clean = images[-1]
    for path, image in zip(paths, images, strict=True):
        if image.shape != clean.shape or image.dtype != clean.dtype:
            found, expected = f"{image.shape} {image.dtype}", f"{clean.shape} {clean.dtype}"
            raise InputError(f"{path}: is {found}, but its clean partner {paths[-1]} is {expected}")
        if not np.isfinite(image).all():
            raise InputError(f"{path}: holds NaN or infinity, which cannot be measured")
    return images


def _measure(image: Pixels, clean: Pixels) -> _Scores:
    data_range = full_scale(clean.dtype)
    large = min(clean.shape[:2]) >= SSIM_WINDOW
    return _Scores(
        psnr(image, clean, data_range=data_range), ssim(image, clean, data_range=data_range) if large else math.nan
    )


def _tell(args: argparse.Namespace, labels: Sequence[str], scores: dict[str, list[_Scores]], failed: int) -> None:
    if args.json:
        say_json({"failed": failed, "columns": [_as_json(args.inputs[i], i, scores) for i in range(len(labels))]})
        return
    if not scores:
        return
    means = [_mean([row[i] for row in scores.values()]) for i in range(len(labels))]
    width = max(map(len, [*scores, "mean"]))
    say(f"{'':{width}}" + "".join(f"  {label:>16}" for label in labels))
    say(f"{'':{width}}" + f"  {'dB':>8} {'SSIM':>7}" * len(labels))
    for stem, row in [*scores.items(), ("mean", means)]:
        say(f"{stem:{width}}" + "".join(f"  {score.psnr:8.2f} {score.ssim:7.4f}" for score in row))


def _as_json(name: str, column: int, scores: dict[str, list[_Scores]]) -> dict[str, object]:
    files = {stem: row[column] for stem, row in scores.items()}
    mean = _mean(list(files.values()))
    return {
        "source": name,
        "psnr": _finite(mean.psnr),
        "ssim": _finite(mean.ssim),
        "files": [
            {"name": stem, "psnr": _finite(score.psnr), "ssim": _finite(score.ssim)} for stem, score in files.items()
        ],
    }


def _mean(scores: Sequence[_Scores]) -> _Scores:
    known = [score.ssim for score in scores if not math.isnan(score.ssim)]
    return _Scores(
        statistics.fmean(score.psnr for score in scores) if scores else math.nan,
        statistics.fmean(known) if known else math.nan,
    )


def _finite(value: float) -> float | None:
    """JSON has no infinity (two equal images) and no nan: None stands for both."""
    return round(value, 6) if math.isfinite(value) else None
