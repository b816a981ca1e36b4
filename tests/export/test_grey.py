"""A grey network folded from a colour one does to grey images what the colour one does, and nothing else is folded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from aeinfer import AEInfer, InputError
from aeinfer.models import packaged_models
from aeinfer.session import Session
from export import grey


@pytest.fixture(scope="module", params=["photo", "photo-best", "photo-fast"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A packaged colour model and the grey one made of it."""
    color = packaged_models()[request.param]
    target = tmp_path_factory.mktemp("grey") / f"{request.param}-grey.onnx"
    assert grey.main([str(color), "-o", str(target)]) == 0
    return color, target


def test_grey_is_what_the_colour_network_makes_of_grey(pair: tuple[Path, Path]) -> None:
    """Everywhere but where a colour is clipped: there the mean of the clipped is not the clipped mean."""
    color, one = (Session(path.read_bytes(), path.name, "cpu") for path in pair)
    images = np.random.default_rng(0).normal(0.5, 0.2, (2, 1, 64, 96)).astype(np.float32)
    colors = color.run(np.repeat(images, 3, axis=1))
    clipped = ((colors == 0) | (colors == 1)).any(1, keepdims=True)
    difference = np.abs(one.run(images) - colors.mean(1, keepdims=True))
    assert clipped.mean() < 0.05
    assert difference[~clipped].max() < 1e-5
    assert difference.mean() < 1e-4


def test_denoise_gives_the_same_picture(pair: tuple[Path, Path]) -> None:
    image = np.random.default_rng(0).integers(60, 190, (50, 70), dtype=np.uint8)
    color, one = (AEInfer.load(path, precision="fp32") for path in pair)
    assert np.abs(color(image).astype(int) - one(image)).max() <= 1
    assert (one.info.channels, one.info.name, one.info.psnr) == (1, pair[1].stem, {})
    assert (one.info.halo, one.info.stride, one.info.license) == (color.info.halo, color.info.stride, "MIT")


def test_what_cannot_be_folded_is_refused(tiny_grey: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    int8 = packaged_models()["photo-fast"].with_suffix(".int8.onnx")
    for source in (tiny_grey, packaged_models()["mnist-dense"], int8):
        assert "expected a colour model of the photo family in fp32" in complaint(
            grey.main, source, "-o", tmp_path / "grey.onnx"
        )
    assert list(tmp_path.iterdir()) == []


def test_another_end_is_refused(tiny_model: Path) -> None:
    proto = onnx.load(tiny_model)
    proto.graph.node[-2].op_type = "Add"
    with pytest.raises(InputError, match="photo family"):
        grey.folded(proto)


def test_a_grey_network_that_differs_is_not_kept(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grey, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="differs from"):
        grey.export_grey(tiny_model, tmp_path / "grey.onnx")
    assert list(tmp_path.iterdir()) == []
