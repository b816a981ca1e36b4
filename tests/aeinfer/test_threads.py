"""Threads and processes: one instance or several from many threads, forked, spawned and pickled; nothing hangs.

Whatever may hang runs in a process of its own that is killed after a minute.
"""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aeinfer
from aeinfer import AEInfer
from aeinfer.errors import ProviderUnavailableError
from aeinfer.forking import call_in_children
from aeinfer.session import Session
from tests.documented import documented
from tests.pictures import pixels_of

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
counts_threads = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the threads are counted in /proc")

PATIENCE = 60


def run_python(program: str, *arguments: object) -> str:
    """Run a program that may hang, and return what it printed; what it started ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", START + program, *map(str, arguments)],
        cwd=Path(aeinfer.__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, complaints = process.communicate(timeout=PATIENCE)
    finally:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate()
    assert (process.returncode, complaints) == (0, "")
    return printed


START = """
import os, sys, threading, warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
import numpy as np
from aeinfer import AEInfer

warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)  # said of every fork, from Python 3.12 on
image = np.random.default_rng(0).integers(0, 256, (160, 210, 3), dtype=np.uint8)
ae = AEInfer.load(sys.argv[1], threads=int(sys.argv[2]), tile=64)
expected = ae(image)

def right(*_):
    return np.array_equal(ae(image), expected)

def end_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


# Threads


def test_several_instances_from_eight_threads(tiny_model: Path, tiny_grey: Path, tiny_window: Path) -> None:
    images = [pixels_of((24 + i, 40 - i, 3), seed=i) for i in range(8)]
    models = [AEInfer.load(path, threads=2, tile=16) for path in (tiny_model, tiny_grey, tiny_window)]
    work = [(ae, image) for image in images for ae in models]
    expected = [ae(image) for ae, image in work]
    with ThreadPoolExecutor(8) as pool:
        for clean, single in zip(pool.map(lambda pair: pair[0](pair[1]), work * 2), expected * 2, strict=True):
            np.testing.assert_array_equal(clean, single)
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    assert [(ae.stats.images, ae.stats.pixels) for ae in models] == [(3 * 8, 3 * pixels)] * 3


