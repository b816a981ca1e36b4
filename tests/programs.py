"""Programs of Python in a process of their own, on the aeinfer that is tested: conftest.py sees to that."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run_python(
    program: str,
    *arguments: object,
    folder: Path | None = None,
    base: Mapping[str, str] = os.environ,
    **environment: object,
) -> list[str]:
    """Run a program to its good end; return the lines of its output and of what it complained of."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=folder,
        env={**base, **{key: str(value) for key, value in environment.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()
