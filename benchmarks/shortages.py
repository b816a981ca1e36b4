"""What machines run out of, given to `aeinfer denoise`: disk, rights, descriptors, memory, a folder; a process each.

Namespaces (Linux) give a full disk and a read-only one without root, a group of processes a limit of memory as
containers have it, and bindfs a folder that vanishes as a network's does; where one is not to be had, the case says so.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

EXAMPLES = Path(__file__).parents[1] / "examples" / "photos" / "noisy"
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
GROUPS = (  # where Linux keeps groups with a limit of memory, and the name of the limit: versions 2 and 1
    (Path("/sys/fs/cgroup"), "memory.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)
SECONDS = 300
Case = Callable[[Path], str]


def full_disk(folder: Path) -> str:
    """A results' folder of 200 kB: what fits is whole, what does not is absent and named."""
    out = folder / "out"
    out.mkdir()
    run = _denoise(EXAMPLES, out, mount=f"mount -t tmpfs -o size=200k none {out}", keep=folder / "kept")
    return _judge(run, code=1, says="No space left", left=folder / "kept")


def read_only_target(folder: Path) -> str:
    out = folder / "out"
    out.mkdir()
    run = _denoise(EXAMPLES, out, mount=f"mount --bind {out} {out} && mount -o remount,ro,bind {out}")
    return _judge(run, code=1, says="may not be written to", left=out, most=0)


def few_descriptors(folder: Path) -> str:
    """So few that the libraries load and no more: either it works, or it says why not."""
    run = _denoise(EXAMPLES, folder / "out", limits={resource.RLIMIT_NOFILE: 12})
    return _judge(run, code=(0, 1, 3, 4), left=folder / "out")


def little_memory(folder: Path) -> str:
    """512 MB of data (`ulimit -d`) for a 12-megapixel JPEG."""
    limits = {resource.RLIMIT_DATA: 512 << 20}
    run = _denoise(_large(folder), folder / "out", "--max-memory", "150", "--threads", "1", limits=limits)
    return _judge(run, code=0, left=folder / "out", least=1)


def small_container(folder: Path) -> str:
    """A 12-megapixel JPEG in a group of processes with 512 MB in all, by somebody who says nothing of memory."""
    with _memory_group(512 << 20) as group:
        if group is None:
            return "skipped: no group with a limit of memory can be made here"
        run = _denoise(_large(folder), folder / "out", group=group)
    verdict = _judge(run, code=0, left=folder / "out", least=1)
    image = cv2.imread(str(folder / "out" / "large.jpg"))
    return verdict if verdict != "held" or image.shape == (3000, 4000, 3) else f"wrong: the result is {image.shape}"


def too_large_tile(folder: Path) -> str:
    """Memory that onnxruntime asks for within a run and does not get: the large image is done in smaller tiles."""
    source = folder / "in"
    source.mkdir()
    _large(source)
    cv2.imwrite(str(source / "small.png"), np.full((40, 50, 3), 60, np.uint8))
    limits = {resource.RLIMIT_DATA: 600 << 20}
    run = _denoise(source, folder / "out", "--tile", "4096", "--threads", "1", limits=limits)
    return _judge(run, code=0, left=folder / "out", least=2, most=2)


def vanished_source(folder: Path) -> str:
    """The originals' folder is gone in the middle of the job: what is left is named, what is done is whole."""
    with _vanishing(folder) as (place, vanish):
        if place is None:
            return "skipped: bindfs is not there or not allowed"
        for i in range(40):
            cv2.imwrite(str(folder / "behind" / f"{i}.png"), np.full((600, 800, 3), i, np.uint8))
        run = _denoise(place, folder / "out", "--threads", "1", meanwhile=lambda: vanish(folder / "out"))
        return _judge(run, code=1, says="not connected", left=folder / "out", least=1, most=39)


def vanished_target(folder: Path) -> str:
    """The results' folder is gone in the middle of the job."""
    with _vanishing(folder) as (place, vanish):
        if place is None:
            return "skipped: bindfs is not there or not allowed"
        (folder / "in").mkdir()
        for i in range(40):
            cv2.imwrite(str(folder / "in" / f"{i}.png"), np.full((600, 800, 3), i, np.uint8))
        out = folder / "behind" / "out"
        run = _denoise(folder / "in", place / "out", "--threads", "1", meanwhile=lambda: vanish(out))
        return _judge(run, code=1, says="not connected", left=out, least=1, most=39)


def too_little_memory(folder: Path) -> str:
    """80 MB of data, in which onnxruntime itself cannot work: a clear line, no result."""
    limits = {resource.RLIMIT_DATA: 80 << 20}
    run = _denoise(EXAMPLES, folder / "out", "--threads", "1", limits=limits)
    return _judge(run, code=(1, 3, 4), left=folder / "out", most=0)


