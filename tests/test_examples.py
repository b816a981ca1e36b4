"""The example programs run, and the pictures beside them stay where they cannot be made again."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts import make_examples

CAMERA = Path(__file__).parents[1] / "examples" / "camera.py"


def test_camera_denoises_a_video_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in (60, 120, 180):
        writer.write(np.full((48, 64, 3), (level, 40, 200), np.uint8))
    writer.release()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["camera.py", str(clip)])
    runpy.run_path(str(CAMERA), run_name="__main__")
    assert "3 frames" in capsys.readouterr().out
    last = cv2.imread("last-frame.png")
    assert np.abs(last.astype(int) - (180, 40, 200)).mean() < 6  # the channels are not swapped


@pytest.mark.parametrize("photos", [False, True])
def test_examples_stay_where_they_cannot_be_made(
    photos: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    """For want of the photographs, or of the digits."""
    kept = tmp_path / "photos" / "clean" / "kept.png"
    kept.parent.mkdir(parents=True)
    kept.touch()
    for name in make_examples.PHOTOS if photos else ():
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr(make_examples, "EXAMPLES", tmp_path)
    said = complaint(make_examples.main, "--photos", tmp_path, "--digits", tmp_path)
    assert ("expected t10k-images" if photos else "cannot read") in said
    assert kept.exists()
