"""The command on two files of a folder."""

from pathlib import Path
from typing import Any

import pytest

from aeinfer import cli


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Any:
    """Run the command on two files of tmp_path."""

    def call(source: str, target: str, *options: str, code: int = 0) -> None:
        command = ["video", str(tmp_path / source), str(tmp_path / target), "-m", str(tiny_model), *options]
        assert cli.main(command) == code

    return call
