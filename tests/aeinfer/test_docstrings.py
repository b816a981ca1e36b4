"""The examples in docstrings give what they say."""

import doctest
import re
from pathlib import Path

import pytest

import aeinfer

pytest.importorskip("cv2")

ROOM = Path(aeinfer.__file__).parent
RUN = re.compile(r"^ *>>> (?!.*doctest: \+SKIP)", re.M)
FILES = sorted(path.relative_to(ROOM.parent) for path in ROOM.rglob("*.py") if RUN.search(path.read_text("utf-8")))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_examples(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    module = pytest.importorskip(name, exc_type=ImportError)
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed
