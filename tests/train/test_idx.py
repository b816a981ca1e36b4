"""Tests of train.idx: every spelling is read, every kind of damage is refused with a way out."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from aeinfer.errors import InputError
from train import idx
from train.idx import KNOWN_SHA256, find_idx, name_known_set, read_digits, read_unpacked

RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 5, dtype=np.uint8)


def encode(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_set(folder: Path, *, prefix: str = "train", packed: bool = True, dotted: bool = False) -> None:
    for part, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        name = f"{prefix}-{part}-ubyte"
        name = name.replace("-idx", ".idx") if dotted else name
        content = encode(array)
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_reads_every_spelling(tmp_path: Path, split: str, prefix: str, packed: bool, dotted: bool) -> None:
    write_set(tmp_path, prefix=prefix, packed=packed, dotted=dotted)
    images, labels = read_digits(tmp_path, split, verify=False)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert images.dtype == labels.dtype == np.uint8
    assert images.flags.writeable
    assert labels.flags.writeable


def test_content_and_not_the_name_says_whether_it_is_gzip(tmp_path: Path) -> None:
    write_set(tmp_path)
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.write_bytes(encode(IMAGES))  # a browser that unpacks on the way keeps the name
    np.testing.assert_array_equal(read_digits(str(tmp_path), "train", verify=False)[0], IMAGES)


def test_missing_folder_and_empty_folder_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such folder.*train\.fetch mnist"):
        read_digits(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match=r"expected train-images-idx3-ubyte.*train\.fetch mnist"):
        read_digits(tmp_path, "train")
    assert find_idx(tmp_path, "train-images-idx3-ubyte") is None


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'train' or 'test'"):
        read_digits(tmp_path, "validation")  # type: ignore[arg-type]


DAMAGE = {
    "pixels missing": (encode(IMAGES)[:-1], r"promises 5 x 28 x 28 = 3920 bytes, found 3919"),
    "bytes left over": (encode(IMAGES) + b"\0", r"found 3921"),
    "header cut": (encode(IMAGES)[:9], r"cut short inside its 16-byte header"),
    "empty": (b"", r"an empty file"),
    "labels under the images' name": (encode(LABELS), r"3 dimensions .*found 00000801"),
    "text": (b"<html>not found</html>", r"found 3c68746d"),
    "another element type": (b"\0\0\x0d\x03" + encode(IMAGES)[4:], r"found 00000d03"),
    "gzip cut": (gzip.compress(encode(IMAGES))[:-20], r"damaged or cut short.*fetch the file again"),
    "gzip flipped": (gzip.compress(encode(IMAGES))[:-6] + b"\xff" * 6, r"damaged or cut short"),
    "gzip noise": (b"\x1f\x8b\x08\0\0\0\0\0\0\0" + b"\xff" * 40, r"damaged or cut short"),
    "not 28 x 28": (encode(IMAGES[:, :14]), r"28x28 pixels, found 14x28"),
    "one image less": (encode(IMAGES[:4]), r"4 images but 5 labels"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write_set(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_digits(tmp_path, "train", verify=False)


def test_header_that_promises_terabytes_allocates_nothing(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(struct.pack(">4I", 0x803, *[2**32 - 1] * 3))
    with pytest.raises(InputError, match="promises"):
        read_digits(tmp_path, "train", verify=False)


def test_unknown_content_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    write_set(tmp_path)
    with pytest.raises(InputError, match=r"checksum of the images .*mnist, fashion-mnist.*verify=False"):
        read_digits(tmp_path, "train")


def known_set(images: np.ndarray, labels: np.ndarray) -> dict[str, str]:
    names = {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels}
    return {name: hashlib.sha256(encode(array)).hexdigest() for name, array in names.items()}


def test_known_content_is_accepted_and_one_flipped_bit_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "KNOWN_SHA256", {"tiny": known_set(IMAGES, LABELS)})
    write_set(tmp_path)
    np.testing.assert_array_equal(read_digits(tmp_path, "train")[0], IMAGES)
    flipped = LABELS.copy()
    flipped[0] ^= 1
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(encode(flipped))
    with pytest.raises(InputError, match="checksum of the labels"):
        read_digits(tmp_path, "train")


def test_images_of_one_set_beside_labels_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"tiny": known_set(IMAGES, LABELS[::-1]), "other": known_set(IMAGES[::-1], LABELS)}
    monkeypatch.setattr(idx, "KNOWN_SHA256", tables)
    write_set(tmp_path)
    with pytest.raises(InputError, match="images of tiny beside labels of other"):
        read_digits(tmp_path, "train")


def test_unreadable_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_unpacked(tmp_path / "absent")


def test_table_of_known_sets_is_whole() -> None:
    names = {f"{prefix}-{part}-ubyte" for prefix in ("train", "t10k") for part in ("images-idx3", "labels-idx1")}
    digests = [digest for files in KNOWN_SHA256.values() for digest in files.values()]
    assert all(set(files) == names for files in KNOWN_SHA256.values())
    assert len(set(digests)) == len(digests)
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)
    assert name_known_set("train-images-idx3-ubyte", b"") is None
