"""What starting costs: `import aeinfer`, and the first image of `aeinfer denoise one.png`, in fresh processes.

Kernels compiled before are there, as after a first run, and bytecode, as after an install. `python -m
benchmarks.bench_import` measures also what numba costs, and the CPU time of a streamed frame.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from aeinfer.models import packaged_models
from benchmarks import results
from benchmarks.goals import at_most
from benchmarks.timing import interleaved_seconds

ROUNDS = 9
SMALL = 96  # pixels a side
ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "photos" / "noisy" / "canyon-wren.png"
BARE = """
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import cv2, onnxruntime
onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
"""

KERNEL = """
from time import perf_counter as now
import numpy as np
from aeinfer import kernels
image, tiles, zero = np.zeros((64, 64, 3), np.uint8), np.empty((1, 3, 64, 64), np.float32), np.zeros((1, 2), int)
begin = now()
kernels.load_loops()
imported = now()
kernels.gather_tiles(image, zero, tiles)
print(imported - begin, now() - imported)
"""
FRAMES, RATE = 90, 30
STREAM = f"""
import time
import numpy as np
from aeinfer import AEInfer
def frames():
    begin = time.perf_counter()
    for n in range({FRAMES}):
        time.sleep(max(0, begin + n / {RATE} - time.perf_counter()))
        yield image
image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
with AEInfer.load("photo-fast", spinning=SPINNING) as ae:
    ae.warmup(image.shape)
    begin = time.process_time()
    for _ in ae.stream(frames()):
        pass
    print((time.process_time() - begin) / {FRAMES}, np.median(ae.stats.latencies_ms) / 1e3)
"""


def printed(*arguments: str, **more: str) -> str:
    """Run a fresh interpreter to its end, and return what it printed."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path} | more
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True, text=True)
    return done.stdout


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
    calls = {
        "numpy": partial(printed, "-c", "import numpy"),
        "aeinfer": partial(printed, "-c", "import numpy, aeinfer"),
    }
    yield import_goal(interleaved_seconds(calls, ROUNDS))
    with tempfile.TemporaryDirectory() as folder:
        calls = {"bare": partial(printed, "-c", BARE.format(model=str(packaged_models()["photo"])))}
        example = cv2.imread(str(EXAMPLE))
        for image in (example[:SMALL, :SMALL], example):
            name = f"{image.shape[1]}x{image.shape[0]}"
            source = Path(folder, f"{name}.png")
            cv2.imwrite(str(source), image)
            target = ["-o", str(Path(folder, f"{name}-denoised.png")), "--on-exist", "overwrite"]
            calls[name] = partial(printed, "-m", "aeinfer", "denoise", str(source), *target)
        seconds = interleaved_seconds(calls, ROUNDS)
        yield from (first_image_goal(name, seconds) for name in calls if name != "bare")


def costs() -> Iterator[results.Row]:
    """Yield what numba and spinning threads cost, without a bound."""
    with tempfile.TemporaryDirectory() as cache:
        for state in ("compiled now", "kept before"):
            imported, called = map(float, printed("-c", KERNEL, NUMBA_CACHE_DIR=f"{cache}/one").split())
            yield cost(f"the first kernel, {state}: its first call", called)
            begin = time.perf_counter()
            printed("-m", "aeinfer", "warmup", NUMBA_CACHE_DIR=f"{cache}/all")
            yield cost(f"aeinfer warmup, kernels {state}", time.perf_counter() - begin)
        yield cost("import numba", imported)
    for spinning in (True, None, False):
        cpu, latency = map(float, printed("-c", STREAM.replace("SPINNING", repr(spinning))).split())
        yield cost(f"CPU for a frame of 640x360 at {RATE} frames/s, spinning={spinning}", cpu)
        yield cost(f"from reading such a frame to its delivery, spinning={spinning}", latency)


def cost(what: str, seconds: float) -> results.Row:
    return {"what": what, "figure": round(seconds * 1e3, 2), "unit": "ms"}


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.bench_import", description=__doc__).parse_args()
    results.save("import", [*goals(), *costs()])


if __name__ == "__main__":
    main()
