"""aeinfer encode and decode: images to numbers and back, and everything that does not belong together refused."""

import io
import os
import pkgutil
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer import AEInfer, InputError, ModelError, cli
from aeinfer.codes import Codes, _is_inside, read_codes, write_codes
from aeinfer.image import Picture, read_image, write_image
from tests import handmade
from tests.pictures import pixels_of

pytest.importorskip("cv2")


def picture(seed: int, shape: tuple[int, ...] = (8, 8)) -> np.ndarray:
    return pixels_of(shape, seed=seed)


@pytest.fixture
def model(tmp_path: Path, tiny_window: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The current folder, with in/ of three windows, one of them in in/deep/, and net.onnx with its halves."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.png", "b.bmp", "deep/c.png")):
        write_image(f"in/{name}", picture(seed))
    for part in ("", ".encoder", ".decoder"):
        shutil.copy(tiny_window.with_name(f"tiny_window{part}.onnx"), f"net{part}.onnx")
    return "net.onnx"


def test_there_and_back_is_the_network(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "in", "-r", "-m", model, "-o", "codes.npz"]) == 0
    assert "3 encoded, 0 failed: codes.npz (16 numbers each)" in capsys.readouterr().out
    with AEInfer.load(model) as ae:
        images = [picture(seed) for seed in range(3)]
        codes = read_codes(Path("codes.npz"))
        assert codes.names.tolist() == ["a.png", "b.bmp", "deep/c.png"]
        np.testing.assert_allclose(codes.codes, ae.encode(images), atol=1e-6)
        assert (codes.model, codes.precision, codes.fingerprint) == ("tiny_window", "fp32", ae.info.fingerprint)
        expected = [ae(image) for image in images]
    assert cli.main(["decode", "codes.npz", "-m", model]) == 0
    assert "3 decoded, 0 skipped, 0 failed: codes-decoded\n" in capsys.readouterr().out
    for name, image in zip(("a.png", "b.png", "deep/c.png"), expected, strict=True):
        decoded = read_image(Path("codes-decoded", name)).pixels
        assert np.abs(decoded.astype(int) - image).max() <= 1


