"""A worker process with a cap on its memory and its time: what it does to itself is seen from outside, and it goes on.

The worker lives through many cases; it is started again after a crash or a hang, so that every case is attributable.
"""

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

from benchmarks.status import used_bytes

Job = Callable[[Any], str]
SECONDS = 10.0


class Cage:
    """Runs `job(case)` in another process and returns the word it gives, or "crashed ..." or "hung".

    Parameters
    ----------
    make_job : callable
        Importable by name; called once in each new worker, returns the job.
    memory_mb : int
        What the worker may add to the memory it has once the job is made.
    seconds : float
        Longest time for one case.
    """

    def __init__(self, make_job: Callable[[], Job], memory_mb: int, seconds: float = SECONDS) -> None:
        self.make_job, self.memory_mb, self.seconds = make_job, memory_mb, seconds
        self.context = multiprocessing.get_context("spawn")
        self.worker: Any = None
        self.pipe: Any = None
        self.starts = 0

    def run(self, case: Any) -> str:
        if self.worker is None:
            self._start()
        self.pipe.send(case)
        try:
            if self.pipe.poll(self.seconds):
                return str(self.pipe.recv())
            verdict = "hung"
        except (EOFError, ConnectionResetError):
            self.worker.join()
            verdict = f"crashed with {self.worker.exitcode}"
        self._stop()
        return verdict

    def _start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.worker = self.context.Process(target=_work, args=(theirs, self.make_job, self.memory_mb), daemon=True)
        self.worker.start()
        theirs.close()
        if not self.pipe.poll(120) or self.pipe.recv() != "ready":
            raise RuntimeError("the worker did not start")
        self.starts += 1

    def _stop(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.join()
            self.pipe.close()
            self.worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop()


def _work(pipe: Connection, make_job: Callable[[], Job], memory_mb: int) -> None:
    job = make_job()
    used = used_bytes("VmData")  # private and writable: what this limit counts
    resource.setrlimit(resource.RLIMIT_DATA, (used + (memory_mb << 20), resource.RLIM_INFINITY))
    pipe.send("ready")
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        pipe.send(job(case))
