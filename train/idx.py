"""Reads digits from a folder of IDX files, plain or gzip, and knows the genuine ones by checksum; downloads nothing."""

import gzip
import hashlib
import zlib
from math import prod
from pathlib import Path
from typing import Final, Literal

import numpy as np

from aeinfer.errors import InputError

__all__ = ["KNOWN_SHA256", "find_idx", "name_known_set", "read_digits", "read_unpacked", "unpack"]

# sha256 of the unpacked content: gzip stores a time and a name, so packed files of one content differ.
KNOWN_SHA256: Final[dict[str, dict[str, str]]] = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}

_PREFIX: Final = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE: Final = 0x08


def read_digits(
    folder: Path | str, split: Literal["train", "test"], *, verify: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and labels of one split from a folder of IDX files.

    Parameters
    ----------
    folder
        Holds e.g. ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, each plain or ``.gz``;
        ``train-images.idx3-ubyte`` is understood too.
    split
        ``"train"`` or ``"test"`` (the ``t10k`` files).
    verify
        Refuse content that is not, bit for bit, a set of `KNOWN_SHA256`. False accepts any 28x28 set.

    Returns
    -------
    images : uint8 array (N, 28, 28), 0 is paper and 255 is ink
    labels : uint8 array (N,)

    Raises
    ------
    InputError
        A file is missing, damaged, of another kind or shape, or not of a known set.

    Examples
    --------
    >>> images, labels = read_digits("data/mnist", "train")  # doctest: +SKIP
    >>> images.shape, labels.shape  # doctest: +SKIP
    ((60000, 28, 28), (60000,))
    """
    if split not in _PREFIX:
        raise InputError(f"split must be 'train' or 'test', not {split!r}")
    image_name, label_name = f"{_PREFIX[split]}-images-idx3-ubyte", f"{_PREFIX[split]}-labels-idx1-ubyte"
    image_path, label_path = _require(Path(folder), image_name), _require(Path(folder), label_name)
    image_bytes, label_bytes = read_unpacked(image_path), read_unpacked(label_path)
    images, labels = _parse(image_bytes, image_path, ndim=3), _parse(label_bytes, label_path, ndim=1)
    if images.shape[1:] != (28, 28):
        raise InputError(f"{image_path}: expected images of 28x28 pixels, found {images.shape[1]}x{images.shape[2]}")
    if len(images) != len(labels):
        raise InputError(
            f"{folder}: {len(images)} images but {len(labels)} labels; the two files are of different sets"
        )
    if verify:
        _verify_pair(image_path, name_known_set(image_name, image_bytes), name_known_set(label_name, label_bytes))
    return images, labels


def find_idx(folder: Path, name: str) -> Path | None:
    """Return the file that holds `name` (canonical, e.g. ``t10k-images-idx3-ubyte``) in any spelling, or None."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / f"{spelling}.gz", folder / spelling):
            if path.is_file():
                return path
    return None


def read_unpacked(path: Path) -> bytes:
    """Return the content of a plain or gzip file.

    Raises
    ------
    InputError
        The gzip data is damaged or cut short, or the file cannot be read.
    """
    try:
        return unpack(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def unpack(content: bytes, origin: str) -> bytes:
    """Return gzip content unpacked and any other as it is; the first bytes decide, not the name.

    Raises
    ------
    InputError
        The gzip data is damaged or cut short; the message begins with `origin`.
    """
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{origin}: the gzip data is damaged or cut short ({error}); fetch the file again") from error


def name_known_set(name: str, content: bytes) -> str | None:
    """Return the set (``"mnist"``, ``"fashion-mnist"``) whose file `name` has this unpacked content, or None."""
    digest = hashlib.sha256(content).hexdigest()
    return next((known for known, files in KNOWN_SHA256.items() if files[name] == digest), None)


def _require(folder: Path, name: str) -> Path:
    path = find_idx(folder, name)
    if path is not None:
        return path
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; `python -m train.fetch mnist --to {folder}` makes it")
    raise InputError(
        f"{folder}: expected {name} or {name}.gz, found neither; "
        f"point to the folder that holds the IDX files or run `python -m train.fetch mnist --to {folder}`"
    )


def _parse(content: bytes, path: Path, ndim: int) -> np.ndarray:
    """Check the header (two zeros, type, dimensions, one big-endian size for each) and return the uint8 array."""
    expected = bytes([0, 0, _UNSIGNED_BYTE, ndim])
    if content[:4] != expected:
        raise InputError(
            f"{path}: expected an IDX file of bytes in {ndim} dimensions (it starts with {expected.hex()}), "
            f"found {content[:4].hex() or 'an empty file'}; is it the right file under this name?"
        )
    header = 4 + 4 * ndim
    if len(content) < header:
        raise InputError(f"{path}: cut short inside its {header}-byte header; fetch the file again")
    shape = tuple(int(side) for side in np.frombuffer(content, dtype=">u4", count=ndim, offset=4))
    if len(content) != header + prod(shape):
        raise InputError(
            f"{path}: its header promises {' x '.join(map(str, shape))} = {prod(shape)} bytes, "
            f"found {len(content) - header}; fetch the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape).copy()


def _verify_pair(image_path: Path, image_set: str | None, label_set: str | None) -> None:
    known = ", ".join(KNOWN_SHA256)
    if image_set is None or label_set is None:
        what = "images" if image_set is None else "labels"
        raise InputError(
            f"{image_path.parent}: the checksum of the {what} is none of the known sets ({known}); "
            f"fetch the files again, or accept a set of your own with --no-verify (verify=False)"
        )
    if image_set != label_set:
        raise InputError(
            f"{image_path.parent}: images of {image_set} beside labels of {label_set}; keep one set a folder"
        )
