"""AEInfer as an object: siblings of its file, halves, pickling, counters and its end."""

import copy
import pickle
import shutil
from pathlib import Path
from typing import get_origin, get_overloads, get_type_hints

import numpy as np
import onnxruntime
import pytest

from aeinfer import AEInfer
from aeinfer.errors import InputError, ModelError
from aeinfer.session import Session
from tests import handmade
from tests.pictures import pixels_of

# Siblings


@pytest.mark.parametrize(
    ("name", "precision", "channels"),
    [
        ("net.v2.onnx", "auto", 3),
        ("net.v2.onnx", "fp32", 3),
        ("net.v2.onnx", "int8", 1),
        ("net.v2.int8.onnx", "auto", 1),
        ("net.v2.int8.onnx", "int8", 1),
        ("net.v2.int8.onnx", "fp32", 3),
    ],
)
def test_precision_takes_the_sibling(family: Path, name: str, precision: str, channels: int) -> None:
    for path in (family.with_name(name), str(family.with_name(name))):
        assert AEInfer.load(path, precision=precision).info.channels == channels


def test_a_missing_sibling_is_an_error(family: Path) -> None:
    for name in ("net.v2.onnx", "net.v2.int8.onnx"):
        with pytest.raises(ModelError, match=r"'fp16' needs .*net\.v2\.fp16\.onnx, which does not exist"):
            AEInfer.load(family.with_name(name), precision="fp16")


def test_a_file_of_another_precision_than_its_name_says_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "net.int8.onnx"
    shutil.copy(tiny_model, path)
    with pytest.raises(ModelError, match=r"net\.int8\.onnx was asked for in int8, but its facts say fp32"):
        AEInfer.load(path, precision="int8")
    assert AEInfer.load(path).info.precision == "fp32"
    path.write_bytes(handmade.model())  # a stranger's, which states nothing: its name is all there is
    with pytest.warns(UserWarning, match="does not state"):
        AEInfer.load(path, precision="int8")


def test_bytes_are_what_they_are(tiny_model: Path) -> None:
    with AEInfer.load(tiny_model.read_bytes(), precision="int8") as ae:
        assert ae.info.name == "tiny"
        assert "tiny" in repr(ae)
        assert "CPUExecutionProvider" in repr(ae)


# Halves


@pytest.mark.parametrize("name", ["tiny_window.onnx", "net.v2.onnx", "net.int8.onnx"])
def test_encode_and_decode_are_the_whole(tmp_path: Path, tiny_window: Path, name: str) -> None:
    shutil.copy(tiny_window, tmp_path / name)
    for half in ("encoder", "decoder"):
        sibling = f"{name.removesuffix('.onnx').removesuffix('.int8')}.{half}{'.int8' if 'int8' in name else ''}.onnx"
        shutil.copy(tiny_window.with_name(f"tiny_window.{half}.onnx"), tmp_path / sibling)
    images = pixels_of((5, 8, 8))
    with AEInfer.load(tmp_path / name, threads=1) as ae:
        codes = ae.encode(images)
        assert (codes.shape, codes.dtype) == ((5, 16), np.float32)
        np.testing.assert_array_equal(ae.encode(list(images[..., None])), codes)
        decoded = ae.decode(codes)
        assert (decoded.shape, decoded.dtype) == ((5, 8, 8), np.float32)
        floats = images.astype(np.float32) / 255
        np.testing.assert_allclose(decoded, ae.denoise_batch(floats), atol=1e-6)
        np.testing.assert_array_equal(ae.decode(np.repeat(codes, 2, 1)[:, ::2]), decoded)


def test_a_type_checker_knows_that_a_list_gives_a_list_and_an_array_an_array() -> None:
    results = [get_type_hints(way)["return"] for way in get_overloads(AEInfer.denoise_batch)]
    assert [get_origin(result) for result in results] == [np.ndarray, list]


def test_many_are_coded_as_one_in_batches(tiny_window: Path) -> None:
    images = pixels_of((100, 8, 8))
    with AEInfer.load(tiny_window, batch=7) as ae:
        codes = ae.encode(images)
        np.testing.assert_allclose(codes, np.concatenate([ae.encode(images[i : i + 1]) for i in range(100)]), atol=1e-6)
        np.testing.assert_allclose(
            ae.decode(codes), np.concatenate([ae.decode(codes[i : i + 1]) for i in range(100)]), atol=1e-6
        )
    with pytest.raises(InputError, match="at least one image"):
        AEInfer.load(tiny_window).decode(codes[:0])


@pytest.mark.parametrize("images", [[], np.zeros((2, 9, 8), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)])
def test_encode_wants_windows(tiny_window: Path, images: list[np.ndarray] | np.ndarray) -> None:
    with AEInfer.load(tiny_window) as ae, pytest.raises(InputError, match=r"images of 8x8 with 1 channel\(s\), got"):
        ae.encode(images)