def one_bad_file(folder: Path) -> str:
    """An image of a size that fills the memory, among good ones: the others are done."""
    source = folder / "in"
    source.mkdir()
    for i in range(3):
        cv2.imwrite(str(source / f"{i}.png"), np.full((40, 50, 3), i * 60, np.uint8))
    cv2.imwrite(str(source / "huge.png"), np.zeros((20000, 12000, 3), np.uint8))
    run = _denoise(source, folder / "out", "--threads", "1", limits={resource.RLIMIT_DATA: 600 << 20})
    return _judge(run, code=1, says="huge.png", left=folder / "out", least=3, most=3)


CASES: tuple[Case, ...] = (
    full_disk,
    read_only_target,
    few_descriptors,
    little_memory,
    small_container,
    too_little_memory,
    too_large_tile,
    vanished_source,
    vanished_target,
    one_bad_file,
)


def _denoise(
    source: Path,
    out: Path,
    *options: str,
    mount: str = "",
    keep: Path | None = None,
    limits: dict[int, int] | None = None,
    group: Path | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> subprocess.CompletedProcess[str]:
    # the quickest model: that what is short fails no more than it must is no model's business
    job = ["denoise", str(source), "-o", str(out), "-m", "photo-fast", "-q", *options]
    command = [sys.executable, "-m", "aeinfer", *job]
    if mount:
        copy = f"; code=$?; cp -r {out} {keep}; exit $code" if keep else ""
        command = [*NAMESPACE, f"{mount} && {' '.join(command)}{copy}"]

    def limit() -> None:
        for what, most in (limits or {}).items():
            resource.setrlimit(what, (most, most))
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit
    ) as process:
        meanwhile()
        out_text, error_text = process.communicate(timeout=SECONDS)
    return subprocess.CompletedProcess(command, process.returncode, out_text, error_text)


def _large(folder: Path) -> Path:
    """A JPEG of 12 megapixels."""
    image = cv2.imread(str(min(EXAMPLES.glob("*.png"))))
    cv2.imwrite(str(folder / "large.jpg"), cv2.resize(image, (4000, 3000)))
    return folder / "large.jpg"


@contextmanager
def _memory_group(most: int) -> Iterator[Path | None]:
    """A group of processes with so many bytes, or None where none can be made."""
    for root, limit in GROUPS:
        try:
            group = Path(tempfile.mkdtemp(prefix="aeinfer-", dir=root))
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(most))
                yield group
                return
        except PermissionError:
            continue
        finally:
            group.rmdir()
    yield None


@contextmanager
def _vanishing(folder: Path) -> Iterator[tuple[Path | None, Callable[[Path], None]]]:
    """A mounted folder that shows `folder`/behind, and what ends its server once a result lies in the given folder."""
    behind, place = folder / "behind", folder / "place"
    behind.mkdir()
    place.mkdir()
    if shutil.which("bindfs") is None or not os.access("/dev/fuse", os.W_OK):
        yield None, lambda _: None
        return
    server = subprocess.Popen(["bindfs", "-f", str(behind), str(place)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + SECONDS

    def vanish(out: Path) -> None:
        while not list(out.glob("*.png")) and time.monotonic() < end:
            time.sleep(0.01)
        server.kill()

    try:
        while not place.is_mount() and server.poll() is None:
            time.sleep(0.01)
        yield (place if server.poll() is None else None), vanish
    finally:
        server.kill()
        server.wait()
        subprocess.run(["fusermount", "-u", "-z", str(place)], stderr=subprocess.DEVNULL, check=False)


def _judge(
    run: subprocess.CompletedProcess[str],
    code: int | tuple[int, ...],
    left: Path,
    says: str = "",
    least: int = 0,
    most: int = 1000,
) -> str:
    """Return "held", "skipped: ..." or what is wrong: a code, a missing line, a traceback, half or stray files."""
    if "unshare" in run.stderr or "mount:" in run.stderr:
        return f"skipped: {run.stderr.strip()}"
    codes = code if isinstance(code, tuple) else (code,)
    files = [path for path in left.rglob("*") if path.is_file()] if left.exists() else []
    broken = [path.name for path in files if path.suffix == ".part" or cv2.imread(str(path)) is None]
    problems = [
        *([f"exit code {run.returncode}"] if run.returncode not in codes else []),
        *(["a traceback"] if "Traceback" in run.stderr else []),
        *([f"does not say {says!r}"] if says not in run.stderr else []),
        *(["no word"] if run.returncode and not run.stderr.strip() else []),
        *([f"{len(files)} results"] if not least <= len(files) <= most else []),
        *([f"broken or stray: {', '.join(broken)}"] if broken else []),
    ]
    return f"wrong: {'; '.join(problems)}: {run.stderr.strip()[-600:]}" if problems else "held"
