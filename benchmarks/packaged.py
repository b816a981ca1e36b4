"""The models to measure, packaged and in models/: their files; nothing is measured here."""

from functools import cache
from pathlib import Path

from aeinfer import AEInfer, ModelInfo
from aeinfer.model_bytes import fingerprint_of
from aeinfer.models import packaged_models, precision_files

ZOO = Path(__file__).parent / "models"


def model_files(models: dict[str, Path] | None = None) -> dict[str, Path]:
    """Return "NAME PRECISION" -> model file of these models (name -> fp32 file), or of every packaged one."""
    return {
        f"{name} {precision}": file
        for name, path in (packaged_models() if models is None else models).items()
        for precision, file in precision_files(path).items()
    }


def fingerprint(method: str) -> str:
    """Return that of a packaged model's file: of "NAME PRECISION"."""
    return fingerprint_of(model_files()[method].read_bytes())


def digit_models() -> dict[str, Path]:
    """Return those of digits, of models/ too, which are not packaged."""
    packaged = {name: path for name, path in packaged_models().items() if name.startswith("mnist")}
    zoo = {path.stem: path for path in sorted(ZOO.glob("*.onnx")) if "." not in path.stem}
    return model_files(packaged | zoo)


@cache
def info_of(file: Path) -> ModelInfo:
    """Return what a file says of itself."""
    return AEInfer.load(file).info


def photo_models() -> dict[str, Path]:
    """Return those of photographs: of three channels, or of one at any size."""
    return {method: file for method, file in model_files().items() if info_of(file).tile is None}


def color_models() -> dict[str, Path]:
    """Return those of three channels."""
    return {method: file for method, file in model_files().items() if info_of(file).channels == 3}
