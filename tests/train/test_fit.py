"""The loop: it learns, stops when told, and goes on exactly where it was."""

import csv
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aeinfer.errors import InputError
from tests.train.conftest import write_idx
from train.checkpoint import read_checkpoint, save_checkpoint, trained_model
from train.curve import Curve
from train.data import Digits
from train.fit import fit, main
from train.idx import read_digits
from train.models import build_model
from train.optimizers import schedule
from train.photos import Photos
from train.recipes import RECIPES, Recipe
from train.start import load_start
from train.validation import image_psnr, worst_psnr

DENSE = Recipe("dense", sigma=127.5, batch=32, epochs=3, ema=0.9)


@pytest.fixture(scope="module")
def data(digits: Path) -> Digits:
    return Digits(digits, 32, 127.5, seed=0, verify=False)


@pytest.fixture(scope="module")
def unbroken(data: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing stopped."""
    return fit(DENSE, data, tmp_path_factory.mktemp("unbroken")).parent


def tensors(checkpoint: dict[str, Any]) -> list[torch.Tensor]:
    """Weights, and, where the checkpoint can be gone on from, the network in training and its optimizer."""
    states = [state for saved in checkpoint.get("optimizers", []) for state in saved["state"].values()]
    values = [tensor for state in states for tensor in state.values()]
    return [*checkpoint["weights"].values(), *checkpoint.get("model", {}).values(), *values]


def same(a: Path, b: Path) -> bool:
    """Equal, bit for bit."""
    first, second = read_checkpoint(a), read_checkpoint(b)
    pairs = zip(tensors(first), tensors(second), strict=True)
    return first["state"] == second["state"] and all(torch.equal(x, y) for x, y in pairs)


def test_a_resumed_run_ends_as_an_unbroken_one(data: Digits, tmp_path: Path) -> None:
    recipe = replace(DENSE, optimizer="adadelta")
    fit(recipe, data, tmp_path / "unbroken")
    fit(recipe, data, tmp_path / "broken", stop_after=7)
    fit(recipe, data, tmp_path / "broken", resume=True, stop_after=data.steps_per_epoch)
    fit(recipe, data, tmp_path / "broken", resume=True)
    for name in ("last.pt", "best.pt"):
        assert same(tmp_path / "unbroken" / name, tmp_path / "broken" / name)


@pytest.mark.parametrize("name", ["default", "int8"])
def test_a_resumed_photo_run_is_exact_too(photos: Path, tmp_path: Path, name: str) -> None:
    recipe = replace(RECIPES["photo-fast", name], model="photo-narrow", batch=2, crop=32, epochs=1)
    data = Photos(photos, 2, 32, 55, seed=0, camera=0.5)
    start = None
    if recipe.int8:
        start = fit(replace(recipe, int8=False), data, tmp_path / "start", stop_after=1).with_name("last.pt")
    fit(recipe, data, tmp_path / "unbroken", stop_after=4, start=start)
    fit(recipe, data, tmp_path / "broken", stop_after=2, start=start)
    fit(recipe, data, tmp_path / "broken", resume=True, stop_after=2, start=start)
    assert same(tmp_path / "unbroken" / "last.pt", tmp_path / "broken" / "last.pt")


def test_a_start_of_another_network_is_refused(data: Digits, photos: Path, tmp_path: Path) -> None:
    dense = fit(DENSE, data, tmp_path / "dense", stop_after=1).with_name("last.pt")
    crops = Photos(photos, 2, 32, 55, seed=0)
    with pytest.raises(InputError, match="checkpoint of photo-fast"):
        fit(RECIPES["photo-fast", "int8"], crops, tmp_path / "photo", start=dense)
    for resume in (False, True):
        for teacher in (None, dense):  # who teaches gives no weights to begin with
            with pytest.raises(InputError, match="--start"):
                fit(RECIPES["photo-fast", "int8"], crops, tmp_path / "photo", resume, teacher=teacher)


def test_what_is_gone_on_with_is_not_begun_anew(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its beginning changes weights, and says so, which the run to resume does not take."""
    recipe = replace(RECIPES["photo", "longer"], model="photo-narrow")
    crops = Photos(photos, 2, 32, 55, seed=0)
    model = build_model(asdict(recipe))
    torch.nn.init.constant_(model.middle[0].first.bias, -1e3)  # dead
    save_checkpoint(tmp_path / "start.pt", recipe, {}, model)
    for resume in (False, True):
        fit(recipe, crops, tmp_path / "run", resume, stop_after=1, start=tmp_path / "start.pt")
        assert ("dead channels set anew" in capsys.readouterr().out) == (not resume)


def test_a_larger_network_starts_as_the_smaller_one_but_for_int8(photos: Path, tmp_path: Path) -> None:
    crops = Photos(photos, 2, 32, 55, seed=0)
    small = fit(RECIPES["photo", "longer"], crops, tmp_path, stop_after=2).with_name("last.pt")
    images = torch.from_numpy(crops.batch(0)[0])
    with torch.no_grad():
        expected = trained_model(small)[0].train()(images)
        torch.testing.assert_close(load_start(RECIPES["photo-best", "longer"], small)(images), expected)
    assert not torch.equal(expected, images)
    with pytest.raises(InputError, match="checkpoint of photo-best"):
        load_start(RECIPES["photo-best", "int8"], small)


def test_another_teacher_does_not_resume(photos: Path, tmp_path: Path) -> None:
    """Nor none, where there was one; a checkpoint from before teachers were noted goes on."""
    recipe = RECIPES["photo-fast-grey", "default"]
    crops = Photos(photos, 2, 32, 55, seed=0, grey=1.0)
    teacher, other = (fit(recipe, crops, tmp_path / str(n), stop_after=n).with_name("last.pt") for n in (1, 2))
    last = fit(recipe, crops, tmp_path, stop_after=1, teacher=teacher).with_name("last.pt")
    for given, said in ((None, "got none"), (other, f"got {other}")):
        with pytest.raises(InputError, match=rf"the teacher that the run has had.*{said}.*--teacher"):
            fit(recipe, crops, tmp_path, resume=True, stop_after=1, teacher=given)
    fit(recipe, crops, tmp_path, resume=True, stop_after=1, teacher=teacher)
    with pytest.raises(InputError, match="no teacher"):
        fit(recipe, crops, tmp_path / "2", resume=True, stop_after=1, teacher=teacher)
    saved = read_checkpoint(last)
    del saved["state"]["teacher"]
    torch.save(saved, last)
    fit(recipe, crops, tmp_path, resume=True, stop_after=1)


@pytest.mark.parametrize("name", ["longer", "int8"])
def test_what_is_learnt_is_what_the_teacher_gives(photos: Path, tmp_path: Path, name: str) -> None:
    """The teacher darkens all pictures: learning from clean ones would undo that. To int8 the start is the teacher."""
    crops = Photos(photos, 2, 32, 55, seed=0)
    teacher = tmp_path / "teacher.pt"
    longer = replace(RECIPES["photo", "longer"], model="photo-narrow")
    model = build_model(asdict(longer))
    torch.nn.init.constant_(model.tail.bias, 0.2)  # all pictures come out darker by that
    save_checkpoint(teacher, longer, {"step": 0}, model)
    recipe = replace(RECIPES["photo", name], model="photo-narrow", learning_rate=0.01)
    given_to = {"start": teacher} if recipe.int8 else {"teacher": teacher}
    best = fit(recipe, crops, tmp_path / name, stop_after=40, **given_to)
    learnt, _ = trained_model(best.with_name("last.pt"))
    noisy, clean = (torch.from_numpy(part) for part in crops.batch(100))
    with torch.no_grad():
        given, asked = learnt.train()(noisy), model(noisy)
    assert (given - asked).abs().mean() < 0.25 * (given - clean).abs().mean()


def test_it_learns_and_keeps_the_best(data: Digits, tmp_path: Path) -> None:
    best = fit(replace(DENSE, loss="bce", learning_rate=5e-3, epochs=12), data, tmp_path)
    model, recipe = trained_model(best)
    assert recipe["model"] == "dense"
    noisy, clean = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*data.validation, strict=True))
    with torch.no_grad():
        denoised = image_psnr(model(noisy), clean).mean()
    assert denoised > image_psnr(noisy.clamp(0, 1), clean).mean() + 3
    assert any(path.name.startswith("events") for path in tmp_path.iterdir())


