"""Every case that fuzzing has kept, and a few by hand, given to what was fuzzed: results or the promised errors."""

import re
from pathlib import Path

import pytest

from aeinfer.errors import InputError
from aeinfer.image import read_image, write_image
from aeinfer.opencv import quiet_opencv
from aeinfer.tiff_tags import read_orientation
from benchmarks.fuzz_targets import PIXELS, TARGETS, kept_cases
from benchmarks.seeds import _icc


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("default")  # of tifffile's reading
def test_kept_cases_keep_the_promise(target: str) -> None:
    quiet_opencv()
    cases = kept_cases(target)
    assert len(cases) >= 10
    for name, content in cases.items():
        try:
            TARGETS[target](content)
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error


def test_a_target_notices_what_is_not_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fuzz_targets.read_pages", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        TARGETS["image"](b"anything")


def test_what_is_jitted_is_not_instrumented() -> None:
    root = Path(__file__).parents[2]
    jitted = {f"aeinfer.{room.stem}" for room in (root / "aeinfer").glob("*.py") if "\n@jit" in room.read_text()}
    assert set(re.findall(r'"(aeinfer\.\w+)"', (root / "benchmarks/fuzz_worker.py").read_text())) == jitted


@pytest.mark.parametrize("suffix", ["avif", "png", "webp", "jpg", "tiff"])
def test_damaged_blocks_do_not_cost_the_picture(suffix: str, tmp_path: Path) -> None:
    quiet_opencv()
    blocks = {"exif": b"no EXIF", "icc": b"no profile", "xmp": b"\xff\x00"}
    lost = write_image(tmp_path / f"picture.{suffix}", PIXELS, metadata=blocks)
    assert lost <= blocks.keys()
    assert (tmp_path / f"picture.{suffix}").stat().st_size > 0


def test_a_resolution_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="300 300 inch"):
        write_image(tmp_path / "picture.png", PIXELS, metadata={"resolution": b"much"})
    assert not list(tmp_path.iterdir())


def test_an_orientation_counts_whatever_its_table_says_of_a_next() -> None:
    """OpenCV and viewers read the first table alone: a picture was turned twice."""
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\xfe\0"
    assert read_orientation(exif) == 6


def test_an_avif_that_opencv_would_not_know_again_is_written_without_a_block(tmp_path: Path) -> None:
    """It looks at the first 500 bytes, and takes boxes that end just there for no AVIF."""
    quiet_opencv()
    for length in range(128, 148, 4):
        profile = length.to_bytes(4, "big") + _icc()[4:] + bytes(max(0, length - 132))
        lost = write_image(
            tmp_path / "picture.avif", PIXELS, metadata={"icc": profile[:length], "xmp": b"<x:xmpmeta/>"}
        )
        assert lost < {"icc", "xmp"}
        assert len(read_image(tmp_path / "picture.avif").metadata) == 2 - len(lost)
