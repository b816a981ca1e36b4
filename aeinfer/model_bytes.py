"""The bytes of a model file, as far as they tell something without onnxruntime, and what they are instead of a model.

Options are needed before onnxruntime tells a file's facts: those that decide on them are looked for as bytes.
"""

import codecs
import hashlib
import re
from pathlib import Path

from aeinfer.errors import ModelError

__all__ = ["fingerprint_of", "never_saturates", "read_model", "stated_precision", "unusable"]

# as a file's metadata holds them
NEVER_SATURATES = b"\n\x11aeinfer.saturates\x12\x05false"
PRECISION = re.compile(rb'\n\x11aeinfer\.precision\x12\x06"(fp32|fp16|int8)"')


def read_model(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises
    ------
    ModelError
        There is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a ValueError is of a name that no file can have
        raise ModelError(f"cannot read the model file {path}: {getattr(error, 'strerror', error)}") from error


def fingerprint_of(content: bytes) -> str:
    """Return the first 16 hex digits of a model file's sha256."""
    return hashlib.sha256(content).hexdigest()[:16]


def stated_precision(content: bytes) -> str | None:
    """Return the precision that a model file's facts state; None where they state none."""
    stated = PRECISION.search(content)
    return stated[1].decode("ascii") if stated else None


def never_saturates(content: bytes) -> bool:
    """Tell whether a model file's facts state that its int8 products stay within 16 bits."""
    return NEVER_SATURATES in content


def unusable(content: bytes, name: str, error: Exception) -> ModelError:
    """Return the error of a file that onnxruntime refused: it says what the file is instead of a model."""
    if not content:
        return ModelError(f"{name} is an empty file: expected an ONNX model")
    if content.startswith(b"version https://git-lfs"):
        return ModelError(f"{name} is a Git LFS pointer, not the model itself: run 'git lfs pull'")
    if text := _as_text(content[:512]):
        return ModelError(f"{name} is a text file (it begins with {text[:20]!r}): expected an ONNX model")
    said = str(error)
    if isinstance(error, UnicodeDecodeError) or not said:  # what it quotes of the file; Python 3.11.2 leaves it empty
        return ModelError(f"{name}: expected names and facts in UTF-8: the file is damaged")
    reason = said.splitlines()[0]
    if "rotobuf" in reason:
        return ModelError(f"{name} is damaged, truncated or no ONNX file at all: get it again ({reason})")
    if "External data" in reason:
        return ModelError(f"{name} has its weights in another file: save the model as one file")
    return ModelError(f"{name} cannot be used by onnxruntime: {reason}")


def _as_text(head: bytes) -> str:
    """Return the head of a text file as text; nothing if it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # its last character may be cut
    except UnicodeDecodeError:
        return ""
    return text if all(char.isprintable() or char.isspace() for char in text) else ""