def test_encode_refuses_what_denoise_refuses(tiny_window: Path) -> None:
    with AEInfer.load(tiny_window) as ae:
        with pytest.raises(InputError, match="NaN"):
            ae.encode([np.full((8, 8), np.nan, np.float32)])
        with pytest.raises(InputError, match="float64"):
            ae.encode([np.zeros((8, 8))])
        with pytest.raises(InputError, match=r"\(N, H, W\) or \(N, H, W, C\), got an array of shape \(8, 8\)"):
            ae.encode(pixels_of((8, 8)))


@pytest.mark.parametrize("codes", [np.zeros((2, 15), np.float32), np.zeros(16, np.float32), np.zeros((2, 16))])
def test_decode_wants_codes(tiny_window: Path, codes: np.ndarray) -> None:
    with AEInfer.load(tiny_window) as ae, pytest.raises(InputError, match=r"expected float32 codes \(N, 16\), got"):
        ae.decode(codes)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (-np.inf, "NaN or infinity"), (1e38, "beyond 1e")])
def test_decode_gives_no_image_of_nothing(tiny_window: Path, value: float, said: str) -> None:
    codes = np.zeros((3, 16), np.float32)
    codes[2, 5] = value
    with AEInfer.load(tiny_window) as ae, pytest.raises(InputError, match=f"the array of codes holds .*{said}"):
        ae.decode(codes)


def test_a_model_without_halves_says_so(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"has no encoder: expected .*tiny\.encoder\.onnx beside it"):
        AEInfer.load(tiny_model).encode(pixels_of((1, 8, 8)))
    with pytest.raises(ModelError, match="has no decoder: expected a file beside it"):
        AEInfer.load(tiny_model.read_bytes()).decode(np.zeros((1, 16), np.float32))


# Copies


def test_a_copy_has_the_same_settings_and_a_session_of_its_own(tiny_window: Path, tiny_model: Path) -> None:
    image = pixels_of((97, 30, 3))
    with AEInfer.load(tiny_model, threads=1, tile=16, color="bgr") as ae:
        expected = ae(image)
        copies = [pickle.loads(pickle.dumps(ae)), copy.copy(ae), copy.deepcopy(ae)]
    for twin in copies:  # the original is closed by now
        np.testing.assert_array_equal(twin(image), expected)
        assert twin.info == ae.info
        assert twin._limits.tile == ae._limits.tile
    codes = pickle.loads(pickle.dumps(AEInfer.load(tiny_window))).encode(pixels_of((1, 8, 8)))
    assert codes.shape == (1, 16)


def test_a_pickle_needs_the_file_no_longer(tmp_path: Path, tiny_model: Path) -> None:
    path = Path(shutil.copy(tiny_model, tmp_path))
    data = pickle.dumps(AEInfer.load(path))
    path.unlink()
    assert pickle.loads(data).info.name == "tiny"


def test_options_of_onnxruntime_cannot_be_pickled(tiny_model: Path) -> None:
    with AEInfer.load(tiny_model, session_options=onnxruntime.SessionOptions()) as ae:
        assert ae(pixels_of((21, 18, 3))).shape == (21, 18, 3)
        with pytest.raises(InputError, match="session_options of its own cannot be pickled"):
            pickle.dumps(ae)


# Counters and the end


def test_stats_count_images_pixels_and_seconds(tiny_model: Path) -> None:
    with AEInfer.load(tiny_model) as ae:
        ae.warmup((30, 40, 3))
        ae.warmup((8, 8), "float32")
        assert (ae.stats.images, ae.stats.pixels, ae.stats.seconds) == (0, 0, 0.0)
        ae(pixels_of((10, 20, 3)))
        ae.denoise_batch(pixels_of((3, 5, 5)))
        assert (ae.stats.images, ae.stats.pixels) == (4, 275)
        assert ae.stats.seconds > 0
        with pytest.raises(InputError):
            ae(np.zeros((3, 3)))
        assert ae.stats.images == 4


def test_a_closed_instance_says_so(tiny_window: Path) -> None:
    with AEInfer.load(tiny_window) as ae:
        ae.encode(pixels_of((1, 8, 8)))
    ae.close()
    for call in (
        lambda: ae(pixels_of((8, 8))),
        lambda: ae.encode(pixels_of((1, 8, 8))),
        ae.warmup,
        lambda: next(ae.stream([pixels_of((8, 8))])),
    ):
        with pytest.raises(InputError, match="this AEInfer is closed: load the model again"):
            call()


def test_what_is_closed_while_it_works_gives_its_result_and_keeps_nothing(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pixels_of((150, 170, 3))
    with AEInfer.load(tiny_model, threads=2, tile=64, batch=1) as ae:
        expected, run = ae(image), Session.run

        def closing(session: Session, batch: np.ndarray) -> np.ndarray:
            ae.close()
            return run(session, batch)

        monkeypatch.setattr(Session, "run", closing)
        np.testing.assert_array_equal(ae(image), expected)
        assert (len(ae._pair._sessions), len(ae._scratch._free)) == (0, 0)
