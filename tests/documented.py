"""Lines that a page tells users to type, the programs they need, and a shell that runs them as users would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def documented(page: str, name: str) -> str:
    """Return the fenced block of docs/PAGE that follows the line `<!-- tested: NAME -->`."""
    path = ROOT / "docs" / page
    if not path.exists():
        pytest.skip("the pages are not here: these tests stand beside a wheel")
    text = path.read_text("utf-8")
    blocks = re.findall(rf"^<!-- tested: {re.escape(name)} -->\n```\w*\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 1, f"docs/{page} has {len(blocks)} blocks after <!-- tested: {name} -->"
    return blocks[0]


def need(*programs: str) -> None:
    """Skip a test where a program that it talks to is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def shell(lines: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run lines in a folder, where `aeinfer` and `python` are those under test; a failure anywhere in a pipe counts."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, module in (("aeinfer", "-m aeinfer"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        program.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env=os.environ | {"PATH": path} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
