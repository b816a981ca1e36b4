"""A folder of pictures for the tests of commands, a network for those of frames, a family of files to choose from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aeinfer import AEInfer
from aeinfer.image import write_image
from tests.pictures import pixels_of


@pytest.fixture(scope="session")
def ae(tiny_model: Path) -> Iterator[AEInfer]:
    """The tiny colour network."""
    with AEInfer.load(tiny_model) as ae:
        yield ae


@pytest.fixture
def family(tmp_path: Path, tiny_model: Path, tiny_grey: Path) -> Path:
    """A file with a dot in its name, and an int8 sibling (in truth another network, to tell them apart)."""
    shutil.copy(tiny_model, tmp_path / "net.v2.onnx")
    (tmp_path / "net.v2.int8.onnx").write_bytes(tiny_grey.read_bytes().replace(b'"fp32"', b'"int8"'))
    return tmp_path / "net.v2.onnx"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with in/a.png and in/b.png."""
    monkeypatch.chdir(tmp_path)
    write_image("in/a.png", pixels_of(seed=1))
    write_image("in/b.png", pixels_of(seed=2))
    return tmp_path
