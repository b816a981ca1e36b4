"""Peak memory of `aeinfer denoise` on one 6000x4000 photograph: `python -m benchmarks.bench_memory` (Linux, macOS).

The picture is a JPEG made of a shipped example, enlarged. The peak is that of the whole process, files included.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from benchmarks import results

SIZE = (6000, 4000)
EXAMPLE = Path(__file__).parents[1] / "examples" / "photos" / "noisy" / "canyon-wren.png"
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "large.jpg")
        cv2.imwrite(str(source), cv2.resize(cv2.imread(str(EXAMPLE)), SIZE, interpolation=cv2.INTER_LINEAR))
        for limit in (300, None):  # the smaller first
            options = ["--max-memory", str(limit)] if limit else []
            command = [sys.executable, "-m", "aeinfer", "denoise", str(source), "-o", f"{folder}/{limit}.png", *options]
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * UNIT / 1e6
            rows.append(
                {
                    "image": "6000x4000 JPEG to PNG",
                    "max_memory_mb": limit,
                    "peak_mb_so_far": round(peak),  # of this run and those before it: the system keeps the maximum
                    "seconds": round(time.perf_counter() - begin, 1),
                }
            )
            print(rows[-1], flush=True)
    results.save("memory", rows)


if __name__ == "__main__":
    main()
