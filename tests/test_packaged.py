"""The packaged models do what their cards say, on the shipped examples; the pages show the committed figures."""

from pathlib import Path

import numpy as np
import pytest

from aeinfer import AEInfer, kernels, metrics
from aeinfer.image import read_image
from aeinfer.models import packaged_models
from aeinfer.tiling import plan_tiles
from benchmarks import table
from scripts.check_wheel import MODELS_LIMIT

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTO_NAMES = ("photo", "photo-best", "photo-camera", "photo-fast", "photo-fast-grey")
NAMES = ("mnist-conv", "mnist-dense", *PHOTO_NAMES)


def examples(folder: str) -> list[np.ndarray]:
    paths = sorted((EXAMPLES / folder).glob("*.png"))
    assert paths
    return [read_image(path).pixels for path in paths]


def mean_psnr(images: list[np.ndarray], references: list[np.ndarray]) -> float:
    return float(np.mean([metrics.psnr(a, b, data_range=255) for a, b in zip(images, references, strict=True)]))


def test_every_model_is_there_with_its_card() -> None:
    assert tuple(packaged_models()) == NAMES
    for path in packaged_models().values():
        card = path.with_suffix(".md").read_text()
        for promised in ("**Data**", "Licence", "**Command**", "What it is bad at", "<!-- table: "):
            assert promised in card


def test_the_files_are_light_together() -> None:
    paths = packaged_models()["photo"].parent.glob("*.onnx")
    assert sum(path.stat().st_size for path in paths) < MODELS_LIMIT


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", NAMES)
def test_every_file_states_its_facts(name: str, precision: str) -> None:
    info = AEInfer.load(name, precision=precision).info
    assert (info.name, info.precision) == (name, precision)
    assert info.torch_error < 1e-4
    assert info.license == "MIT"
    assert info.training_data
    assert info.training_license
    assert info.commit


@pytest.mark.parametrize("name", NAMES)
def test_int8_stays_within_the_gate_of_fp32(name: str) -> None:
    fp32, int8 = (AEInfer.load(name, precision=precision).info.psnr["held out"] for precision in ("fp32", "int8"))
    assert fp32 - int8 <= 0.3


@pytest.mark.parametrize(("precision", "gain"), [("fp32", 9.6), ("int8", 9.5)])
def test_photo_cleans_the_example_photographs(precision: str, gain: float) -> None:
    """A check that the file works; two of the three were trained on, so it is no measure of quality."""
    noisy, clean = examples("photos/noisy"), examples("photos/clean")
    with AEInfer.load("photo", precision=precision) as ae:
        assert mean_psnr(list(ae.denoise_batch(noisy)), clean) > mean_psnr(noisy, clean) + gain


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_conv_cleans_the_example_digits(precision: str) -> None:
    noisy, clean = examples("digits/noisy"), examples("digits/clean")
    with AEInfer.load("mnist-conv", precision=precision) as ae:
        assert mean_psnr(list(ae.denoise_batch(noisy)), clean) > mean_psnr(noisy, clean) + 7


def test_dense_keeps_clean_digits_in_64_numbers() -> None:
    clean = examples("digits/clean")
    with AEInfer.load("mnist-dense") as ae:
        codes = ae.encode(clean)
        assert codes.shape == (10, 64)
        decoded = [np.rint(image * 255).astype(np.uint8) for image in ae.decode(codes)]
    assert mean_psnr(decoded, clean) > 21.5


@pytest.mark.parametrize("name", PHOTO_NAMES)
def test_int8_of_the_photo_family_needs_no_slow_products(name: str) -> None:
    assert not AEInfer.load(name, precision="int8").info.saturates


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", PHOTO_NAMES)
def test_tiles_of_a_photo_model_equal_the_whole(name: str, precision: str) -> None:
    image = np.pad(kernels.to_float(examples("photos/noisy")[0]), ((0, 287), (0, 112), (0, 0)), mode="symmetric")
    info = AEInfer.load(name, precision=precision).info
    plan = plan_tiles(*image.shape[:2], tile=256, halo=info.halo, stride=info.stride)
    assert min(image.shape[:2]) > 256 + 1.5 * info.halo  # or the tiles would see the whole
    assert all(len(np.unique(plan.positions[:, axis])) > 1 for axis in (0, 1))
    whole, tiled = (AEInfer.load(name, precision=precision, tile=tile)(image) for tile in (4096, 256))
    assert np.abs(whole - tiled).max() * 255 < 0.5


def test_pages_show_the_committed_figures() -> None:
    for page in table.PAGES:
        assert table.rewritten(page.read_text()) == page.read_text(), "run python -m benchmarks.table"
