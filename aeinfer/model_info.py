"""ModelInfo: the facts about a model, and their form in an ONNX file's metadata; no file is opened here."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NoReturn

from aeinfer.errors import ModelError

__all__ = ["SCHEMA", "ModelInfo", "info_from_metadata", "metadata_from_info"]

SCHEMA = 1
PREFIX = "aeinfer."
ASSUMED_STRIDE = 16
ASSUMED_HALO = 64
LEAST = {"channels": 1, "stride": 1, "halo": 0, "code": 0, "bytes_per_pixel": 1}
MOST = 1 << 20  # of any of them


@dataclass(frozen=True)
class ModelInfo:
    """What the runtime and its users need to know about one model file.

    Attributes
    ----------
    name, architecture : str
    channels : int
        1 (grey) or 3 (RGB).
    tile : int or None
        Side of the fixed window in pixels; None where height and width are free.
    stride : int
        Height and width are multiples of it.
    halo : int
        Context in pixels that a kept pixel needs on each side; 0 for a fixed window.
    code : int
        Numbers that all of an image goes through, where the network has such a bottleneck; 0 where it has not.
    halo_error : float
        Measured largest change, in 8-bit levels, when only `halo` pixels of context are given.
    precision : str
        "fp32", "int8" or "fp16".
    noise : str
        The noise it was trained on, sigma in 8-bit levels.
    bytes_per_pixel : int
        Measured growth of memory per pixel of a tile, network included.
    torch_error : float
        Largest difference from PyTorch found at export, in [0, 1] units.
    psnr : dict
        PSNR in dB per input, on data held out from training.
    saturates : bool
        int8: two products of an activation and a weight may together exceed 16 bits, so that x86 needs slower ones.
    calibration, training_data, training_license, commit, author, license : str
    fingerprint : str
        First 16 hex digits of the file's sha256; not part of the file itself.
    """

    name: str = "unnamed"
    architecture: str = "unknown"
    channels: int = 3
    tile: int | None = None
    stride: int = 1
    halo: int = 0
    code: int = 0
    halo_error: float = 0.0
    precision: str = "fp32"
    noise: str = "unknown"
    bytes_per_pixel: int = 400
    torch_error: float = 0.0
    psnr: dict[str, float] = field(default_factory=dict)
    saturates: bool = True
    calibration: str = ""
    training_data: str = ""
    training_license: str = ""
    commit: str = ""
    author: str = ""
    license: str = ""
    fingerprint: str = ""


OUTSIDE_PREFIX = {"author": "model_author", "license": "model_license"}


def metadata_from_info(info: ModelInfo) -> dict[str, str]:
    """Return the facts as ONNX metadata: JSON values under `aeinfer.`, and ONNX's own keys.

    Examples
    --------
    >>> metadata_from_info(ModelInfo(name="conv", channels=1))["aeinfer.channels"]
    '1'
    """
    facts = asdict(info)
    del facts["fingerprint"]
    metadata = {key: facts.pop(name) for name, key in OUTSIDE_PREFIX.items()}
    metadata |= {
        "Image.BitmapPixelFormat": "Rgb8" if info.channels == 3 else "Gray8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": "Normalized_0_1",
    }
    return metadata | {PREFIX + name: json.dumps(value) for name, value in {"schema": SCHEMA, **facts}.items()}


def info_from_metadata(
    metadata: Mapping[str, str], shape: Sequence[int | str | None], *, name: str, fingerprint: str
) -> ModelInfo:
    """Return the facts that a file states; what it does not state is inferred from its input's shape, with one warning.

    Parameters
    ----------
    metadata : mapping
        The file's own key-value pairs.
    shape : sequence of four
        The shape of the model's input, (N, C, H, W); free sides are names or None.
    name, fingerprint : str
        Name for a file that states none; the file's fingerprint.

    Raises
    ------
    ModelError
        The input is not (N, C, H, W) with 1 or 3 channels, or the facts are damaged, of a newer schema or another
        model's.
    """
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise ModelError(
            f"{name}: expected a model of images, input (N, 1 or 3, H, W), but its input has the shape {list(shape)}"
        )
    given = _stated(metadata, name)
    if missing := [key for key in ("channels", "tile", "stride", "halo") if key not in given]:
        given |= _assumed(missing, shape, name)
    _check_whole(given, LEAST if given["tile"] is None else {**LEAST, "tile": 1}, name)
    _check_input(given, shape, name)
    return ModelInfo(**{"name": name} | given | {"fingerprint": fingerprint})


def _stated(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the facts that the metadata hold, by their names in `ModelInfo`."""
    try:
        facts = {
            key[len(PREFIX) :]: json.loads(value, parse_constant=_refuse, parse_float=_finite)
            for key, value in metadata.items()
            if key.startswith(PREFIX)
        }
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name}: its aeinfer facts are damaged ({error}); export it again") from error
    schema = facts.pop("schema", SCHEMA)
    _check_whole({"schema": schema}, {"schema": 1}, name)
    if schema > SCHEMA:
        raise ModelError(f"{name}: its facts are of schema {schema}, newer than {SCHEMA}: update aeinfer to read them")
    known = {f.name for f in fields(ModelInfo)}
    stated = {key: value for key, value in facts.items() if key in known}
    return stated | {fact: metadata[key] for fact, key in OUTSIDE_PREFIX.items() if key in metadata}


def _check_input(given: Mapping[str, Any], shape: Sequence[int | str | None], name: str) -> None:
    """Refuse facts that are not of a model with this input."""
    if given["channels"] != shape[1]:
        raise ModelError(
            f"{name}: its facts say {given['channels']} channels, its input has {shape[1]}; export it again"
        )
    if shape[0] != 1 and isinstance(shape[0], int):
        raise ModelError(f"{name}: expected a batch of any size or of 1, but its input has {shape[0]}; export it again")
    if any(isinstance(side, int) and side != given["tile"] for side in shape[2:]):
        window = given["tile"] or "any size"
        raise ModelError(
            f"{name}: its facts say images of {window}, its input has {shape[2]}x{shape[3]}; export it again"
        )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is more than a float holds")
    return value


def _check_whole(facts: Mapping[str, Any], least: Mapping[str, int], name: str) -> None:
    for key, bound in least.items():
        if key in facts and (type(facts[key]) is not int or not bound <= facts[key] <= MOST):
            raise ModelError(f"{name}: its aeinfer facts are damaged, {key} is {facts[key]!r}; export it again")


def _assumed(missing: Sequence[str], shape: Sequence[int | str | None], name: str) -> dict[str, Any]:
    """Return the missing facts as the input's shape suggests them, and warn."""
    height, width = shape[2], shape[3]
    if isinstance(height, int) or isinstance(width, int):
        if height != width:
            raise ModelError(f"{name}: expected free sides or a square window, but its input is {height}x{width}")
        facts = {"channels": shape[1], "tile": height, "stride": 1, "halo": 0}
    else:
        facts = {"channels": shape[1], "tile": None, "stride": ASSUMED_STRIDE, "halo": ASSUMED_HALO}
    facts = {key: facts[key] for key in missing}
    assumed = ", ".join(f"{key}={value}" for key, value in facts.items())
    message = f"{name} does not state all aeinfer facts; assumed from its input: {assumed}"
    warnings.warn(message, UserWarning, stacklevel=6)  # the caller of AEInfer.load
    return facts
