"""The commands beside denoise: noise is known, comparisons are right, and models say what they are."""

import itertools
import json
import os
import shutil
import struct
from pathlib import Path

import numba
import numpy as np
import pytest

from aeinfer import AEInfer, cli, loops, temporal_loops
from aeinfer.image import Picture, read_image, write_image
from aeinfer.picture import turn
from aeinfer.temporal import TemporalFilter
from tests.pictures import pixels_of

pytest.importorskip("cv2")


@pytest.mark.usefixtures("folder")
def test_noise_is_known_repeatable_and_leaves_alpha(capsys: pytest.CaptureFixture[str]) -> None:
    flat = np.full((64, 64, 4), 128, np.uint8)
    flat[:, :, 3] = pixels_of((64, 64))
    write_image("flat/a.png", flat)
    write_image("flat/b.png", flat)
    write_image("flat/deep.png", np.full((64, 64), 32768, np.uint16))
    for out in ("one", "two"):
        assert cli.main(["noise", "flat", "-o", out, "--sigma", "10", "--seed", "3"]) == 0
    assert cli.main(["noise", "flat", "-o", "three", "--sigma", "10", "--seed", "4"]) == 0
    first, second, third = (read_image(f"{out}/a.png").pixels for out in ("one", "two", "three"))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()
    assert (first != read_image("one/b.png").pixels).any()  # files differ by their name
    np.testing.assert_array_equal(first[:, :, 3], flat[:, :, 3])
    assert abs(first[:, :, :3].std() - 10) < 0.5
    assert abs(read_image("one/deep.png").pixels.std() / 257 - 10) < 0.5
    assert cli.main(["noise", "flat", "-o", "shard", "--sigma", "10", "--seed", "3", "--shard", "2/3"]) == 0
    np.testing.assert_array_equal(read_image("shard/b.png").pixels, read_image("one/b.png").pixels)
    write_image("flat/aa.png", flat)  # whatever else there is
    assert cli.main(["noise", "flat", "-o", "two", "--sigma", "10", "--seed", "3", "--on-exist", "overwrite"]) == 0
    assert (
        cli.main(["noise", "flat/b.png", "-o", "two/b.webp", "--sigma", "10", "--seed", "3", "--format", "webp"]) == 0
    )
    for name in ("b.png", "b.webp"):
        np.testing.assert_array_equal(read_image(f"two/{name}").pixels, read_image("one/b.png").pixels)
    assert cli.main(["noise", "flat/a.png", "--kind", "salt-and-pepper", "--amount", "0.2"]) == 0
    changed = (read_image("flat/a-noisy.png").pixels[:, :, :3] != 128).mean()
    assert 0.15 < changed < 0.25
    assert cli.main(["noise", "flat/b.png", "--kind", "poisson-gaussian", "--peak", "50"]) == 0
    assert "1 written" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_compare_measures_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        clean = read_image(f"in/{name}.png").pixels // 2 + 60
        write_image(f"clean/{name}.png", clean)
        write_image(f"near/{name}.bmp", clean + 1)
        write_image(f"far/{name}.png", clean + 5)
    assert cli.main(["compare", "near", "far", "--clean", "clean", "--json", "--picture", "side.png"]) == 0
    near, far = json.loads(capsys.readouterr().out)["columns"]
    assert near["psnr"] == pytest.approx(48.1308, abs=1e-3)
    assert far["psnr"] == pytest.approx(34.1514, abs=1e-3)
    assert [file["name"] for file in far["files"]] == ["a", "b"]
    assert 0.9 < far["ssim"] < near["ssim"] < 1
    side = read_image("side.png").pixels
    assert side.shape[0] > 2 * 24
    assert side.shape[1] > 3 * 32
    assert cli.main(["compare", "near", "far", "--clean", "clean"]) == 0
    table = capsys.readouterr().out
    assert "48.13" in table.splitlines()[-1]
    assert "34.15" in table.splitlines()[-1]
    assert cli.main(["compare", "near/a.bmp", "--clean", "clean/a.png"]) == 0


