"""Train one autoencoder: `python -m train.fit MODEL`; the whole loop is in sight, nothing is exported."""

import argparse
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from aeinfer.cli.interrupt import Stop
from aeinfer.cli.options import number, whole
from aeinfer.errors import InputError
from train.checkpoint import save_checkpoint
from train.curve import Curve
from train.data import Data, Pair, open_data
from train.digit_networks import BOTTLENECKS, WAYS_UP
from train.models import MODELS, build_model, macs, parameter_count
from train.optimizers import schedule
from train.recipes import RECIPES, VARIANT, Recipe
from train.start import Run, prepare
from train.validation import LOSSES, measure

CHECKPOINT_SECONDS = 180


def fit(
    recipe: Recipe,
    data: Data,
    folder: Path,
    resume: bool = False,
    device: str = "cpu",
    stop_after: int = 0,
    start: Path | None = None,
    teacher: Path | None = None,
) -> Path:
    """Train, and return the path of the best checkpoint.

    Parameters
    ----------
    recipe : Recipe
    data : Data
        Batches as a pure function of the step.
    folder : Path
        Takes last.pt, best.pt, curve.csv and the TensorBoard log.
    resume : bool
        Go on from last.pt; on a CPU the result is that of an unbroken run, bit for bit.
    device : str
        "cpu" or "cuda"; on both, recipes with bfloat16 compute in mixed precision.
    stop_after : int
        Save and return after that many steps of this call; 0 runs to the end.
    start : Path or None
        A checkpoint whose weights the run begins with; the recipes longer and int8 are for that.
    teacher : Path or None
        A checkpoint of any network, this one or a larger: what that gives is what is learnt, not the clean picture
        (distillation). To resume takes the same one. None is the start's where the recipe is int8.

    Raises
    ------
    InputError
        A checkpoint is missing, or not what the recipe or the run to resume needs; or the loss is no number any more.
    """
    run = prepare(recipe, data, folder, resume, device, start, teacher)
    state, total = run.state, recipe.epochs * data.steps_per_epoch
    log = SummaryWriter(str(folder), purge_step=state["step"] + 1)
    curve = Curve(folder / "curve.csv", state["step"])
    saved, first = -math.inf, state["step"]  # so the first step is kept: a kill soon after leaves a run to go on with
    progress = tqdm(total=total, initial=first, desc=recipe.model, unit="step", dynamic_ncols=True)
    with Stop() as stop, progress, log:
        stop.hold()  # a signal waits for the end of a step
        while state["step"] < total and not (recipe.patience and state["stale"] >= recipe.patience):
            loss = take_step(run, total)
            progress.update()
            if state["step"] % data.steps_per_epoch == 0:
                figures = {"loss/train": loss.item(), **measure(run.averaged, data, recipe.loss, device)}
                judge(state, figures["loss/validation"])
                log_epoch(log, run.averaged, data.validation[0], state["step"], figures, device)
                curve.add({"step": state["step"], "epoch": state["step"] // data.steps_per_epoch, **figures})
                loss_now, psnr_now = figures["loss/validation"], figures["psnr/validation"]
                progress.set_postfix(loss=f"{loss_now:.5f}", psnr=f"{psnr_now:.2f} dB")
                if state["stale"] == 0:
                    save_checkpoint(folder / "best.pt", recipe, state, run.averaged)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                save_last(run, folder)
                saved = time.monotonic()
            if stop.code or (stop_after and state["step"] - first >= stop_after):
                break
        save_last(run, folder)
        stop.release()
    return folder / "best.pt"


def save_last(run: Run, folder: Path) -> None:
    """Write what the run goes on from.

    Raises
    ------
    InputError
        Its weights are no numbers any more; the file of before stays.
    """
    if not all(weights.isfinite().all() for weights in run.model.parameters()):
        raise InputError(f"weights are no numbers any more after step {run.state['step']}: try a lower learning rate")
    save_checkpoint(folder / "last.pt", run.recipe, run.state, run.averaged, (run.model, run.optimizers))


def take_step(run: Run, total: int) -> Tensor:
    """Draw a batch, learn from it, average the weights, and return the loss before it."""
    recipe, step = run.recipe, run.state["step"]
    noisy, target = draw(run, step)
    share = schedule(recipe, step, total)
    for group in (group for optimizer in run.optimizers for group in optimizer.param_groups):
        group["lr"] = group["initial_lr"] * share
    with torch.autocast(noisy.device.type, torch.bfloat16, enabled=recipe.bfloat16):
        output = run.model.train()(noisy)
    try:
        loss = LOSSES[recipe.loss](output.float(), target)
    except RuntimeError as error:  # cross-entropy of what is no number
        if output.isfinite().all():
            raise
        raise InputError(f"the network gives no numbers any more in step {step}: try a lower learning rate") from error
    run.model.zero_grad()
    loss.backward()
    if recipe.clip:
        nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
    for optimizer in run.optimizers:
        optimizer.step()
    average(run.averaged, run.model, recipe.ema, step)
    run.state["step"] += 1
    return loss.detach()


@torch.no_grad()
def draw(run: Run, step: int) -> tuple[Tensor, Tensor]:
    """Return the noisy batch of a step, and what to make of it: the clean one, or the teacher's output, clipped."""
    parts = run.data.batch(step)
    noisy, clean = (torch.from_numpy(part).to(run.device, memory_format=torch.channels_last) for part in parts)
    if run.teaching is None:
        return noisy, clean
    with torch.autocast(noisy.device.type, torch.bfloat16, enabled=run.recipe.bfloat16):
        return noisy, run.teaching(noisy).float()


@torch.no_grad()
def average(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of the weights, faster at the start."""
    decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
    torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - decay)


def judge(state: dict[str, Any], held_out: float) -> None:
    """Count the epochs since the lowest validation loss.

    Raises
    ------
    InputError
        The loss is no number any more: nothing that follows can be.
    """
    if not math.isfinite(held_out):
        raise InputError(f"the loss is {held_out} after step {state['step']}: try a lower learning rate")
    state["stale"] = 0 if held_out < state["best"] else state["stale"] + 1
    state["best"] = min(held_out, state["best"])


@torch.no_grad()
def log_epoch(
    log: SummaryWriter, model: nn.Module, pair: Pair, step: int, figures: dict[str, float], device: str
) -> None:
    """Scalars, and a grid whose rows are noisy, denoised and clean."""
    for name, figure in figures.items():
        log.add_scalar(name, figure, step)
    noisy, clean = (torch.from_numpy(part[:8]) for part in pair)
    rows = [noisy, model.eval()(noisy.to(device)).cpu(), clean]
    log.add_image("noisy, denoised, clean", torch.cat([torch.cat(list(row), 2) for row in rows], 1).clamp(0, 1), step)


def describe(recipe: Recipe) -> None:
    """Print what is going to be trained, and how."""
    model = build_model(asdict(replace(recipe, int8=False)))
    side = model.window or 256
    work = macs(model, side, side) / side**2
    print(f"{recipe.model}: {parameter_count(model):,} parameters, {work:,.0f} MAC per pixel")
    print(", ".join(f"{key}={value}" for key, value in asdict(recipe).items() if key != "model"))


def make_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="python -m train.fit", description=__doc__)
    add = parser.add_argument
    add("model", choices=sorted(MODELS))
    add("--data", type=Path, help="folder of IDX files, or of photographs [data/mnist, data/photos]")
    add(
        "--recipe",
        default="default",
        help="default; seed: the classic Keras recipe; longer: lower rates; int8: rounding",
    )
    add("--decoder", help=f"conv's way up: {', '.join(WAYS_UP)}")
    add("--bottleneck", help=f"conv's: {' or '.join(BOTTLENECKS)}")
    add("--code", type=int, help="numbers in the bottleneck of dense or conv [64]")
    add("--widths", type=widths, help="channels of conv's three scales [128,64,16]")
    add("--sigma", type=number(0), help="noise in 8-bit levels: 127.5 is 0.5; 0 trains a plain autoencoder of digits")
    add("--epochs", type=whole(1))
    add("--patience", type=whole(0), help="stop after so many epochs without a lower held-out loss")
    add("--rate", type=number(1e-9, 1e3), default=1.0, help="of the recipe's learning rates so much [1]")
    add("--seed", type=whole(0))
    add("--out", type=Path, help="folder of checkpoints and log [runs/MODEL, runs/MODEL-RECIPE]")
    add("--resume", action="store_true", help="go on from last.pt, exactly")
    add(
        "--start",
        type=Path,
        help="a checkpoint to begin with, also a smaller network's; int8 needs one, also to resume",
    )
    add("--teacher", type=Path, help="a checkpoint whose output is learnt instead of clean pictures; also to resume")
    add("--device", default="cpu")
    add("--bfloat16", action=argparse.BooleanOptionalAction, help="slower on a processor without such instructions")
    add("--no-verify", action="store_true", help="accept IDX files whose checksum is not a known set's")
    return parser


def asked_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe of that name, changed as the options say.

    Raises
    ------
    InputError
        The network has no recipe of that name.
    """
    if (args.model, args.recipe) not in RECIPES:
        known = ", ".join(name for model, name in RECIPES if model == args.model)
        raise InputError(f"{args.model} has the recipes {known}, not {args.recipe}")
    recipe = RECIPES[args.model, args.recipe]
    given = {name: getattr(args, name) for name in ("sigma", "epochs", "patience", "seed", "bfloat16")}
    options = {name: getattr(args, name) for name in VARIANT}
    return replace(
        recipe,
        options={name: value for name, value in options.items() if value is not None},
        learning_rate=args.rate * recipe.learning_rate,
        muon_rate=args.rate * recipe.muon_rate,
        **{name: value for name, value in given.items() if value is not None},
    )


def main(argv: list[str] | None = None) -> int:
    parser = make_parser()
    args = parser.parse_args(argv)
    folder = args.out or Path("runs", args.model if args.recipe == "default" else f"{args.model}-{args.recipe}")
    if not args.resume and any((folder / name).exists() for name in ("last.pt", "best.pt", "curve.csv")):
        parser.error(f"{folder} holds a run already: go on with --resume, or give another --out")
    try:
        recipe = asked_recipe(args)
        describe(recipe)
        data = open_data(recipe, args.data or Path("data", "photos" if recipe.crop else "mnist"), not args.no_verify)
        best = fit(recipe, data, folder, args.resume, args.device, start=args.start, teacher=args.teacher)
    except (InputError, OSError) as error:
        parser.exit(2, f"train.fit: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"train.fit: stopped; --resume goes on from {folder / 'last.pt'}\n")
    print(f"best checkpoint: {best}")
    return 0


def widths(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


if __name__ == "__main__":
    raise SystemExit(main())
