"""Export a checkpoint: `python -m export runs/conv/best.pt -o conv.onnx`; a file that fails its check is not kept."""

import argparse
import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from aeinfer.atomic import replacing, write_all
from aeinfer.errors import AEInferError, InputError
from aeinfer.model_info import ModelInfo
from aeinfer.models import PRECISIONS, half_file
from aeinfer.session import Session
from export.arguments import fp32_file
from export.fp16 import keep_fp16
from export.halves import HALVES, export_halves, export_int8_halves
from export.int8 import finish_int8, keep_int8
from export.measure import held_out_psnr, measure_bytes_per_pixel, measure_halo
from export.quantize import quantize
from export.to_onnx import current_commit, to_onnx, with_facts
from export.verify import TOLERANCE, largest_error, random_samples
from train.checkpoint import read_checkpoint, trained_model
from train.data import Data, open_data
from train.recipes import Recipe, noise_of
from train.start import digest

INT8_GATE_DB = 0.3
CALIBRATION_IMAGES = 128
HALO_IMAGE_SIDE = 512
STATED = ("training_data", "training_license", "author", "license")  # facts that nothing here can measure


def export(
    model: nn.Module, recipe: dict[str, Any], target: Path, data: Data, **stated: str
) -> tuple[onnx.ModelProto, ModelInfo]:
    """Write the fp32 file, and return its graph and facts; `stated` are facts that cannot be measured, name among them.

    Files that an earlier export left beside it are removed: they would be another network's.

    Raises
    ------
    InputError
        The graph in onnxruntime differs from the network in PyTorch by more than the tolerance; nothing is written.
    """
    proto = whole_graph(model)
    content = with_facts(proto, ModelInfo())
    session = Session(content, "the exported file", device="cpu")
    samples = [*random_samples(model), *(noisy for noisy, _clean in data.validation[:3])]
    error = largest_error(session, model, samples)
    if not error <= TOLERANCE:
        raise InputError(
            f"onnxruntime and PyTorch differ by {error:.2e} for {target.name}, more than {TOLERANCE:.0e}: not kept"
        )
    memory = measure_bytes_per_pixel(content, model.channels, model.window)
    info = replace(facts(model, recipe, session, data), bytes_per_pixel=memory, torch_error=error, **stated)
    with replacing(target) as file:
        write_all(file, with_facts(proto, info))
        for sibling in siblings(target):  # only once there was room for the new one
            sibling.unlink(missing_ok=True)
    print(f"{target}: agrees with PyTorch within {error:.1e}; {info.psnr['held out']:.2f} dB on held-out images")
    return proto, info


def whole_graph(model: nn.Module) -> onnx.ModelProto:
    """Return the graph of images to images, of any size but for networks with a window."""
    side = model.window or 6 * model.stride
    example = torch.rand(2, model.channels, side, side + (0 if model.window else model.stride))
    return to_onnx(model, example, free_sides=model.window is None, stride=model.stride)


def siblings(target: Path) -> list[Path]:
    """Where the other precisions of NAME.onnx are, and the halves of each."""
    rounded = [target.with_suffix(f".{precision}.onnx") for precision in PRECISIONS if precision != "fp32"]
    return [*rounded, *(half_file(file, half) for file in (target, *rounded) for half in HALVES)]