def test_codes_that_cannot_be_written_are_named(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert cli.main(["encode", "in", "-m", model, "-o", "file/codes.npz"]) == 1
    assert f"aeinfer: {Path('file/codes.npz')}: cannot be written: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "writer", "results"),
    [
        ("encode in -r -o out/codes.npz", "aeinfer.cli.encode.write_codes", ["codes.npz"]),
        ("decode codes.npz -o out", "aeinfer.cli.decode.write_image", ["a.png"]),
        ("compare in --clean in --picture out/all.png", "aeinfer.cli.compare.write_image", ["all.png"]),
    ],
)
def test_a_signal_waits_for_the_file_in_hand_and_parts_of_the_dead_are_cleared(
    command: str, writer: str, results: list[str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["encode", "in", "-r", "-m", model, "-o", "codes.npz"]) == 0
    Path("out").mkdir()
    Path("out", f".aeinfer-{'0' * 16}.part").touch()
    write: Callable[..., object] = pkgutil.resolve_name(writer)

    def signalled(*arguments: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        write(*arguments)

    monkeypatch.setattr(writer, signalled)
    assert cli.main([*command.split(), *(["-m", model] if "compare" not in command else [])]) == 143
    assert [path.name for path in Path("out").iterdir()] == results


def test_colours_keep_their_order(tmp_path: Path) -> None:
    facts = {
        f"aeinfer.{key}": value for key, value in {"channels": "3", "tile": "8", "stride": "1", "halo": "0"}.items()
    }
    for part in ("", ".encoder", ".decoder"):
        Path(tmp_path, f"net{part}.onnx").write_bytes(handmade.model(["N", 3, 8, 8], facts=facts))
    image = picture(0, (8, 8, 3))
    with AEInfer.load(tmp_path / "net.onnx", color="bgr") as bgr, AEInfer.load(tmp_path / "net.onnx") as rgb:
        codes = bgr.encode([image])
        np.testing.assert_array_equal(codes, rgb.encode([image[..., ::-1]]))
        np.testing.assert_allclose(bgr.decode(codes)[0] * 255, image, atol=1e-4)


def test_what_is_there_is_kept_unless_told(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz"]) == 0
    before = Path("codes.npz").read_bytes()
    write_image("in/d.png", picture(9))
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz"]) == 0
    assert "skipped: codes.npz exists" in capsys.readouterr().out
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz", "--on-exist", "error"]) == 2
    assert Path("codes.npz").read_bytes() == before
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz", "--on-exist", "overwrite"]) == 0
    assert len(read_codes(Path("codes.npz")).codes) == 3
    assert cli.main(["decode", "codes.npz", "-m", model, "-o", "out"]) == 0
    write_image("out/a.png", picture(7))
    capsys.readouterr()
    assert cli.main(["decode", "codes.npz", "-m", model, "-o", "out"]) == 0
    assert "0 decoded, 3 skipped" in capsys.readouterr().out
    np.testing.assert_array_equal(read_image("out/a.png").pixels, picture(7))
    assert cli.main(["decode", "codes.npz", "-m", model, "-o", "out", "--on-exist", "error"]) == 2
    assert cli.main(["decode", "codes.npz", "-m", model, "-o", "out", "--on-exist", "overwrite"]) == 0
    assert (read_image("out/a.png").pixels != picture(7)).any()
    assert list(Path("out").glob(".*")) == []


def test_a_file_that_does_not_fit_is_named_and_the_rest_goes_on(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("in/odd.png", picture(3, (9, 8)))
    write_image("in/colour.png", picture(4, (8, 8, 3)))
    Path("in/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert cli.main(["encode", "in", "gone.png", "-m", model, "-o", "codes.npz"]) == 1
    printed = capsys.readouterr()
    assert "2 encoded, 4 failed" in printed.out
    assert "odd.png: expected images of 8x8 with 1 channel(s), got one of shape (9, 8, 1)" in printed.err
    assert "colour.png: expected images of 8x8 with 1 channel(s)" in printed.err
    assert "broken.png" in printed.err
    assert "gone.png: no such file" in printed.err
    assert read_codes(Path("codes.npz")).names.tolist() == ["a.png", "b.bmp"]
    assert cli.main(["encode", "in/odd.png", "-m", model, "-o", "none.npz"]) == 1
    assert not Path("none.npz").exists()
    assert cli.main(["encode", "empty", "-m", model, "-o", "none.npz"]) == 5
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.txt"]) == 2


def test_an_image_without_memory_is_named_and_the_rest_goes_on(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(path: Path) -> Picture:
        if path.name == "a.png":
            raise MemoryError
        return read_image(path)

    monkeypatch.setattr("aeinfer.cli.encode.read_image", read)
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz"]) == 1
    assert f"{Path('in/a.png')}: not enough memory" in capsys.readouterr().err
    assert read_codes(Path("codes.npz")).names.tolist() == ["b.bmp"]


def test_codes_of_another_model_are_refused(model: str, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz"]) == 0
    assert cli.main(["decode", "codes.npz", "-m", "mnist-dense"]) == 4
    assert "these codes are of tiny_window fp32" in capsys.readouterr().err
    assert cli.main(["decode", "codes.npz"]) == 4  # no packaged model of that name
    assert "tiny_window" in capsys.readouterr().err
    assert cli.main(["encode", "in", "-m", str(tiny_model), "-o", "none.npz"]) == 4
    assert "has no encoder" in capsys.readouterr().err
    assert not Path("codes-decoded").exists()
    codes = read_codes(Path("codes.npz"))
    with AEInfer.load("mnist-dense") as ae, pytest.raises(ModelError, match="decode with the file that encoded"):
        codes.check_model(ae.info)


def test_two_images_of_one_name_are_refused(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("in/a.bmp", picture(5))
    write_image("other/b.png", picture(6))
    assert cli.main(["encode", "in", "other", "-m", model, "-o", "codes.npz"]) == 2
    printed = capsys.readouterr().err
    assert f"{Path('in/a.bmp')}, {Path('in/a.png')}: all would be named a" in printed
    assert f"{Path('in/b.bmp')}, {Path('other/b.png')}: all would be named b" in printed
    assert not Path("codes.npz").exists()
    write_codes(Path("codes.npz"), Codes(np.zeros((2, 4), np.float32), np.array(["a.png", "a.bmp"]), "net", "fp32", ""))
    assert cli.main(["decode", "codes.npz", "-m", model]) == 2
    assert "several images would become" in capsys.readouterr().err
    assert not Path("codes-decoded").exists()


def test_only_what_is_written_is_refused(model: str) -> None:
    write_image("in-denoised/d.png", picture(5))
    assert cli.main(["encode", "in", "in/a.png", "in-denoised", "-m", model, "-o", "codes.npz"]) == 0
    assert read_codes(Path("codes.npz")).names.tolist() == ["a.png", "b.bmp", "d.png"]


def held(**changed: object) -> dict[str, np.ndarray]:
    whole = {"codes": np.zeros((2, 4), np.float32), "names": ["a.png", "b.png"]}
    whole |= {"model": "net", "precision": "fp32", "fingerprint": "0" * 16}
    return {key: np.asarray(value) for key, value in (whole | changed).items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"codes": np.zeros((2, 4))}, "expected float32 codes"),
        ({"codes": np.zeros(4, np.float32)}, "expected float32 codes"),
        ({"names": ["a.png"]}, "N names"),
        ({"names": [1, 2]}, "N names"),
        ({"fingerprint": None}, "expected a file of codes"),
        ({"names": ["a.png", "../../b.png"]}, "of no file within a folder"),
        ({"names": ["a.png", "/etc/b.png"]}, "of no file within a folder"),
        ({"names": ["a.png", "b\0.png"]}, "of no file within a folder"),
        ({"names": ["a.png", ""]}, "of no file within a folder"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    np.savez(tmp_path / "codes.npz", **held(**changed))
    with pytest.raises(InputError, match=said):
        read_codes(tmp_path / "codes.npz")


@pytest.mark.parametrize(
    "name", ["c:\\b.png", "c:b.png", "\\b.png", "..\\b.png", "../b.png", "10:30.png", "/etc/b.png"]
)
def test_names_that_lead_out_are_told_by_the_systems_own_rules(name: str) -> None:
    assert not _is_inside(name, PureWindowsPath)
    assert _is_inside(name, PurePosixPath) == (name[0] not in "/." or "/" not in name)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_any_name_goes_there_and_back(model: str) -> None:
    names = ["10:30.png", "a\\b.png", "…\n.png"]
    for seed, name in enumerate(names):
        write_image(f"odd/{name}", picture(seed))
    assert cli.main(["encode", "odd", "-m", model, "-o", "codes.npz"]) == 0
    assert cli.main(["decode", "codes.npz", "-m", model, "-o", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(names)


def test_what_a_power_cut_left_empty_is_made_again(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("codes.npz").touch()
    assert cli.main(["encode", "in", "-m", model, "-o", "codes.npz", "--on-exist", "error"]) == 0
    Path("out").mkdir()
    Path("out/a.png").touch()
    assert cli.main(["decode", "codes.npz", "-m", model, "-o", "out"]) == 0
    assert "2 decoded, 0 skipped" in capsys.readouterr().out
    assert cli.main(["encode", "in", "-m", model, "-o", "folder.npz"]) == 0
    Path("folder.npz").unlink()
    Path("folder.npz").mkdir()
    assert cli.main(["encode", "in", "-m", model, "-o", "folder.npz"]) == 2


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 and no more", b"\x93NUMPY"])
def test_what_is_no_file_of_codes_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "codes.npz").write_bytes(content)
    with pytest.raises(InputError, match="expected a file of codes"):
        read_codes(tmp_path / "codes.npz")
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    (tmp_path / "codes.npz").write_bytes(array.getvalue())
    with pytest.raises(InputError, match="expected a file of codes"):
        read_codes(tmp_path / "codes.npz")
    with pytest.raises(InputError, match="cannot be read"):
        read_codes(tmp_path / "gone.npz")


@pytest.mark.parametrize(("at", "value"), [(8, 1), (10, 12)])
def test_a_member_that_seems_encrypted_or_otherwise_packed_is_damage(tmp_path: Path, at: int, value: int) -> None:
    path = tmp_path / "codes.npz"
    write_codes(path, Codes(np.zeros((1, 4), np.float32), np.array(["a.png"]), "net", "fp32", ""))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + at] = value  # in the archive's directory: its flags, or its method
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a file of codes"):
        read_codes(path)


@given(cut=st.integers(0, 600), changed=st.integers(0, 600), bits=st.integers(1, 255))
def test_a_damaged_file_is_refused_or_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, cut: int, changed: int, bits: int
) -> None:
    path = tmp_path_factory.mktemp("codes") / "codes.npz"
    numbers = np.random.default_rng(0).random((3, 4), np.float32)
    whole = Codes(numbers, np.array(["a.png", "b.png", "c.png"]), "net", "fp32", "f" * 16)
    write_codes(path, whole)
    np.testing.assert_array_equal(read_codes(path).codes, numbers)
    content = bytearray(path.read_bytes())
    content[changed % len(content)] ^= bits
    for damaged in (bytes(content), bytes(content[: cut % len(content)])):
        path.write_bytes(damaged)
        with suppress(InputError):
            found = read_codes(path)
            np.testing.assert_array_equal(found.codes, numbers)
            assert found.names.tolist() == whole.names.tolist()
            assert (found.model, found.precision, found.fingerprint) == ("net", "fp32", "f" * 16)
