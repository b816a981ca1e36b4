"""What machines run out of, given to `aeinfer denoise`: disk, rights, descriptors, memory; each case is one process.

Namespaces (Linux) give a full disk and a read-only one without root; where they are not allowed, the case says so.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

EXAMPLES = Path(__file__).parents[1] / "examples" / "photos" / "noisy"
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
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
    image = cv2.imread(str(next(iter(sorted(EXAMPLES.glob("*.png"))))))
    cv2.imwrite(str(folder / "large.jpg"), cv2.resize(image, (4000, 3000)))
    limits = {resource.RLIMIT_DATA: 512 << 20}
    run = _denoise(folder / "large.jpg", folder / "out", "--max-memory", "150", "--threads", "1", limits=limits)
    return _judge(run, code=0, left=folder / "out", least=1)


def too_little_memory(folder: Path) -> str:
    """160 MB of data, in which onnxruntime itself cannot work: a clear line, no result."""
    limits = {resource.RLIMIT_DATA: 160 << 20}
    run = _denoise(EXAMPLES, folder / "out", "--threads", "1", limits=limits)
    return _judge(run, code=(1, 3, 4), left=folder / "out", most=0)


def one_bad_file(folder: Path) -> str:
    """An image of a size that fills the memory, among good ones: the others are done."""
    source = folder / "in"
    source.mkdir()
    for i in range(3):
        cv2.imwrite(str(source / f"{i}.png"), np.full((40, 50, 3), i * 60, np.uint8))
    cv2.imwrite(str(source / "huge.png"), np.zeros((20000, 12000, 3), np.uint8))
    run = _denoise(source, folder / "out", "--threads", "1", limits={resource.RLIMIT_DATA: 700 << 20})
    return _judge(run, code=1, says="huge.png", left=folder / "out", least=3, most=3)


CASES: tuple[Case, ...] = (
    full_disk,
    read_only_target,
    few_descriptors,
    little_memory,
    too_little_memory,
    one_bad_file,
)


def _denoise(
    source: Path,
    out: Path,
    *options: str,
    mount: str = "",
    keep: Path | None = None,
    limits: dict[int, int] | None = None,
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aeinfer", "denoise", str(source), "-o", str(out), "-q", *options]
    if mount:
        copy = f"; code=$?; cp -r {out} {keep}; exit $code" if keep else ""
        command = [*NAMESPACE, f"{mount} && {' '.join(command)}{copy}"]

    def limit() -> None:
        for what, most in (limits or {}).items():
            resource.setrlimit(what, (most, most))

    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, preexec_fn=limit, check=False)


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
