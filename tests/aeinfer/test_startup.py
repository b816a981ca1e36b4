"""Starting: what is imported on the way to the first image, and an install that nothing can be written to.

How long it takes is in benchmarks/bench_import.py.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import aeinfer
from aeinfer import cli
from aeinfer.image import write_image
from tests.programs import run_python

pytest.importorskip("cv2")

PACKAGE = Path(aeinfer.__file__).parent


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "one.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    return path


# What is imported

HEAVY = {"numpy", "onnxruntime", "numba", "cv2", "torch", "onnx"}


def test_importing_imports_not_even_numpy() -> None:
    program = "import sys, aeinfer; print(*{*sys.argv} & {*sys.modules})"
    assert run_python(program, *HEAVY, PYTHONWARNINGS="error") == [""]


def test_what_is_imported_on_first_use_is_seen_before() -> None:
    assert run_python("import aeinfer; print(*(set(aeinfer.__all__) - set(dir(aeinfer))))") == [""]
    assert any("class AEInfer(" in line for line in run_python("import aeinfer; help(aeinfer)"))


NEEDLESS = {"numba", "llvmlite", "scipy", "tifffile", "multiprocessing", "tempfile", "random", "ssl", "numpy.ma"}
IMPORTED = """
import sys
from aeinfer.cli import main
assert main(sys.argv[2:]) == 0
print(*sorted(set(sys.modules) & set(sys.argv[1].split(","))))
"""


def test_one_small_image_needs_few_modules(picture: Path, tiny_model: Path) -> None:
    arguments = ("denoise", picture, "-m", tiny_model.resolve(), "-q")
    assert run_python(IMPORTED, ",".join(NEEDLESS | {"numpy"}), *arguments) == ["numpy"]


# An install that nothing can be written to


@pytest.fixture
def sealed(tmp_path: Path) -> dict[str, Any]:
    """A copy of the package and a home where no cache can be made, by root neither: files lie where folders would."""
    root = tmp_path / "install"
    shutil.copytree(PACKAGE, root / "aeinfer", ignore=shutil.ignore_patterns("__pycache__", "models"))
    (root / "aeinfer" / "models").mkdir()
    shutil.copy(PACKAGE / "models" / "__init__.py", root / "aeinfer" / "models")
    for folder in (root / "aeinfer", root / "aeinfer" / "cli", root / "aeinfer" / "models"):
        (folder / "__pycache__").touch()
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "IPYTHONDIR"), os.devnull)
    return {"folder": root, "PYTHONPATH": root, "NUMBA_CACHE_DIR": "", **homes}


SAID = "aeinfer: no writable folder to keep compiled kernels in: compiling in this process"

COMMAND = "import sys; from aeinfer.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells numba of the home by other ways")
@pytest.mark.parametrize("command", ["denoise", "noise"])
def test_kernels_without_a_cache(sealed: dict[str, Any], picture: Path, tiny_model: Path, command: str) -> None:
    """The same pixels as with one, and one line of log where log is asked for; a small picture needs no kernel."""
    options = {"denoise": ["-m", str(tiny_model.resolve()), "--threads", "1"], "noise": ["--sigma", "25"]}[command]
    target = picture.with_name("result.png")
    arguments = (command, picture, "-o", target, "--on-exist", "overwrite", *options)
    told = run_python(COMMAND, *arguments, "-v", **sealed)
    assert len([line for line in told if line.startswith(SAID)]) == (command == "noise")
    result = target.read_bytes()
    run_python(COMMAND, *arguments, "-q")
    assert result == target.read_bytes()
    assert run_python(COMMAND, *arguments, "-q", **sealed) == []


KERNEL = """
import logging, sys
from pathlib import Path
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(message)s")
from aeinfer import noise
noisy = noise.add_salt_and_pepper(np.zeros((8, 8), np.float32), 0.5)
for function in (noise._image_keys, noise._salt_and_pepper):
    print(noisy.sum(), *(sum(count.values()) for count in function.stats[1:]), sep=",")
