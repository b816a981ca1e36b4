"""What starting costs: `import aeinfer`, and the first image of `aeinfer denoise one.png`, in fresh processes.

`python -m benchmarks.bench_import` prints the goals; kernels compiled before are there, as after a first run.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from aeinfer.models import packaged_models
from benchmarks import results
from benchmarks.goals import at_most
from benchmarks.timing import interleaved_seconds

ROUNDS = 9
SMALL = 96  # pixels a side
EXAMPLE = Path(__file__).parents[1] / "examples" / "photos" / "noisy" / "canyon-wren.png"
BARE = """
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import cv2, onnxruntime
onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
"""


def python(*arguments: str) -> Callable[[], None]:
    """A call that runs a fresh interpreter to its end."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def call() -> None:
        subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)

    return call


def import_goal(seconds: Mapping[str, np.ndarray]) -> results.Row:
    """What `import aeinfer` adds to numpy's, in the median of the rounds' differences."""
    added = np.median(seconds["aeinfer"] - seconds["numpy"]) * 1e3
    return at_most("import aeinfer, over numpy alone", float(added), 30, "ms")


def first_image_goal(name: str, seconds: Mapping[str, np.ndarray]) -> results.Row:
    """The command on one image over a process that imports the libraries and makes the session."""
    ratio = np.median(seconds[name] / seconds["bare"])
    return at_most(f"aeinfer denoise one.png, {name}, over imports and session alone", float(ratio), 1.3)


def goals() -> Iterator[results.Row]:
    """Yield the goals of starting."""
    calls = {"numpy": python("-c", "import numpy"), "aeinfer": python("-c", "import numpy, aeinfer")}
    yield import_goal(interleaved_seconds(calls, ROUNDS))
    with tempfile.TemporaryDirectory() as folder:
        calls = {"bare": python("-c", BARE.format(model=str(packaged_models()["photo"])))}
        example = cv2.imread(str(EXAMPLE))
        for image in (example[:SMALL, :SMALL], example):
            name = f"{image.shape[1]}x{image.shape[0]}"
            source = Path(folder, f"{name}.png")
            cv2.imwrite(str(source), image)
            target = ["-o", str(Path(folder, f"{name}-denoised.png")), "--on-exist", "overwrite", "--threads", "1"]
            calls[name] = python("-m", "aeinfer", "denoise", str(source), *target)
        seconds = interleaved_seconds(calls, ROUNDS)
        yield from (first_image_goal(name, seconds) for name in calls if name != "bare")


if __name__ == "__main__":
    for row in goals():
        results.show(row)