def test_the_curve_has_a_line_an_epoch_also_of_a_broken_run(data: Digits, unbroken: Path, tmp_path: Path) -> None:
    epoch = data.steps_per_epoch
    fit(DENSE, data, tmp_path, stop_after=epoch + 1)
    kept = (tmp_path / "last.pt").read_bytes()
    fit(DENSE, data, tmp_path, resume=True, stop_after=epoch)
    (tmp_path / "last.pt").write_bytes(kept)  # killed: what came after this checkpoint comes again
    fit(DENSE, data, tmp_path, resume=True)
    curves = [(run / "curve.csv").read_text() for run in (unbroken, tmp_path)]
    assert curves[0] == curves[1]
    lines = list(csv.DictReader(curves[0].splitlines()))
    assert [int(line["step"]) for line in lines] == [epoch, 2 * epoch, 3 * epoch]
    assert float(lines[-1]["loss/validation"]) < float(lines[0]["loss/validation"])


def test_what_comes_out_worst_of_pictures_without_noise() -> None:
    pictures = [np.full((1, 1, 8, 8), value, np.float32) for value in (0.2, 0.5)]
    wrong = torch.nn.Threshold(0.3, 0.1)  # 0.2 comes out as 0.1
    assert worst_psnr(wrong, pictures, "cpu") == pytest.approx(20, abs=0.01)
    assert worst_psnr(torch.nn.Identity(), pictures, "cpu") == 100