"""
"""Prints how often each kernel was loaded from the cache, and how often it was not there."""


def test_kept_kernels_that_a_power_failure_damaged_are_compiled_again(tmp_path: Path) -> None:
    kept = run_python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path))
    assert [line.split(",")[1:] for line in kept] == [["0", "1"]] * 2
    loaded = [line.replace(",0,1", ",1,0") for line in kept]
    assert run_python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) == loaded
    for suffix, damage in (("nbc", b""), ("nbi", b"cno.such\nthing\n.")):
        for path in tmp_path.rglob(f"*.{suffix}"):
            path.write_bytes(damage)
        assert run_python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) == kept
        assert run_python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) == loaded


@pytest.mark.parametrize("home", [os.devnull, "home"])
def test_kernels_that_another_user_kept_are_loaded(sealed: dict[str, Any], tmp_path: Path, home: str) -> None:
    """As root did in the build of a container that runs read-only, or as somebody else."""
    inside = sealed["folder"] / "aeinfer" / "__pycache__"
    inside.unlink()
    kept = run_python(KERNEL, **sealed)
    loaded = [line.replace(",0,1", ",1,0") for line in kept]
    assert loaded != kept
    homes = {**sealed, "HOME": str(tmp_path / home), "XDG_CACHE_HOME": ""}
    assert run_python(UNWRITABLE + KERNEL, str(inside), **homes) == loaded


# root may write anywhere: numba tries a folder by a temporary file in it
UNWRITABLE = """
import os, sys, tempfile
make = tempfile.TemporaryFile
def refuse(*args, dir=None, **options):
    if dir == sys.argv[1]:
        raise PermissionError(dir)
    return make(*args, dir=dir, **options)
tempfile.TemporaryFile = refuse
"""


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no files")
def test_a_disk_without_space_for_kernels(tmp_path: Path) -> None:
    told = run_python(FULL + KERNEL, NUMBA_CACHE_DIR=str(tmp_path))
    assert len([line for line in told if line.startswith(SAID.removeprefix("aeinfer: "))]) == 1
    assert told[1:] == run_python(KERNEL, NUMBA_CACHE_DIR=str(tmp_path / "another"))


@pytest.mark.parametrize(
    ("loops", "why"),
    [
        (SimpleNamespace(gather=SimpleNamespace(stats=None)), "no cache folder is writable; NUMBA_CACHE_DIR names"),
        (SimpleNamespace(gather=len), "NUMBA_DISABLE_JIT is set, Python runs them"),
        (None, "there is no numba to compile them"),
    ],
)
def test_warmup_without_a_cache_says_why(
    loops: object, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aeinfer.kernels.load_loops", lambda: loops)
    monkeypatch.setattr("aeinfer.models.packaged_models", dict)
    monkeypatch.setattr("aeinfer.cli.warmup._average_frames", lambda: None)  # by loops of their own
    assert cli.main(["warmup"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"aeinfer: no compiled kernels are kept: {why}")


def test_warmup_without_numba_runs_the_models(tiny_model: Path) -> None:
    """Which a board that starts with it needs to come up: numpy moves the pixels there."""
    program = f"import sys; sys.modules['numba'] = None; {COMMAND}"
    told = run_python(program, "warmup", "-d", "cpu", "-m", tiny_model.resolve())
    assert "aeinfer: no compiled kernels are kept: there is no numba to compile them" in told
    assert "tiny: fp32 on CPUExecutionProvider" in told


# The end of the process, which frees nothing


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["denoise", "no-such.png"], 5), (["denoise", "--no-such-option"], 2)]
)
def test_the_process_ends_with_the_commands_code(arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "aeinfer", *arguments], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stdout + done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["formats"]])
def test_output_that_is_lost_is_a_failure(arguments: list[str]) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "aeinfer", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=buffered, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert arguments == ["--help"] or b"standard output: cannot be written: No space left" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_keep_nobody_from_work(
    closed: str, picture: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arguments = ["denoise", picture, "-m", tiny_model, "-o", tmp_path / "clean.png"]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "aeinfer", *arguments])
    assert done.returncode == 0
    assert (tmp_path / "clean.png").stat().st_size


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a shell and a device that is always full")
@pytest.mark.parametrize(
    ("lost", "code", "why", "reported"), [(">&-", 2, "is closed", 0), (">/dev/full", 1, "No space left", 1)]
)
def test_an_image_that_is_lost_is_told(
    lost: str, code: int, why: str, reported: int, picture: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    arguments = ["noise", picture, "--sigma", "3", "-o", "-", "--report", report]
    command = ["sh", "-c", f'"$@" {lost}', "sh", sys.executable, "-m", "aeinfer", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert why in done.stderr
    lines = report.read_text().splitlines() if report.exists() else []
    assert ['"failed"' in line for line in lines] == [True] * reported


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_complaints_that_are_lost_keep_nobody_from_work(picture: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = ["denoise", picture, "no-such.png", "-v", "-m", tiny_model, "-o", tmp_path / "clean"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "aeinfer", *arguments], stderr=full)
    assert done.returncode == 1
    assert [path.stat().st_size > 0 for path in (tmp_path / "clean").iterdir()] == [True]
