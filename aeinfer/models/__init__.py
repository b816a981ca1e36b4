"""The packaged models: where their files are; nothing is read or run here."""

import os
from pathlib import Path

from aeinfer.errors import ModelError

__all__ = ["PRECISIONS", "half_file", "model_path", "packaged_models", "plain_stem", "precision_files"]

PRECISIONS = ("fp32", "fp16", "int8")


def packaged_models() -> dict[str, Path]:
    """Return the packaged models: name -> path of the fp32 file, in alphabetical order.

    Examples
    --------
    >>> packaged_models()["photo"].name
    'photo.onnx'
    """
    folder = Path(__file__).parent
    # NAME.int8.onnx and NAME.encoder.onnx are companions of NAME.onnx, not models of their own
    return {
        path.stem: path for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stem) if "." not in path.stem
    }


def model_path(model: str | os.PathLike[str]) -> Path:
    """Return the file of a packaged model's name, or the path of a file as it came, which need not exist.

    Raises
    ------
    ModelError
        No packaged model has that name, and it is no path of an .onnx file.
    """
    if not isinstance(model, str) or model.endswith(".onnx"):
        return Path(model)
    packaged = packaged_models()
    if not packaged:
        raise ModelError(
            f"no packaged models in {Path(__file__).parent}: install aeinfer again; "
            "a frozen program takes them along as data, PyInstaller by --collect-data aeinfer"
        )
    if model not in packaged:
        raise ModelError(f"no packaged model {model!r}: there are {', '.join(packaged)}; a file's path ends in .onnx")
    return packaged[model]


def plain_stem(path: Path) -> str:
    """Return the file's name without .onnx and precision: what its siblings share.

    Examples
    --------
    >>> plain_stem(Path("net.v2.int8.onnx"))
    'net.v2'
    """
    return path.stem.removesuffix(".int8").removesuffix(".fp16")


def half_file(path: Path, half: str) -> Path:
    """Return where the encoder or the decoder of a model file is, in the same precision.

    Examples
    --------
    >>> half_file(Path("net.int8.onnx"), "encoder").name
    'net.encoder.int8.onnx'
    """
    stem = plain_stem(path)
    return path.with_name(f"{stem}.{half}{path.stem.removeprefix(stem)}.onnx")


def precision_files(path: Path) -> dict[str, Path]:
    """Return the files there are of a model: precision -> NAME.onnx (fp32), NAME.fp16.onnx, NAME.int8.onnx.

    Examples
    --------
    >>> sorted(precision_files(packaged_models()["photo"]))
    ['fp32', 'int8']
    """
    files = {key: path if key == "fp32" else path.with_suffix(f".{key}.onnx") for key in PRECISIONS}
    return {key: file for key, file in files.items() if file.is_file()}
