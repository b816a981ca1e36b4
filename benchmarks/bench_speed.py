"""Speed of the packaged photo models beside OpenCV's non-local means: `python -m benchmarks.bench_speed`.

Rounds are interleaved (each method once per round); the ratio is the median of the rounds' ratios, so that a busy
machine slows all of them alike. MPix/s is that of the median round.
"""

from collections.abc import Callable

import numpy as np

from aeinfer import AEInfer
from aeinfer.models import packaged_models, precision_files
from benchmarks import results
from benchmarks.bench_quality import non_local_means
from benchmarks.timing import interleaved_seconds

ROUNDS = 7
SHAPE = (512, 768, 3)
THREADS = (1, 2)


def main() -> None:
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    megapixels = SHAPE[0] * SHAPE[1] / 1e6
    calls: dict[str, Callable[[], object]] = {
        "OpenCV non-local means": lambda: non_local_means(image / np.float32(255), 25)
    }
    for name, path in packaged_models().items():
        for precision, file in precision_files(path).items():
            for threads in THREADS:
                if (ae := AEInfer.load(file, threads=threads)).info.channels == 3:
                    calls[f"{name} {precision}, {threads} thread(s)"] = lambda ae=ae: ae(image)
    seconds = interleaved_seconds(calls, ROUNDS)
    base = seconds["OpenCV non-local means"]
    rows = [
        {
            "method": method,
            "mpix_per_s": round(megapixels / float(np.median(times)), 2),
            "ratio_to_nlm": round(float(np.median(base / times)), 2),
        }
        for method, times in seconds.items()
    ]
    results.save("speed", rows)


if __name__ == "__main__":
    main()
