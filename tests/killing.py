"""Starts a job of `aeinfer` again and again and ends it at random moments, each time at the cost of a fork alone.

python -m tests.killing COUNT SEED SIGNALS WHOLE OUT ARGUMENT...

SIGNALS is a list such as KILL,INT. The job is first run undisturbed into the folder WHOLE, then signalled COUNT times
while it writes into OUT; whenever it has come to its end, OUT is compared with WHOLE and the job begins anew. Prints
JSON: exit codes by signal, and the names that were lost, stray or wrong.
"""

import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from aeinfer import cli


def start(arguments: list[str]) -> int:
    """Run the command in a child and return the child's id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = cli.main(arguments)
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)


def finish(arguments: list[str]) -> None:
    """Run the command to its end."""
    code = os.waitstatus_to_exitcode(os.waitpid(start(arguments), 0)[1])
    if code:
        raise RuntimeError(f"{arguments} left alone ended with {code}")


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a tree by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def disturb(count: int, seed: int, signals: list[str], whole: Path, out: Path, arguments: list[str]) -> dict[str, list]:
    """Signal the job `count` times and return what came of it."""
    rng = random.Random(seed)
    result: dict[str, list] = {"lost": [], "stray": [], "wrong": [], **{name: [] for name in signals}}
    began = time.perf_counter()
    finish([*arguments, "-o", str(whole)])
    longest = time.perf_counter() - began
    expected = contents(whole)
    for number in range(count):
        child = start([*arguments, "-o", str(out)])
        time.sleep(rng.uniform(0, longest))
        name = rng.choice(signals)
        os.kill(child, signal.Signals[f"SIG{name}"])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        result[name].append(code if code >= 0 else 128 - code)
        if code == 0 or number == count - 1:
            finish([*arguments, "-o", str(out)])
            found = contents(out)
            result["lost"] += expected.keys() - found.keys()
            result["stray"] += found.keys() - expected.keys()
            result["wrong"] += [name for name in expected.keys() & found.keys() if found[name] != expected[name]]
            shutil.rmtree(out)
    return result


def load(command: str) -> None:
    """Import and compile in this process, so that the children need not; starts no thread."""
    importlib.import_module(f"aeinfer.cli.{command}")
    if command == "noise":
        import cv2  # noqa: F401
        import numpy as np

        from aeinfer import kernels, noise

        for pixels in (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)):
            kernels.from_float(noise.add_gaussian(kernels.to_float(pixels), 5.0), pixels.dtype)


if __name__ == "__main__":
    count, seed, signals, whole, out, *arguments = sys.argv[1:]
    load(arguments[0])
    sys.stdout.write(
        json.dumps(disturb(int(count), int(seed), signals.split(","), Path(whole), Path(out), arguments)) + "\n"
    )