@pytest.mark.parametrize("model", ["photo-fast", "photo"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_any_number_of_threads_gives_the_same_bits(model: str, precision: str) -> None:
    """A job that was stopped goes on with the same bytes, whoever is beside a picture then."""
    pixels = pixels_of((150, 202, 3))
    results = [AEInfer.load(model, precision=precision, threads=threads)(pixels) for threads in (1, 2, 3)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


COUNT = """
import time

def threads():
    return len(os.listdir("/proc/self/task"))

# a thread that was joined is listed for a moment more, and the call above had a second one
before = min(threads() for _ in range(100) if not time.sleep(0.01))
others = [AEInfer.load(sys.argv[1], threads=3, tile=64) for _ in range(3)]
loaded = threads()
most = []
def work(n):
    others[n % 3](image)
    most.append(threads())
with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(48)))
print(loaded - before, max(most) - loaded <= 8)
for each in others:
    each.close()
deadline = time.monotonic() + 10  # the same
while threads() > before and time.monotonic() < deadline:
    time.sleep(0.01)
print(threads() - before)
"""


def test_the_pages_service() -> None:
    names: dict[str, Any] = {}
    exec(documented("services.md", "asyncio"), names)

    async def serve() -> list[np.ndarray]:
        return await asyncio.gather(*map(names["clean"], images))

    images = [pixels_of((40, 50, 3), seed=seed) for seed in range(3)]
    for image, clean in zip(images, asyncio.run(serve()), strict=True):
        np.testing.assert_array_equal(clean, names["ae"](image))
    names["ae"].close()


def test_the_pages_service_takes_files() -> None:
    cv2 = pytest.importorskip("cv2")
    names: dict[str, Any] = {}
    exec(documented("services.md", "bytes"), names)
    image = pixels_of((40, 50, 3))
    body = names["clean_file"](cv2.imencode(".png", image)[1].tobytes())
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR), names["ae"](image))
    with pytest.raises(ValueError, match="not an image"):
        names["clean_file"](b"hello")
    names["ae"].close()


@counts_threads
def test_an_instance_has_its_threads_once_whoever_calls(tiny_model: Path) -> None:
    """Three instances of three threads, one of which is the caller, and eight callers: 6 + 8, not 3 * 3 * 8."""
    assert run_python(COUNT, tiny_model, 2) == "6 True\n0\n"


@pytest.mark.parametrize(
    ("machine", "spinning", "entry"),
    [
        ("x86_64", None, ("session.force_spinning_stop", "1")),
        ("aarch64", None, ("session.intra_op.allow_spinning", "0")),
        ("ARM64", None, ("session.intra_op.allow_spinning", "0")),
        ("x86_64", False, ("session.intra_op.allow_spinning", "0")),
        ("x86_64", True, None),
        ("aarch64", True, None),
    ],
)
def test_threads_spin_where_it_was_asked_for(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    spinning: bool | None,
    entry: tuple[str, str] | None,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    options = AEInfer.load(tiny_model, threads=2, spinning=spinning)._session._session.get_session_options()
    for key in ("session.force_spinning_stop", "session.intra_op.allow_spinning"):
        if entry and entry[0] == key:
            assert options.get_session_config_entry(key) == entry[1]
        else:
            with pytest.raises(RuntimeError, match="does not have configuration"):
                options.get_session_config_entry(key)


IDLE = """
import time
before = time.process_time()
time.sleep(0.3)
print(time.process_time() - before < 0.15)
"""


def test_threads_sleep_between_runs(tiny_model: Path) -> None:
    """One thread that spins on would take the whole time."""
    assert run_python(IDLE, tiny_model, 2) == "True\n"


ENDING = """
begun = threading.Event()

def work():
    while True:
        for _ in ae.stream([image] * 9) if sys.argv[3] == "stream" else [ae(image)]:
            begun.set()

for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


@pytest.mark.parametrize("way", ["call", "stream"])
def test_python_ends_while_daemon_threads_work(tiny_model: Path, way: str) -> None:
    """What Python ends inside of onnxruntime aborts the process."""
    assert run_python(ENDING, tiny_model, 2, way) == ""


CHILD_ENDING = """
def work():
    while True:
        ae(image)

threading.Thread(target=work, daemon=True).start()
while not unbroken._inside:
    pass
child = os.fork()
if not child:
    sys.exit(bool(unbroken._inside))
print(end_of(child))
"""


@forks
def test_a_child_does_not_wait_for_the_threads_of_its_parent(tiny_model: Path) -> None:
    assert run_python("from aeinfer.ending import unbroken" + CHILD_ENDING, tiny_model, 2) == "0\n"


# Fork


FORK = """
child = os.fork()
if not child:
    if sys.argv[3] == "works":
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(right, range(16)))
    elif sys.argv[3] == "frees":
        del ae
    sys.exit()
print(end_of(child), right())
"""


@forks
@pytest.mark.parametrize("deed", ["works", "frees", "nothing"])
@pytest.mark.parametrize("threads", [1, 4])  # without a pool, and with one in each session of a pair
def test_a_fork_after_a_run(tiny_model: Path, threads: int, deed: str) -> None:
    """Python ends in the child as it does anywhere: it frees what is left."""
    assert run_python(FORK, tiny_model, threads, deed) == "0 True\n"


FORK_BUSY = """
stop = threading.Event()
def work():
    while not stop.is_set():
        ae(image)
workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
ends = []
for _ in range(5):
    child = os.fork()
    if not child:
        os._exit(0 if right() else 1)
    ends.append(end_of(child))
stop.set()
for worker in workers:
    worker.join()
print(ends, right())
"""


@forks
def test_a_fork_while_other_threads_work(tiny_model: Path) -> None:
    assert run_python(FORK_BUSY, tiny_model, 2) == "[0, 0, 0, 0, 0] True\n"


LOCKED = """
with ae._lock:  # as another thread may hold it
    child = os.fork()
    if not child:
        os._exit(0 if right() else 1)
print(end_of(child))
"""


COMPILING = """
import time
from aeinfer.jit import global_compiler_lock
inside = threading.Event()
def compile():
    with global_compiler_lock:
        inside.set()
        time.sleep(0.2)
worker = threading.Thread(target=compile)
worker.start()
inside.wait()
child = os.fork()
if not child:
    os._exit(0 if global_compiler_lock.acquire() is None else 1)  # it waits for ever where no thread gives it back
print(end_of(child))
worker.join()
"""


@forks
def test_a_fork_while_another_thread_compiles(tiny_model: Path) -> None:
    assert run_python(COMPILING, tiny_model, 2) == "0\n"


IMPORTING = """
import importlib.abc, importlib.util, signal, time
library, room, function = sys.argv[3:]
load = getattr(importlib.import_module(room), function)
inside = threading.Event()
class Slow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, *_):
        return importlib.util.spec_from_loader(name, self) if name == library else None
    def exec_module(self, module):
        inside.set()
        time.sleep(0.2)
