"""Files of codes (.npz): the numbers that images went through, their names, and which model's they are; runs nothing.

The arrays in it are plain numpy ones: `codes` (N, ...) float32, `names` (N,) text, and the texts `model`, `precision`
and `fingerprint`.
"""

import io
import os
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from aeinfer.atomic import write_whole
from aeinfer.errors import InputError, ModelError
from aeinfer.model_info import ModelInfo

__all__ = ["Codes", "read_codes", "write_codes"]

DAMAGED = (
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    AttributeError,
    RuntimeError,  # one bit says that a member is encrypted
    OSError,  # and one that it is packed by bzip2
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Codes:
    """What a file of codes holds, under these names.

    Attributes
    ----------
    codes : (N, ...) float32
    names : (N,) text
        The images' names, relative to the folder they came from, with forward slashes.
    model, precision, fingerprint : str
        Of the model file that encoded them; the fingerprint decides.
    """

    codes: NDArray[np.float32]
    names: NDArray[np.str_]
    model: str
    precision: str
    fingerprint: str

    def check_model(self, info: ModelInfo) -> None:
        """Refuse another model than the one that encoded: its decoder would make noise of these numbers.

        Raises
        ------
        ModelError
            It is another file.
        """
        if info.fingerprint != self.fingerprint:
            raise ModelError(
                f"these codes are of {self.model} {self.precision}, file {self.fingerprint}, but the model given is "
                f"{info.name} {info.precision}, file {info.fingerprint}; decode with the file that encoded"
            )


def write_codes(path: Path, codes: Codes) -> None:
    """Write a file of codes, whole or not at all.

    Raises
    ------
    OSError
        The disk refused; the message names the file.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **vars(codes))
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror}") from error


def read_codes(path: Path) -> Codes:
    """Read a file of codes; no code in it is run, and its names lead nowhere outside of a folder.

    Raises
    ------
    InputError
        The file is missing, damaged or no file of codes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            held = {field.name: file[field.name] for field in fields(Codes)}
    except DAMAGED as error:
        raise InputError(
            f"{path}: expected a file of codes as aeinfer encode writes it, found another or damage"
        ) from error
    codes, names = held.pop("codes"), held.pop("names")
    if (
        codes.dtype != np.float32
        or codes.ndim < 2
        or names.shape != codes.shape[:1]
        or any(text.dtype.kind != "U" for text in (names, *held.values()))
    ):
        raise InputError(
            f"{path}: expected float32 codes (N, ...) and N names, "
            f"found {codes.dtype} {codes.shape} and {names.dtype} {names.shape}; encode again"
        )
    if outside := [name for name in names.tolist() if not _is_inside(name)]:
        raise InputError(f"{path}: a name in it, {outside[0]!r}, is of no file within a folder on this system")
    return Codes(codes, names, **{key: str(text) for key, text in held.items()})


def _is_inside(name: str, system: type[PurePath] = PureWindowsPath if os.name == "nt" else PurePosixPath) -> bool:
    path = system(name)
    forbidden = "\0:" if system is PureWindowsPath else "\0"
    return bool(path.parts) and not path.anchor and ".." not in path.parts and not set(forbidden) & set(name)
