"""Which file is loaded: what a model's name, a path or bytes stand for, and what bench found best for it here."""

import os
from dataclasses import dataclass
from pathlib import Path

from aeinfer import tuning
from aeinfer.errors import InputError, ModelError
from aeinfer.machine import machine_name
from aeinfer.model_bytes import fingerprint_of, read_model, stated_precision
from aeinfer.models import PRECISIONS, model_path, plain_stem
from aeinfer.session import backend
from aeinfer.threads import thread_count

__all__ = ["ModelFile", "find_model"]


@dataclass(frozen=True)
class ModelFile:
    """A model file that was read.

    Attributes
    ----------
    content : bytes
    path : Path or None
        None where the content was given.
    fingerprint : str
    tuned : tuning.Tuned or None
        What `aeinfer bench` found best for it on this machine.
    """

    content: bytes
    path: Path | None
    fingerprint: str
    tuned: tuning.Tuned | None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return str(self.path or "the model given as bytes")


def find_model(model: str | os.PathLike[str] | bytes, precision: str, device: str) -> ModelFile:
    """Read the file of a model, in a precision: both as in `AEInfer.load`.

    Raises
    ------
    InputError
        There is no such precision, or the model is neither a text, a path nor bytes.
    ModelError
        There is no such model, or none of that precision: the name of a file says which, and its facts have to agree.
    BackendMissingError, ProviderUnavailableError
        As in `session.backend`, where bench has measured this machine.
    """
    if precision not in ("auto", *PRECISIONS):
        raise InputError(f"precision is one of auto, {', '.join(PRECISIONS)}, got {precision!r}")
    if isinstance(model, bytes | bytearray | memoryview):
        path, content = None, bytes(model)
    elif not isinstance(model, str | os.PathLike):
        raise InputError(f"a model is a packaged name, a path or the bytes of a file, got {type(model).__name__}")
    else:
        path = _with_precision(model_path(model), precision)
        content = read_model(path)
        stated = stated_precision(content)
        if precision != "auto" and stated not in (None, precision):
            raise ModelError(
                f"{path} was asked for in {precision}, but its facts say {stated}: ask for that, or 'auto'"
            )
    fingerprint = fingerprint_of(content)
    family = tuning.recall(fingerprint, lambda: machine_name(backend(device), thread_count()))
    own = next((tuned for tuned in family if tuned.fingerprint == fingerprint), None)
    faster = tuning.faster(family, fingerprint) if own and precision == "auto" else None
    sibling = path and faster and _sibling(path, faster)
    return sibling or ModelFile(content, path, fingerprint, own)


def _with_precision(path: Path, precision: str) -> Path:
    """Return the sibling of that precision: what is asked for by name is taken, or its absence an error."""
    stem = plain_stem(path) + ("" if precision == "fp32" else f".{precision}")
    if precision == "auto" or path.stem == stem or not path.name:
        return path
    sibling = path.with_name(f"{stem}.onnx")
    if not os.path.isfile(sibling):
        raise ModelError(f"precision {precision!r} needs {sibling}, which does not exist; export it, or ask for 'auto'")
    return sibling


def _sibling(path: Path, tuned: tuning.Tuned) -> ModelFile | None:
    """Return the file beside an fp32 one that bench measured, if it is there and still the very same."""
    file = path.with_name(f"{path.stem}.{tuned.precision}.onnx")
    content = read_model(file) if path.stem == plain_stem(path) and os.path.isfile(file) else b""
    fingerprint = fingerprint_of(content)
    return ModelFile(content, file, fingerprint, tuned) if fingerprint == tuned.fingerprint else None