sys.meta_path.insert(0, Slow())
worker = threading.Thread(target=load)
worker.start()
inside.wait()
child = os.fork()
if not child:
    signal.alarm(10)  # it waits for ever where the import was left to a thread that is not there
    load()
    os._exit(0)
print(end_of(child))
worker.join()
"""


@forks
@pytest.mark.parametrize(
    ("library", "room", "function"),
    [("cv2", "aeinfer.opencv", "load_opencv"), ("tifffile", "aeinfer.tiff", "available")],
)
def test_a_fork_while_another_thread_imports(tiny_model: Path, library: str, room: str, function: str) -> None:
    assert run_python(IMPORTING, tiny_model, 2, library, room, function) == "0\n"


FIRST_KERNEL = """
from aeinfer.forking import hold_at_forks, importing
holding, forking = threading.Event(), threading.Event()
def load():
    with importing:
        holding.set()
        forking.wait()
        hold_at_forks(lock)  # as numba's own is while its room is imported, and then taken by the first kernel
        with lock:
            pass
lock = threading.RLock()
os.register_at_fork(before=forking.set)
worker = threading.Thread(target=load)
worker.start()
holding.wait()
child = os.fork()
if not child:
    os._exit(0)
print(end_of(child))
worker.join()
"""


@forks
def test_a_fork_while_another_thread_adds_what_forks_wait_for(tiny_model: Path) -> None:
    assert run_python(FIRST_KERNEL, tiny_model, 2) == "0\n"


@forks
def test_a_lock_that_was_held_at_the_fork(tiny_model: Path) -> None:
    assert run_python(LOCKED, tiny_model, 2) == "0\n"


GRANDCHILD = """
child = os.fork()
if not child:
    assert right()
    grandchild = os.fork()
    sys.exit(end_of(grandchild) if grandchild else not right())
print(end_of(child), right())
"""


@forks
def test_a_fork_of_a_fork(tiny_model: Path) -> None:
    assert run_python(GRANDCHILD, tiny_model, 2) == "0 True\n"


POOLS = """
with get_context("fork").Pool(2) as pool:
    print(pool.map(right, range(4)))
with ProcessPoolExecutor(2, get_context("fork")) as pool:
    print(list(pool.map(right, range(4))))
    print(np.array_equal(pool.submit(ae, image).result(), expected))
print(right())
"""


@forks
def test_pools_of_forked_processes(tiny_model: Path) -> None:
    assert run_python(POOLS, tiny_model, 2) == f"{[True] * 4}\n{[True] * 4}\nTrue\nTrue\n"


def test_a_pickled_instance_in_a_pool_of_spawned_processes(tiny_model: Path) -> None:
    image = pixels_of((60, 70, 3))
    with AEInfer.load(tiny_model, threads=2, tile=16) as ae, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        expected = ae(image)
        for clean in [pool.submit(ae, image) for _ in range(4)]:
            np.testing.assert_array_equal(clean.result(timeout=PATIENCE), expected)


def test_a_device_that_does_not_survive_a_fork_says_so(tiny_model: Path) -> None:
    session = Session(tiny_model.read_bytes(), "tiny", threads=1)
    session.provider = "CUDAExecutionProvider"
    session._let_go()
    with pytest.raises(ProviderUnavailableError, match=r"does not work in a forked process: .*'spawn'"):
        session.run(np.zeros((1, 3, 16, 16), np.float32))


@forks
def test_only_what_lives_is_called_in_a_child() -> None:
    """Told through the exit code of a child, so that this process stays as it is."""

    calls = []
    kept, gone = ThreadPoolExecutor(1), ThreadPoolExecutor(1)  # anything that can be weakly referenced
    for owner in (kept, gone):
        call_in_children(owner, calls.append)
    del owner, gone
    child = os.fork()
    if not child:
        os._exit(10 + len(calls))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11
    assert kept is not None
    assert calls == []
