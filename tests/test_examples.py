"""The example programs run."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

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
