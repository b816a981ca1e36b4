"""The packaged colour models as methods to measure: their files; nothing is measured here."""

from pathlib import Path

from aeinfer import AEInfer
from aeinfer.models import packaged_models, precision_files


def model_files() -> dict[str, Path]:
    """Return "NAME PRECISION" -> model file of every packaged model."""
    return {
        f"{name} {precision}": file
        for name, path in packaged_models().items()
        for precision, file in precision_files(path).items()
    }


def color_models() -> dict[str, Path]:
    """Return those of three channels."""
    return {method: file for method, file in model_files().items() if AEInfer.load(file).info.channels == 3}
