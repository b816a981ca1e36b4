"""Peak memory of `aeinfer denoise` on one 6000x4000 photograph: `python -m benchmarks.bench_memory` (Linux, macOS).

The picture is a JPEG made of a shipped example, enlarged. The peak is that of the whole process, files included.
"""

import argparse
import os
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
    argparse.ArgumentParser(prog="python -m benchmarks.bench_memory", description=__doc__).parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "large.jpg")
        cv2.imwrite(str(source), cv2.resize(cv2.imread(str(EXAMPLE)), SIZE, interpolation=cv2.INTER_LINEAR))
        for limit in (None, 200):
            options = ["--max-memory", str(limit)] if limit else []
            command = [sys.executable, "-m", "aeinfer", "denoise", str(source), "-o", f"{folder}/{limit}.png", *options]
            begin = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _pid, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"aeinfer denoise failed with {os.waitstatus_to_exitcode(status)}")
            rows.append(
                {
                    "command": " ".join(["aeinfer denoise", *options]),
                    "peak_mb": round(usage.ru_maxrss * UNIT / 1e6),
                    "seconds": round(time.perf_counter() - begin, 1),
                }
            )
    results.save("memory", rows)


if __name__ == "__main__":
    main()
