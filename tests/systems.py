"""Made-up systems: files below a folder that stands for the root."""

from collections.abc import Mapping
from pathlib import Path


def tell(root: Path, files: Mapping[str, str]) -> Path:
    """Write what a system tells in files of these names, and return its root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root