def calibration_tensors(data: Data) -> list[np.ndarray]:
    """Return noisy images of the training set, one by one, as it has them: rounded to 8 bits or not clipped."""
    batches = range(-(-CALIBRATION_IMAGES // len(data.batch(0)[0])))
    return [image[None] for step in batches for image in data.batch(step)[0]]


def export_trained_int8(
    model: nn.Module, rounding: nn.Module, info: ModelInfo, target: Path, data: Data, gate: float
) -> bool:
    """Write the int8 file of a network that was trained with rounding, with the very steps it was trained with."""
    named = finish_int8(whole_graph(rounding))
    unnamed = copy.deepcopy(named)
    del unnamed.graph.value_info[:]
    info = replace(info, calibration="trained with rounding, on the training set")
    return keep_int8((named, unnamed), model, info, target, data, gate)


def facts(model: nn.Module, recipe: dict[str, Any], session: Session, data: Data) -> ModelInfo:
    """What the runtime and its users need to know and the network, its recipe and measurements tell."""
    info = ModelInfo(
        architecture=" ".join(
            [recipe["model"], *(f"{key}={value}" for key, value in recipe.get("options", {}).items())]
        ),
        channels=model.channels,
        tile=model.window,
        code=model.code,
        stride=1 if model.window else model.stride,
        noise=noise_of(recipe),
        psnr={"held out": round(held_out_psnr(session.run, data.validation), 3)},
        commit=current_commit(),
    )
    if model.window:
        return info
    halo, error = measure_halo(session, halo_images(data), model.stride)
    return replace(info, halo=halo, halo_error=round(error, 4))


def halo_images(data: Data) -> list[np.ndarray]:
    """Large noisy images: mirrored held-out photographs, and flat grey, where far context matters most."""
    rng = np.random.default_rng(0)
    noisy = [pair[0][:1] for pair in data.validation[:9]]
    flat = rng.normal(0.5, 50 / 255, (1, noisy[0].shape[1], HALO_IMAGE_SIDE, HALO_IMAGE_SIDE)).astype(np.float32)
    return [*(np.pad(image, _to_side(image), mode="symmetric") for image in noisy), flat]


def _to_side(image: np.ndarray) -> list[tuple[int, int]]:
    missing = [max(0, HALO_IMAGE_SIDE - length) // 2 for length in image.shape[2:]]
    return [(0, 0), (0, 0), *((pad, pad) for pad in missing)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "-o", "--output", type=fp32_file, required=True, help="the .onnx file; int8 and halves go beside it"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder it was trained on: held-out part and calibration"
    )
    parser.add_argument("--name", help="the model's name in its facts [the file's]")
    int8 = parser.add_mutually_exclusive_group()
    int8.add_argument("--int8", type=Path, help="the checkpoint of its int8 recipe; without, ranges are calibrated")
    int8.add_argument("--no-int8", action="store_true")
    parser.add_argument("--fp16", action="store_true", help="a file of half precision for GPUs as well")
    parser.add_argument("--no-halves", action="store_true", help="no encoder and decoder, which dense and conv have")
    parser.add_argument("--gate", type=float, default=INT8_GATE_DB, help="largest loss of int8 in dB [%(default)s]")
    parser.add_argument("--no-verify", action="store_true", help="accept IDX files whose checksum is not a known set's")
    for fact in STATED:
        parser.add_argument(
            f"--{fact.replace('_', '-')}", default="", help=f"the {fact.replace('_', ' ')}, for the facts"
        )
    args = parser.parse_args(argv)
    try:
        kept = export_files(args)
    except (AEInferError, OSError) as error:
        parser.exit(2, f"export: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "export: stopped\n")
    return 0 if kept else 1


def export_files(args: argparse.Namespace) -> bool:
    """Write what the arguments ask for, and return whether all of it was kept."""
    model, recipe = trained_model(args.checkpoint)
    if recipe.get("int8"):
        raise InputError(f"{args.checkpoint} was trained with rounding: give the one it began with, and this as --int8")
    if args.int8:
        rounding, int8_recipe = trained_model(args.int8)
        if not int8_recipe.get("int8") or int8_recipe["model"] != recipe["model"]:
            raise InputError(f"expected a checkpoint of {recipe['model']}'s recipe int8, got another's: {args.int8}")
        began_with = read_checkpoint(args.int8)["state"].get("start")  # an old one does not name it
        if began_with not in (None, digest(args.checkpoint)):
            raise InputError(f"{args.int8} began with another checkpoint, or with what {args.checkpoint} was then")
    data = open_data(Recipe(**recipe), args.data, not args.no_verify)
    stated = {"name": args.name or args.output.stem} | {fact: getattr(args, fact) for fact in STATED}
    proto, info = export(model, recipe, args.output, data, **stated)
    halves = export_halves(model, info, args.output) if model.code and not args.no_halves else ()
    fp16_kept = not args.fp16 or keep_fp16(
        proto, info, args.output.with_suffix(".fp16.onnx"), [noisy for noisy, _clean in data.validation[:3]]
    )
    if args.int8:
        return export_trained_int8(model, rounding, info, args.output, data, args.gate) and fp16_kept
    if args.no_int8:
        return fp16_kept
    tensors = calibration_tensors(data)
    info = replace(info, calibration=f"{len(tensors)} noisy images of the training set")
    kept = keep_int8([quantize(proto, tensors)], model, info, args.output, data, args.gate)
    if kept and halves:
        kept = export_int8_halves(halves, info, args.output, tensors, data.validation, args.gate)
    return kept and fp16_kept


if __name__ == "__main__":
    raise SystemExit(main())
