"""The packaged models: where their files are; nothing is read or run here."""

from pathlib import Path

__all__ = ["packaged_models"]


def packaged_models() -> dict[str, Path]:
    """Return the packaged models: name -> path of the fp32 file, in alphabetical order.

    Examples
    --------
    >>> packaged_models()["photo"].name
    'photo.onnx'
    """
    folder = Path(__file__).parent
    # NAME.int8.onnx and NAME.encoder.onnx are companions of NAME.onnx, not models of their own
    return {path.stem: path for path in sorted(folder.glob("*.onnx")) if "." not in path.stem}