def test_early_stopping_ends_a_run_that_gets_no_better(data: Digits, tmp_path: Path) -> None:
    recipe = replace(DENSE, epochs=50, learning_rate=0.0, patience=2, ema=0.0)
    fit(recipe, data, tmp_path)
    state = read_checkpoint(tmp_path / "last.pt")["state"]
    assert state["step"] == 3 * data.steps_per_epoch  # one best epoch, two that are not better
    assert state["stale"] == 2


def test_another_recipe_does_not_resume(data: Digits, tmp_path: Path) -> None:
    fit(DENSE, data, tmp_path, stop_after=1)
    with pytest.raises(InputError, match=r"learning_rate: 0\.001 then, 0\.5 now"):
        fit(replace(DENSE, learning_rate=0.5), data, tmp_path, resume=True)


def test_weights_alone_do_not_resume(data: Digits, tmp_path: Path) -> None:
    best = fit(DENSE, data, tmp_path, stop_after=data.steps_per_epoch)
    best.replace(tmp_path / "last.pt")
    with pytest.raises(InputError, match="weights alone"):
        fit(DENSE, data, tmp_path, resume=True)


@pytest.mark.parametrize("part", ["weights", "model"])
def test_an_earlier_design_is_refused(data: Digits, tmp_path: Path, part: str) -> None:
    last = fit(DENSE, data, tmp_path, stop_after=1).with_name("last.pt")
    saved = read_checkpoint(last)
    saved[part]["decoder.9.bias"] = saved[part].pop("decoder.0.bias")
    torch.save(saved, last)
    refused = pytest.raises(InputError, match=r"last\.pt holds one of another design; take")
    with refused:
        fit(DENSE, data, tmp_path, resume=True)
    if part == "weights":
        with refused:
            trained_model(last)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = Curve(tmp_path / "curve.csv", 0)

    def write(step: int) -> None:
        save_checkpoint(tmp_path / "last.pt", DENSE, {"step": step}, torch.nn.Identity())

    def refuse(*_: object) -> None:
        raise OSError("the disk is full")

    write(1)
    curve.add({"step": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "replace", refuse)
    for again in (lambda: write(2), lambda: curve.add({"step": 2})):
        with pytest.raises(OSError, match="full"):
            again()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("damaged", "kept"),
    [
        (b"step,loss\n1,0.5\n2,0.", [1, 2]),  # what is left of a number is one
        (b"step,loss\n1,0.5\n2", [1]),
        (b'step,loss\n1,0.5\n\xff\x00,0.4\n"3,0.3\n4,0.2,0.1\n5,0.1\n', [1, 5]),
        (bytes(100), []),
        (b"", []),
    ],
)
def test_a_damaged_curve_goes_on_with_what_can_be_read(
    damaged: bytes, kept: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "curve.csv"
    path.write_bytes(damaged)
    Curve(path, 9).add({"step": 10, "loss": 0.05})
    with path.open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [*kept, 10]
    assert ("curve.csv is damaged" in capsys.readouterr().out) == (kept != [1, 2])


def test_a_line_from_before_a_figure_was_measured_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "curve.csv"
    Curve(path, 0).add({"step": 1, "loss": 0.5})
    Curve(path, 1).add({"step": 2, "loss": 0.4, "psnr": 30.0})
    Curve(path, 2).add({"step": 3, "loss": 0.3, "psnr": 31.0})
    assert path.read_text().split() == ["step,loss,psnr", "1,0.5,", "2,0.4,30.0", "3,0.3,31.0"]
    assert capsys.readouterr().out == ""


def test_a_loss_that_is_no_number_ends_the_run(data: Digits, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lower learning rate"):
        fit(replace(DENSE, learning_rate=1e30, cosine=False, clip=0), data, tmp_path)


def test_the_seed_recipe_is_the_seeds() -> None:
    for model in ("dense", "conv"):
        recipe = RECIPES[model, "seed"]
        assert (recipe.loss, recipe.batch, recipe.epochs, recipe.patience) == ("bce", 128, 300, 10)
        assert recipe.optimizer == "adadelta"
        assert schedule(recipe, 10_000, 100_000) == recipe.learning_rate == 1
    assert RECIPES["dense", "seed"].sigma == 0
    assert RECIPES["conv", "seed"].sigma == 127.5


def test_the_cosine_falls_to_zero() -> None:
    rates = [schedule(DENSE, step, 1000) for step in range(1000)]
    assert rates[0] < rates[100] < rates[199]
    assert rates[199] > rates[600] > rates[999]
    assert 0 < rates[999] < 1e-4


def test_the_command_trains_and_resumes(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], complaint: Callable[..., str]
) -> None:
    arguments = f"dense --no-verify --epochs 1 --rate 0.5 --data {digits} --out {tmp_path}".split()
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "parameters" in said
    assert "learning_rate=0.0005, muon_rate=0.004" in said
    assert "holds a run already" in complaint(main, *arguments)
    assert main([*arguments, "--resume"]) == 0
    assert (tmp_path / "best.pt").is_file()


def test_each_recipe_has_a_folder_of_its_own(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a run can start from the default's best.pt where that lies."""
    monkeypatch.chdir(tmp_path)
    arguments = ["dense", "--data", str(digits), "--no-verify", "--epochs", "1"]
    assert main(arguments) == 0
    assert main([*arguments, "--recipe", "seed", "--start", "runs/dense/best.pt"]) == 0
    assert "best checkpoint: runs/dense-seed/best.pt" in capsys.readouterr().out
    assert {path.name for path in Path("runs").iterdir()} == {"dense", "dense-seed"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["dense", "--data", "nowhere"], "nowhere"),
        (["photo", "--data", "nowhere"], "no folder nowhere"),
        (["photo", "--recipe", "seed"], "recipes default"),
        (["conv", "--code", "30"], "multiple of 4"),
        (["unet", "--widths", "8,8,8,8"], "one to three widths"),
        (["dense", "--decoder", "transposed"], "no variant with decoder"),
        (["dense", "--data", "DIGITS", "--no-verify", "--device", "warp:3"], "warp"),
    ],
)
def test_the_command_refuses_clearly(
    arguments: list[str], word: str, digits: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    given = [str(digits) if argument == "DIGITS" else argument for argument in arguments]
    assert word in complaint(main, *given, "--out", tmp_path)


class Spoilt:
    """Data whose batch of one step is not what it was, or does something."""

    def __init__(self, data: Digits, step: int, spoil: Any) -> None:
        self._data, self._step, self._spoil = data, step, spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def batch(self, step: int) -> Any:
        noisy, clean = self._data.batch(step)
        return self._spoil(noisy, clean) if step == self._step else (noisy, clean)


def test_an_interrupted_run_goes_on_exactly(data: Digits, unbroken: Path, tmp_path: Path) -> None:
    def interrupt(noisy: Any, clean: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return noisy, clean

    with pytest.raises(KeyboardInterrupt):
        fit(DENSE, Spoilt(data, 7, interrupt), tmp_path)
    assert read_checkpoint(tmp_path / "last.pt")["state"]["step"] == 8
    fit(DENSE, data, tmp_path, resume=True)
    assert same(unbroken / "last.pt", tmp_path / "last.pt")


def test_a_run_that_is_killed_soon_goes_on_exactly(data: Digits, unbroken: Path, tmp_path: Path) -> None:
    """With its first best.pt there, and long before it is time for a checkpoint."""

    def kill(*_: Any) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        fit(DENSE, Spoilt(data, data.steps_per_epoch + 2, kill), tmp_path)
    assert (tmp_path / "best.pt").exists()
    fit(DENSE, data, tmp_path, resume=True)
    for name in ("last.pt", "best.pt"):
        assert same(unbroken / name, tmp_path / name)


def test_weights_that_are_no_numbers_are_not_kept(
    data: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.fit.CHECKPOINT_SECONDS", 0)
    with pytest.raises(InputError, match="no numbers any more after step 4"):
        fit(DENSE, Spoilt(data, 3, lambda noisy, clean: (noisy * np.float32(np.nan), clean)), tmp_path)
    assert read_checkpoint(tmp_path / "last.pt")["state"]["step"] == 3
    recipe = replace(DENSE, loss="bce")
    with pytest.raises(InputError, match="no numbers any more in step 3"):
        fit(recipe, Spoilt(data, 3, lambda noisy, clean: (noisy * np.float32(np.nan), clean)), tmp_path / "bce")


def test_other_data_do_not_resume(data: Digits, digits: Path, photos: Path, tmp_path: Path) -> None:
    """As many other digits, or one photograph more; the same ones elsewhere do, and so does a run that noted none."""
    fit(DENSE, data, tmp_path, stop_after=1)
    images, labels = read_digits(digits, "train", verify=False)
    for name, part in (("images-idx3", images[::-1]), ("labels-idx1", labels)):
        write_idx(tmp_path / f"train-{name}-ubyte.gz", part)
    other = Digits(tmp_path, 32, 127.5, seed=0, verify=False)
    with pytest.raises(InputError, match="other data"):
        fit(DENSE, other, tmp_path, resume=True)
    saved = read_checkpoint(tmp_path / "last.pt")
    del saved["state"]["data"]
    torch.save(saved, tmp_path / "last.pt")
    fit(DENSE, other, tmp_path, resume=True, stop_after=1)
    mine = Path(shutil.copytree(photos, tmp_path / "mine"))
    before = Photos(photos, 2, 32, 55, seed=0).digest
    assert Photos(mine, 2, 32, 55, seed=1).digest == before
    shutil.copy(mine / "0.png", mine / "one more.png")
    assert Photos(mine, 2, 32, 55, seed=0).digest != before


def test_a_teacher_of_other_images_and_a_start_that_rounds_are_refused(
    data: Digits, photos: Path, tmp_path: Path
) -> None:
    dense = fit(DENSE, data, tmp_path / "dense", stop_after=1).with_name("last.pt")
    grey = RECIPES["photo-fast-grey", "default"]
    crops = Photos(photos, 2, 32, 55, seed=0, grey=1.0)
    with pytest.raises(InputError, match="teacher of images like those of photo-fast-grey"):
        fit(grey, crops, tmp_path / "grey", teacher=dense)
    start = fit(grey, crops, tmp_path / "start", stop_after=1).with_name("last.pt")
    rounding = RECIPES["photo-fast-grey", "int8"]
    int8 = fit(rounding, crops, tmp_path / "int8", stop_after=1, start=start).with_name("last.pt")
    with pytest.raises(InputError, match="was trained with rounding"):
        load_start(rounding, int8)


def test_a_left_over_of_a_run_is_not_written_over(digits: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    (tmp_path / "best.pt").touch()
    complaint(main, "dense", "--data", digits, "--no-verify", "--epochs", "1", "--out", tmp_path)
    assert (tmp_path / "best.pt").stat().st_size == 0
