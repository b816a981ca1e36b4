"""Timing on a shared machine: interleaved rounds, so that ratios hold where absolute times drift."""

import time
from collections.abc import Callable, Mapping

import numpy as np

THREADS = (1, 2)  # how many a network is timed with
SPIN_SECONDS = 0.1  # onnxruntime's threads may go on spinning for so long after a run, on the next call's core


def interleaved_seconds(
    calls: Mapping[str, Callable[[], object]], rounds: int, pause: float = 0.0
) -> dict[str, np.ndarray]:
    """Return the seconds of each call in each round, after one round that is not counted.

    `pause` is waited for before each call: threads that spin after one call's end are no longer in the next one's way.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            time.sleep(pause)
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return {name: np.array(times[1:]) for name, times in seconds.items()}
