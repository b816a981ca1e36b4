"""Coverage-guided fuzzing of one target: `python -m benchmarks.fuzz image --seconds 600` (Linux, extra `bench`).

Begins with valid files and the cases of tests/data/fuzz.zip; what reaches new lines of this package is kept.
At the end the smallest set of cases that reaches the same lines replaces them there: the tests run every one.
An input that breaks a promise is left in the folder of the run as crash-*, timeout-* or oom-*, beside log.txt.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from aeinfer.cli.options import whole
from benchmarks.fuzz_targets import KEPT, TARGETS, kept_cases, valid_metadata
from benchmarks.seeds import DATA, image_seeds


def seeds(target: str) -> dict[str, bytes]:
    """Return valid inputs of a target."""
    if target == "model":
        return {path.name: path.read_bytes() for path in sorted(DATA.glob("tiny*.onnx"))}
    files = image_seeds((5, 7))
    return files if target == "image" else valid_metadata(files)


def fuzz(target: str, seconds: int, folder: Path) -> int:
    """Fuzz in a process of its own, and return its exit code; what it finds goes into folder/found."""
    found = folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    for content in {**seeds(target), **kept_cases(target)}.values():
        (found / hashlib.sha1(content).hexdigest()).write_bytes(content)
    return _worker(target, f"-max_total_time={seconds}", str(found), log=folder / "log.txt")


def keep(target: str, folder: Path) -> int:
    """Put the smallest set of cases with the same coverage into the archive of the tests; return how many they are."""
    with tempfile.TemporaryDirectory() as least:
        _worker(target, "-merge=1", least, str(folder / "found"), log=folder / "merge.txt")
        cases = {f"{target}/{path.name}": path.read_bytes() for path in Path(least).iterdir()}
    if KEPT.exists():
        with zipfile.ZipFile(KEPT) as old:
            cases |= {name: old.read(name) for name in old.namelist() if not name.startswith(f"{target}/")}
    with zipfile.ZipFile(KEPT, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(cases):
            archive.writestr(zipfile.ZipInfo(name), cases[name], zipfile.ZIP_DEFLATED)
    return sum(name.startswith(f"{target}/") for name in cases)


def _worker(target: str, *arguments: str, log: Path) -> int:
    limits = ("-timeout=10", "-rss_limit_mb=3000", "-max_len=32768", f"-artifact_prefix={log.parent}/")
    command = [sys.executable, "-m", "benchmarks.fuzz_worker", target, *limits, *arguments]
    with log.open("wb") as said:
        return subprocess.run(command, stdout=said, stderr=said, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=whole(1), default=600)
    parser.add_argument("--out", type=Path, help="folder of what is found [runs/fuzz/TARGET]")
    args = parser.parse_args()
    folder = args.out or Path("runs", "fuzz", args.target)
    code = fuzz(args.target, args.seconds, folder)
    print(f"{keep(args.target, folder)} cases kept; promises broken: {'see ' + str(folder) if code else 'none'}")
    return int(code != 0)


if __name__ == "__main__":
    raise SystemExit(main())
