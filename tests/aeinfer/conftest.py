"""A folder of pictures, for the tests of commands."""

from pathlib import Path

import pytest

from aeinfer.image import write_image
from tests.pictures import pixels_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with in/a.png and in/b.png."""
    monkeypatch.chdir(tmp_path)
    write_image("in/a.png", pixels_of(seed=1))
    write_image("in/b.png", pixels_of(seed=2))
    return tmp_path
