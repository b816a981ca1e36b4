"""The doctor finds what is really broken, says what mends it, ends with the right code, and never breaks itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aeinfer
from aeinfer import cli, session
from aeinfer.cli.console import ExitCode
from aeinfer.doctor import Finding, devices, libraries, models, process
from aeinfer.doctor.process import Ended, call
from aeinfer.doctor.selftest import denoise_sample
from aeinfer.errors import InputError

pytest.importorskip("cv2")

PACKAGE = Path(aeinfer.__file__).parent
dies = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")


def examined(*arguments: str, paths: tuple[Path, ...] = (), **environment: str) -> tuple[int, dict[str, dict]]:
    """Run the command; return its exit code and its findings by name."""
    found = {"PYTHONPATH": os.pathsep.join(map(str, (*paths, PACKAGE.parent))), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "aeinfer", "doctor", "--json", *arguments]
    environment = {**os.environ, **found, **environment}
    cwd = paths[0] if paths else PACKAGE.parent  # `-m` looks there first
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    return done.returncode, {finding["name"]: finding for finding in told["findings"]}


def failures(findings: dict[str, dict]) -> set[str]:
    return {name for name, finding in findings.items() if finding["state"] == "failure"}


# What works


def test_a_sound_install_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == ExitCode.DONE
    *lines, verdict = capsys.readouterr().out.splitlines()
    assert verdict.startswith("aeinfer works: failures 0")
    report = lines[: lines.index("")] if "" in lines else lines
    assert {line.split()[0] for line in report} <= {"ok", "note", "warning"}
    column = report[0].index("3.")  # Python's version: the sentences are aligned
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in report)
    text = "\n".join(report)
    for name in ("numpy", "onnxruntime", "cv2", "threads", "memory", "models", "cache", "device cpu", "kernels"):
        assert f"ok       {name} " in text
    for name in ("photo", "photo-best", "photo-fast"):
        assert f"ok       result {name} " in text
        assert f"ok       result {name}.int8 " in text


def test_the_record_is_of_the_packaged_files() -> None:
    record = models.read_record()
    assert sorted(record) == sorted(path.name for path in models.RECORD.parent.glob("*.onnx"))
    findings, whole = models.check_files(record)
    assert whole == set(record), f"{findings}: run python -m scripts.record_models"


# A process of its own


def test_a_call_hears_its_value_through_what_libraries_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chatty.py").write_text("print('{\"value\": 7}', end='')\ndef f(x):\n    print('hm')\n    return [x]\n")
    monkeypatch.syspath_prepend(tmp_path)
    ended = call("chatty", "f", "é")
    assert (ended.value, ended.fault) == (["é"], "")
    assert "hm" in ended.printed


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("raise ValueError('two\\n  lines')", "ValueError: two lines"),
        ("import os; os._exit(0)", "it ended without a word"),
        ("import time; time.sleep(60)", "no answer within 0.5 seconds"),
        pytest.param("import os; os.kill(os.getpid(), 11)", "Segmentation fault (signal 11)", marks=dies),
    ],
)
def test_a_call_says_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, fault: str) -> None:
    (tmp_path / "broken.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if "sleep" in body:
        monkeypatch.setattr(process, "PATIENCE", 0.5)
    ended = call("broken", "f")
    assert (ended.value, ended.why) == (None, fault)


def test_a_python_that_cannot_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert call("os", "getcwd").fault.startswith("cannot start Python anew as ''")


# Libraries

ILLEGAL = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
OTHER_NUMPY = """
import sys
print("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.4", file=sys.stderr)
raise ImportError("numpy.core.multiarray failed to import")
"""


@pytest.mark.parametrize(
    ("module", "wheel", "body", "state", "sentence", "mend"),
    [
        pytest.param(
            "onnxruntime", "onnxruntime", ILLEGAL, "failure", "was built for another processor: its import ends with "
            "Illegal instruction (signal 4)", 'pip install "onnxruntime<9.1"', marks=dies,
        ),
        pytest.param(
            "numba", "numba", ILLEGAL, "failure", "was built for another processor", "pip uninstall -y numba llvmlite",
            marks=dies,
        ),
        pytest.param(
            "cv2", "opencv-python", "import os\nos.kill(os.getpid(), 11)", "failure", "Segmentation fault (signal 11)",
            "pip install --force-reinstall opencv-python", marks=dies,
        ),
        (
            "cv2", "opencv-python", "raise ImportError('libGL.so.1: cannot open shared object file: No such file')",
            "failure", "the system lacks libGL.so.1", "apt install libgl1 libglib2.0-0  "
            "# or: pip uninstall -y opencv-python && pip install opencv-python-headless",
        ),
        (
            "numpy", "numpy", "raise ImportError('libopenblas.so.0: cannot open shared object file: No such file')",
            "failure", "the system lacks libopenblas.so.0", "apt install libopenblas0",
        ),
        ("cv2", "opencv-python", OTHER_NUMPY, "failure", "another numpy", "pip install --upgrade numpy opencv-python"),
        (
            "onnxruntime", "onnxruntime", "raise ValueError('numpy.dtype size changed, may indicate incompatibility')",
            "failure", "another numpy", "pip install --upgrade numpy onnxruntime",
        ),
        (
            "numba", "numba", "raise ImportError('Numba needs NumPy 2.3 or less. Got NumPy 2.4.')", "warning",
            "another numpy: ImportError: Numba needs NumPy 2.3 or less", "pip install --upgrade numpy numba",
        ),
        (
            "onnxruntime", "onnxruntime", "raise ImportError('DLL load failed while importing x: "
            "The specified module could not be found.')", "failure", "Windows lacks a library",
            "winget install Microsoft.VCRedist.2015+.x64",
        ),
        ("av", "av", "import no_such_module", "note", "without no_such_module", "pip install no_such_module"),
    ],
)  # fmt: skip
def test_an_import_that_fails_is_told_with_what_mends_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    wheel: str,
    body: str,
    state: str,
    sentence: str,
    mend: str,
) -> None:
    (tmp_path / f"{module}.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    library = next(each for each in libraries.LIBRARIES if each.module == module)
    finding = libraries.try_import(library, {module: {wheel: "9.1"}})
    assert (finding.state, finding.mend) == (state, mend)
    assert sentence in finding.sentence


def test_numpy_on_an_arm_board_may_be_told_which_processor_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    _, mend = libraries.diagnose(libraries.LIBRARIES[0], Ended(fault="Illegal instruction (signal 4)"), {"numpy": "2"})
    assert mend == "export OPENBLAS_CORETYPE=ARMV8"


def test_a_missing_library_is_named_with_its_extra_and_a_gutted_one_with_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = libraries.Library("absent_library", "absent", 'pip install "aeinfer[x]"', "nothing is seen", "failure")
    finding = libraries.try_import(library, {})
    assert (finding.sentence, finding.mend) == ("is not installed: nothing is seen", 'pip install "aeinfer[x]"')
    (tmp_path / "absent_library").mkdir()  # Python imports what is left as a namespace
    monkeypatch.syspath_prepend(tmp_path)
    finding = libraries.try_import(library, {"absent_library": {"absent-gpu": "2.0"}})
    assert finding.sentence.startswith("absent-gpu 2.0 is installed, but its files are gone")
    assert finding.mend == "pip install --force-reinstall --no-deps absent-gpu"


def install(folder: Path, wheel: str, version: str, module: str) -> None:
    """Leave the traces of a wheel."""
    facts = folder / f"{wheel.replace('-', '_')}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {wheel}\nVersion: {version}\n")
    (facts / "top_level.txt").write_text(module)


def test_two_wheels_of_one_library_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wheel in ("onnxruntime", "onnxruntime-gpu"):
        install(tmp_path, wheel, "1.30.0", "onnxruntime")
    install(tmp_path, "onnxruntime-extensions", "0.14", "onnxruntime_extensions")
    (tmp_path / "empty-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    wheels = call("aeinfer.doctor.libraries", "installed_wheels").value
    assert wheels["onnxruntime"] == {"onnxruntime": "1.30.0", "onnxruntime-gpu": "1.30.0"}
    [finding] = [each for each in libraries.overwritten(wheels) if each.name == "onnxruntime wheels"]
    assert finding.state == "warning"
    assert finding.mend == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"


# The whole command on a broken install


@dies
def test_onnxruntime_that_kills_its_process_is_a_missing_backend(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text(ILLEGAL)
    (tmp_path / "cv2.py").write_text(OTHER_NUMPY)
    code, findings = examined(paths=(tmp_path,))
    assert code == ExitCode.UNAVAILABLE
    assert failures(findings) == {"onnxruntime", "cv2"}
    assert findings["the rest"]["sentence"].endswith("because of onnxruntime")
    assert findings["models"]["state"] == "ok"


def test_without_numpy_nothing_else_is_blamed(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\")")
    code, findings = examined(paths=(tmp_path,))
    assert code == ExitCode.UNAVAILABLE
    assert failures(findings) == {"numpy"}
    assert "threads" not in findings


def test_a_number_of_threads_that_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(libraries, "LIBRARIES", libraries.LIBRARIES[:1])
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    monkeypatch.delenv("AEINFER_NUM_THREADS", raising=False)
    assert cli.main(["doctor"]) == ExitCode.FAILED
    told = capsys.readouterr().out
    assert "failure  threads   OMP_NUM_THREADS must be a positive number, got 'nonsense'" in told
    assert "  unset OMP_NUM_THREADS  # threads\n" in told


def test_a_cut_model_is_a_bad_model_and_the_others_work(tmp_path: Path) -> None:
    few = shutil.ignore_patterns("__pycache__", "mnist*", "photo.*", "photo-best*")
    shutil.copytree(PACKAGE, tmp_path / "aeinfer", ignore=few)
    folder = tmp_path / "aeinfer" / "models"
    record = {name: facts for name, facts in models.read_record().items() if name.startswith("photo-fast.")}
    (folder / "record.json").write_text(json.dumps(record))
    cut = folder / "photo-fast.int8.onnx"
    cut.write_bytes(cut.read_bytes()[:100_000])
    code, findings = examined(paths=(tmp_path,))
    assert code == ExitCode.BAD_MODEL
    assert failures(findings) == {"photo-fast.int8.onnx"}
    assert findings["photo-fast.int8.onnx"]["sentence"] == f"is cut: 100,000 of {record[cut.name]['bytes']:,} bytes"
    assert findings["photo-fast.int8.onnx"]["mend"] == models.AGAIN
    assert "result photo-fast.int8" not in findings
    assert findings["result photo-fast"]["state"] == "ok"


# Models


def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "RECORD", tmp_path / "record.json")
    record = {name: {"sha256": "00", "bytes": 200} for name in ("pointer.onnx", "cut.onnx", "other.onnx", "gone.onnx")}
    (tmp_path / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 200\n")
    (tmp_path / "cut.onnx").write_bytes(bytes(100))
    (tmp_path / "other.onnx").write_bytes(bytes(200))
    (tmp_path / "whole.onnx").write_bytes(b"whole")
    record["whole.onnx"] = models.file_facts((tmp_path / "whole.onnx").read_bytes())
    findings, whole = models.check_files(record)
    assert whole == {"whole.onnx"}
    told = {finding.name: (finding.sentence, finding.mend) for finding in findings if finding.state == "failure"}
    assert told["pointer.onnx"] == ("is a Git LFS pointer, not the model itself", "git lfs pull")
    assert told["cut.onnx"] == ("is cut: 100 of 200 bytes", models.AGAIN)
    assert told["other.onnx"][0].startswith("is another file than was packaged: its sha256 begins with ")
    assert told["gone.onnx"][0].startswith("cannot be read: ")
    assert {finding.about for finding in findings if finding.state == "failure"} == {"model"}


def test_a_wrong_result_is_a_failure() -> None:
    """The result of one network is wrong for another."""
    record = models.read_record()
    right = Ended(denoise_sample("photo-fast.onnx", "cpu"))
    assert models.judge_result("photo-fast.onnx", record["photo-fast.onnx"], right).state == "ok"
    wrong = models.judge_result("photo.onnx", record["photo.onnx"], right)
    assert (wrong.state, wrong.about) == ("failure", "machine")
    assert wrong.sentence.startswith("is wrong: ")
    brighter = Ended(right.value | {"means": [mean + 1.5 for mean in right.value["means"]]})
    assert models.judge_result("photo-fast.onnx", record["photo-fast.onnx"], brighter).state == "failure"


# Devices; the texts are those of onnxruntime-gpu 1.31


@pytest.mark.parametrize(
    ("printed", "sentence", "mend"),
    [
        (
            "FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: "
            "cannot open shared object file: No such file or directory",
            "does not start: libcublasLt.so.13: cannot open shared object file",
            'pip install "onnxruntime-gpu[cuda,cudnn]"',
        ),
        (
            "FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcuda.so.1: "
            "cannot open shared object file: No such file or directory",
            "there is no NVIDIA driver or GPU for this process (libcuda.so)",
            "ubuntu-drivers install  # Debian: apt install nvidia-driver; a container: docker run --gpus all",
        ),
        (
            "device 'cuda' needs CUDAExecutionProvider, but there is no NVIDIA driver (Could not find module "
            "'nvcuda.dll' (or one of its dependencies). Try using the full path with constructor syntax.)",
            "there is no NVIDIA driver or GPU for this process (nvcuda.dll)",
            "start https://www.nvidia.com/drivers",
        ),
        (
            "FAIL : Failed to load library libonnxruntime_providers_tensorrt.so with error: libnvinfer.so.10: "
            "cannot open shared object file: No such file or directory",
            "does not start: TensorRT 10 is missing",
            'pip install "tensorrt==10.*"  # and add its folder tensorrt_libs to LD_LIBRARY_PATH',
        ),
    ],
)
def test_why_a_device_does_not_start(printed: str, sentence: str, mend: str) -> None:
    ended = Ended(fault="ProviderUnavailableError: device 'cuda' did not start: onnxruntime fell back", printed=printed)
    told, line = devices.cause(ended)
    assert sentence in told
    assert line == mend


def test_a_device_that_is_asked_for_must_start(tiny_model: Path) -> None:
    if "CUDAExecutionProvider" in session.listed_providers():
        pytest.skip("this onnxruntime has CUDA")
    cpu, cuda = devices.check_devices("cuda:1", tiny_model)
    assert cpu.state == "ok"
    assert (cuda.name, cuda.state, cuda.about) == ("device cuda:1", "failure", "backend")
    assert cuda.mend == 'pip uninstall -y onnxruntime && pip install "aeinfer[gpu]"'


@pytest.mark.parametrize("device", ["nonsense", "cpu:0", "auto:1"])
def test_a_device_of_no_such_name_is_wrong_usage(
    device: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where onnxruntime does not start at all."""
    monkeypatch.setattr(devices, "call", None)
    with pytest.raises(InputError, match=f"got '{device}'"):
        devices.check_devices(device, tiny_model)


# What is printed


def test_the_gravest_failure_gives_the_code_and_comes_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        Finding("a", "failure", "is bad", "mend it", "model"),
        Finding("b", "note", "is well known"),
        Finding("longer", "warning", "is slow", "mend that  # or this"),
        Finding("c", "failure", "is odd", "", "machine"),
    ]
    monkeypatch.setattr("aeinfer.doctor.examine", lambda _device: found)
    assert cli.main(["doctor"]) == ExitCode.BAD_MODEL
    assert capsys.readouterr().out.splitlines() == [
        "failure  a       is bad",
        "note     b       is well known",
        "warning  longer  is slow",
        "failure  c       is odd",
        "",
        "To mend what could be better:",
        "  mend that  # or this",
        "",
        "To mend what fails:",
        "  mend it  # a",
        "",
        "aeinfer does not work as it should: failures 2, warnings 1",
    ]
    found.append(Finding("d", "failure", "is gone", "", "backend"))
    assert cli.main(["doctor"]) == ExitCode.UNAVAILABLE
