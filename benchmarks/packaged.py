"""The models to measure, packaged and in models/: their files; nothing is measured here."""

from pathlib import Path

from aeinfer import AEInfer
from aeinfer.models import packaged_models, precision_files

ZOO = Path(__file__).parent / "models"


def model_files(models: dict[str, Path] | None = None) -> dict[str, Path]:
    """Return "NAME PRECISION" -> model file of these models (name -> fp32 file), or of every packaged one."""
    return {
        f"{name} {precision}": file
        for name, path in (packaged_models() if models is None else models).items()
        for precision, file in precision_files(path).items()
    }


def digit_models() -> dict[str, Path]:
    """Return those of digits, of models/ too, which are not packaged."""
    packaged = {name: path for name, path in packaged_models().items() if name.startswith("mnist")}
    zoo = {path.stem: path for path in sorted(ZOO.glob("*.onnx")) if "." not in path.stem}
    return model_files(packaged | zoo)


def photo_models() -> dict[str, Path]:
    """Return those of photographs: of three channels, or of one at any size."""
    facts = {method: AEInfer.load(file).info for method, file in model_files().items()}
    return {method: file for method, file in model_files().items() if facts[method].tile is None}


def color_models() -> dict[str, Path]:
    """Return those of three channels."""
    return {method: file for method, file in model_files().items() if AEInfer.load(file).info.channels == 3}