@pytest.mark.usefixtures("folder")
def test_compare_sets_upright_what_lies_on_its_side(capsys: pytest.CaptureFixture[str]) -> None:
    clean = pixels_of()
    exif = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 274, 3, 1, 6 << 16, 0)  # a camera held upright
    write_image("camera.png", clean, metadata={"exif": exif})
    write_image("stripped.png", turn(clean, 6))
    assert cli.main(["compare", "camera.png", "--clean", "stripped.png", "--json", "--picture", "side.png"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"][0]["ssim"] == 1
    np.testing.assert_array_equal(read_image("side.png").pixels[:32, :24], turn(clean, 6))


@pytest.mark.usefixtures("folder")
def test_compare_says_what_has_no_partner_or_another_size(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("in", "clean")
    write_image("in/c.png", pixels_of())
    write_image("in/b.png", pixels_of((10, 10, 3)))
    assert cli.main(["compare", "in", "--clean", "clean", "--json"]) == 1
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert result["failed"] == 2
    assert [file["name"] for file in result["columns"][0]["files"]] == ["a"]
    assert result["columns"][0]["psnr"] is None  # infinite: they are equal
    assert "c: has no partner in clean" in output.err
    assert "(10, 10, 3)" in output.err
    shutil.copy("in/a.png", "in/a.webp")
    assert cli.main(["compare", "in", "--clean", "clean"]) == 2


@pytest.mark.usefixtures("folder")
def test_compare_names_a_folder_that_cannot_be_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "inner":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    Path("in/inner").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    assert cli.main(["compare", "in/a.png", "in", "--clean", "in", "-r", "--json"]) == 1
    output = capsys.readouterr()
    assert output.err.count("aeinfer: in/inner: cannot be read: Permission denied".replace("/", os.sep)) == 2
    assert json.loads(output.out)["failed"] == 3


@pytest.mark.usefixtures("folder")
def test_compare_goes_on_after_an_image_without_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(path: Path) -> Picture:
        if path.name == "a.png":
            raise MemoryError
        return read_image(path)

    monkeypatch.setattr("aeinfer.cli.compare.read_image", read)
    assert cli.main(["compare", "in", "--clean", "in", "--json"]) == 1
    output = capsys.readouterr()
    assert "a: not enough memory" in output.err
    assert [file["name"] for file in json.loads(output.out)["columns"][0]["files"]] == ["b"]


@pytest.mark.usefixtures("folder")
def test_compares_picture_replaces_none_of_its_images(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("in", "clean")
    before = Path("clean/a.png").read_bytes()
    assert cli.main(["compare", "in", "--clean", "clean", "--picture", "clean/../clean/a.png"]) == 2
    assert "is one of the images" in capsys.readouterr().err
    assert Path("clean/a.png").read_bytes() == before
    for place in ("side-by-side.gif", "clean"):
        assert cli.main(["compare", "in", "--clean", "clean", "--picture", place]) == 2
        assert "is no image by its name" in capsys.readouterr().err
    assert cli.main(["compare", "in", "--clean", "clean", "--picture", "side-by-side.pgm"]) == 2
    assert capsys.readouterr().out == ""  # nothing was measured in vain


@pytest.mark.usefixtures("folder")
def test_compare_measures_no_image_of_nan(capsys: pytest.CaptureFixture[str]) -> None:
    values = np.full((24, 32, 3), 0.5, np.float32)
    write_image("clean.tif", values)
    values[3, 4, 1] = np.nan
    write_image("bad.tif", values)
    assert cli.main(["compare", "bad.tif", "--clean", "clean.tif"]) == 1
    assert "bad.tif: holds NaN or infinity" in capsys.readouterr().err


def test_info_shows_the_facts(tiny_model: Path, tiny_grey: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(tiny_model), "-d", "cpu", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["channels"] == 3
    assert facts["provider"] == "CPUExecutionProvider"
    assert facts["fingerprint"]
    assert cli.main(["info", str(tiny_grey), "-d", "cpu"]) == 0
    assert "channels" in capsys.readouterr().out


def test_models_lists_what_is_packaged(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aeinfer import models

    shutil.copy(tiny_model, tmp_path / "tiny.onnx")
    (tmp_path / "tiny.int8.onnx").write_bytes(bytes(5000))
    monkeypatch.setattr(models, "packaged_models", lambda: {"tiny": tmp_path / "tiny.onnx"})
    assert cli.main(["models", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "tiny"
    assert row["channels"] == 3
    assert row["kilobytes"] == {"fp32": round(tiny_model.stat().st_size / 1000), "int8": 5}
    assert cli.main(["models"]) == 0
    assert "int8 5 KB" in capsys.readouterr().out
    monkeypatch.setattr(models, "packaged_models", dict)
    assert cli.main(["models"]) == 5


@pytest.mark.parametrize("model", ["tiny.onnx", "tiny_window.onnx"])
def test_warmup_runs_a_model_and_says_where_kernels_are_kept(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, model: str
) -> None:
    assert cli.main(["warmup", "-m", str(tiny_model.with_name(model)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["precision"] for each in told["models"]] == ["fp32"]
    assert told["kernels"] is None or Path(told["kernels"]).is_dir()


def test_warmup_compiles_what_images_of_every_dtype_need(tiny_model: Path) -> None:
    assert cli.main(["warmup", "-m", str(tiny_model), str(tiny_model.with_name("tiny_window.onnx"))]) == 0
    if numba.config.DISABLE_JIT:
        return
    compiled = [len(kernel.signatures) for kernel in (loops.gather, loops.place, loops.blend)]
    with AEInfer.load(tiny_model, threads=1) as model:
        for dtype in ("uint8", "uint16", "float32"):
            model(np.zeros((20, 30, 4), dtype), strength=0.5)
            model(np.frombuffer(bytes(600 * np.dtype(dtype).itemsize), dtype).reshape(20, 30))
    assert [len(kernel.signatures) for kernel in (loops.gather, loops.place, loops.blend)] == compiled


def test_warmup_compiles_what_a_temporal_filter_needs(tiny_model: Path) -> None:
    assert cli.main(["warmup", "-m", str(tiny_model)]) == 0
    if numba.config.DISABLE_JIT:
        return
    kernels = (temporal_loops.energy, temporal_loops.average, temporal_loops.shift, temporal_loops.shrink)
    compiled = [len(kernel.signatures) for kernel in kernels]
    assert min(compiled) > 0
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 200, (16, 40)).repeat(6, 0).repeat(6, 1)
    for dtype, colors in itertools.product(("uint8", "uint16"), (1, 3)):
        steady = TemporalFilter()
        for moved in range(0, 15, 3):
            noisy = wide[:, moved : moved + 200, None] + rng.integers(0, 20, (96, 200, colors))
            steady(noisy.astype(dtype))
    assert [len(kernel.signatures) for kernel in kernels] == compiled


def test_warmup_of_no_model_is_an_error() -> None:
    assert cli.main(["warmup", "-m", "no-such-model"]) == 4
