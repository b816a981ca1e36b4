"""What the commands of this package ask of the file that they write."""

import argparse
from pathlib import Path

from aeinfer.errors import InputError
from aeinfer.models import plain_stem

__all__ = ["fp32_file", "onnx_file", "refuse_itself"]


def onnx_file(text: str) -> Path:
    """Read an option that names an .onnx file to be written."""
    path = Path(text)
    if path.suffix != ".onnx" or path.is_dir():
        raise argparse.ArgumentTypeError(f"the output is a file whose name ends in .onnx, got {text}")
    return path


def fp32_file(text: str) -> Path:
    """Read an option that names an .onnx file of fp32: under another precision's name it would be taken for that."""
    path = onnx_file(text)
    if path.stem != plain_stem(path):
        raise argparse.ArgumentTypeError(f"expected NAME.onnx for what is fp32, got the name of another: {text}")
    return path


def refuse_itself(target: Path, source: Path) -> None:
    """Refuse to write over the file that is read.

    Raises
    ------
    InputError
        They are one file.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target} is the input itself; name another file for the result")
