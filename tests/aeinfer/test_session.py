"""The session: threads, devices, what a file is instead of a model, and nothing sent or written home."""

import os
import sys
from pathlib import Path, PurePath

import numpy as np
import onnxruntime
import pytest

from aeinfer import AEInfer, session
from aeinfer.errors import BackendMissingError, InputError, ModelError, ProviderUnavailableError
from aeinfer.model_info import ModelInfo, metadata_from_info
from aeinfer.session import Session
from tests import handmade
from tests.programs import run_python

FACTS = metadata_from_info(ModelInfo(stride=1))
GREY_FACTS = metadata_from_info(ModelInfo(channels=1))


def test_the_network_gets_the_threads(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "thread_count", lambda: 4)
    content = tiny_model.read_bytes()
    for asked, given in ((None, 4), (1, 1)):
        options = Session(content, "tiny", threads=asked)._session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (given, 1)
        assert options.get_session_config_entry("session.x64quantprecision") == "1"


def test_weights_in_another_file_are_refused_wherever_they_lie(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "net.onnx"
    onnx.save(onnx.load(tiny_model), path, save_as_external_data=True, location="weights", size_threshold=100)
    monkeypatch.chdir(tmp_path)  # where onnxruntime would look for them
    with pytest.raises(ModelError, match="has its weights in another file: save the model as one file"):
        AEInfer.load(path)


def test_a_model_that_does_not_fit_into_memory_is_no_bad_model(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_session: Session) -> None:
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(Session, "_start", fails)
    with pytest.raises(MemoryError, match="not enough memory to load"):
        AEInfer.load(tiny_model)


def test_int8_that_cannot_saturate_takes_the_fast_products(tiny_model: Path) -> None:
    """The fact is read from the bytes, as options are needed before onnxruntime tells the metadata."""
    key, value = b"aeinfer.saturates", b"false"
    entry = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    content = tiny_model.read_bytes() + b"\x72" + bytes([len(entry)]) + entry  # field 14: metadata_props
    session = Session(content, "tiny", "cpu")
    assert session.info().saturates is False
    with pytest.raises(RuntimeError, match="x64quantprecision"):
        session._session.get_session_options().get_session_config_entry("session.x64quantprecision")


def test_options_of_the_user_are_taken_as_they_are(tiny_model: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 3
    used = Session(tiny_model.read_bytes(), "tiny", threads=1, options=options)._session.get_session_options()
    assert used.intra_op_num_threads == 3


# Devices


@pytest.fixture
def cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.usefixtures("cpu_only")
def test_the_provider_is_what_runs(tiny_model: Path, device: str) -> None:
    assert AEInfer.load(tiny_model, device=device).provider == "CPUExecutionProvider"


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt"])
@pytest.mark.usefixtures("cpu_only")
def test_a_device_that_is_not_there_is_an_error(tiny_model: Path, device: str) -> None:
    with pytest.raises(ProviderUnavailableError, match=f"device '{device}' needs .*aeinfer\\[gpu\\]"):
        AEInfer.load(tiny_model, device=device)


@pytest.mark.parametrize("device", ["", "gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "auto:1", "tensorrt:0"])
def test_an_unknown_device_is_refused(tiny_model: Path, device: str) -> None:
    with pytest.raises(InputError, match=f"'cuda:N' or 'tensorrt', got '{device}'"):
        AEInfer.load(tiny_model, device=device)


def test_a_missing_onnxruntime_names_the_extra(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendMissingError, match=r'pip install "aeinfer\[cpu\]"'):
        AEInfer.load(tiny_model)


# Files that are no models


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NO_MODELS = {
    "empty": (b"", "empty file"),
    "lfs": (LFS, "Git LFS pointer.*git lfs pull"),
    "text": (b"<!DOCTYPE html>\n<title>404</title>", "text file .it begins with '<!DOCTYPE html>"),
    "text beyond ASCII": (
        "größer als 512 Zeichen: ".encode() + "ß".encode() * 300,
        "text file .it begins with 'größer",
    ),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "damaged, truncated or no ONNX file"),
    "zeros": (bytes(1000), "damaged, truncated or no ONNX file"),
    "two axes": (handmade.model(["N", 784]), r"expected a model of images.*\['N', 784\]"),
    "facts": (handmade.model(facts={"k": "QQQQ"}).replace(b"QQQQ", b"a\xe5aa"), "expected names and facts in UTF-8"),
    "operator": (handmade.model(nodes=[("QQQQ", ["input"], ["output"])]).replace(b"QQQQ", b"a\xe5aa"), "UTF-8"),
    "side": (handmade.model(["N", 3, "QQQQ", "W"]).replace(b"QQQQ", b"a\xe5aa"), "expected names and facts in UTF-8"),
    "two channels": (handmade.model(["N", 2, "H", "W"]), "expected a model of images"),
    "integers": (handmade.model(kind=handmade.INT64), r"one float32 input .* got input: tensor\(int64\)"),
    "two inputs": (
        handmade.model(inputs=["a", "b"], nodes=[("Add", ["a", "b"], ["output"])]),
        r"one float32 input .* got a: tensor\(float\), b: tensor\(float\) -> output",
    ),
    "two outputs": (
        handmade.model(outputs=["a", "b"], nodes=[("Relu", ["input"], ["a"]), ("Exp", ["input"], ["b"])]),
        r"one such output, got input: tensor\(float\) -> a: tensor\(float\), b",
    ),
    "unknown operator": (
        handmade.model(nodes=[("Dream", ["input"], ["output"])]),
        "cannot be used by onnxruntime.*Dream",
    ),
}


@pytest.mark.parametrize(("content", "message"), NO_MODELS.values(), ids=NO_MODELS.keys())
def test_a_file_is_named_as_what_it_is(
    tmp_path: Path, content: bytes, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"(?s)odd.*{message}"):
        AEInfer.load(path)
    with pytest.raises(ModelError, match=f"(?s)the model given as bytes.*{message}"):
        AEInfer.load(content)
    assert capfd.readouterr() == ("", "")  # what is wrong is said once


def test_a_truncated_file_is_named_wherever_it_ends(tiny_model: Path) -> None:
    content = tiny_model.read_bytes()
    for length in [1, 2, 3, *range(17, len(content) - 1000, 997)]:
        with pytest.raises(ModelError, match="damaged, truncated"):
            Session(content[:length], "cut")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.onnx", "cannot read the model file .*none.onnx: No such file"),
        ("folder.onnx", "folder.onnx: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.onnx").mkdir()
    for path in (tmp_path / name, str(tmp_path / name), PurePath(tmp_path, name)):
        with pytest.raises(ModelError, match=message):
            AEInfer.load(path)


def test_an_unknown_packaged_name_lists_the_names(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.setattr("aeinfer.models.packaged_models", lambda: {"mnist": tiny_model, "photo": tiny_model})
    assert AEInfer.load("photo").info.name == "tiny"
    with pytest.raises(
        ModelError, match=r"no packaged model 'foto': there are mnist, photo; a file's path ends in .onnx"
    ):
        AEInfer.load("foto")


def test_an_install_without_its_models_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aeinfer.models.packaged_models", dict)
    with pytest.raises(ModelError, match=r"no packaged models in .*models: .* a frozen program takes them along"):
        AEInfer.load("photo")


def test_missing_facts_are_assumed_with_one_warning_at_the_callers_line(tmp_path: Path) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(handmade.model())
    with pytest.warns(
        UserWarning, match=r"^bare does not state .*: channels=3, tile=None, stride=16, halo=64$"
    ) as caught:
        ae = AEInfer.load(path)
    assert [warning.filename for warning in caught] == [__file__]
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(ae(image), image)  # the network changes nothing
    assert len(ae.info.fingerprint) == 16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (handmade.model(nodes=[("Concat", ["input"] * 2, ["output"])], axis=1, facts=FACTS), r"got the shape \(1, 6"),
        (handmade.model(nodes=[("Concat", ["input"] * 2, ["output"])], axis=0, facts=FACTS), r"got the shape \(2, 3"),
        (handmade.model(nodes=[("Flatten", ["input"], ["output"])], axis=1, facts=FACTS), r"got the shape \(1, 60"),
        (
            handmade.model(["N", 1, "H", "W"], [("Concat", ["input"] * 3, ["output"])], axis=1, facts=GREY_FACTS),
            r"got the shape \(3, 3, 4, 5\)",
        ),
        (handmade.model(nodes=[("MatMul", ["input"] * 2, ["output"])], facts=FACTS), "failed on a batch"),
    ],
)
def test_a_network_of_other_shapes_is_an_error_not_other_pixels(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        AEInfer.load(content)(np.zeros((4, 5, 3), np.uint8))


def test_a_network_without_a_free_batch_runs_tile_by_tile() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    ae = AEInfer.load(handmade.model([1, 3, "H", "W"], facts=FACTS), tile=16, batch=8)
    for clean in ae.denoise_batch([image, image]):
        np.testing.assert_array_equal(clean, image)


# Nothing is sent or written home


TELEMETRY = """
import os, sys
import aeinfer
import numpy as np
image = np.zeros((16, 16, 3), np.uint8)
aeinfer.AEInfer.load(sys.argv[1], threads=1)(image)
print(os.environ["ORT_DISABLE_TELEMETRY"], sorted(m for m in ("torch", "onnx", "cv2") if m in sys.modules))
"""


def alone(program: str, *arguments: object, **environment: object) -> list[str]:
    """Run a program with nothing in its environment but what it cannot do without, and what is given."""
    needed = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
    base = {key: os.environ[key] for key in needed if key in os.environ}
    return run_python(program, *arguments, base=base, **environment)


def test_loading_and_running_writes_nothing_under_home(tmp_path: Path, tiny_model: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "numba"
    home.mkdir()
    folders = {f"XDG_{kind}_HOME": home / kind.lower() for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
    printed = alone(TELEMETRY, tiny_model.resolve(), HOME=home, NUMBA_CACHE_DIR=cache, TMPDIR=tmp_path, **folders)
    assert printed == ["1 []"]
    assert [str(path) for path in home.rglob("*")] == []
    assert [path for path in tmp_path.iterdir() if path not in (home, cache)] == []


def test_the_users_own_choice_of_telemetry_stands() -> None:
    program = "import os, aeinfer; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert alone(program, ORT_DISABLE_TELEMETRY="0") == ["0"]


HUNGRY = """
import resource, sys
import numpy as np
from aeinfer.session import Session
session = Session(open(sys.argv[1], "rb").read(), "tiny", threads=1)
session.run(np.zeros((1, 3, 16, 16), np.float32))
batch = np.zeros((1, 3, 6000, 6000), np.float32)
with open("/proc/self/status") as status:
    used = int(dict(line.split(":", 1) for line in status)["VmData"].split()[0]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + (100 << 20), resource.RLIM_INFINITY))
try:
    session.run(batch)
except MemoryError as error:
    print(error)
session.run(batch[:, :, :16, :16].copy())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_that_onnxruntime_does_not_get(tiny_model: Path) -> None:
    said = alone(HUNGRY, tiny_model, OPENBLAS_NUM_THREADS=1)
    assert said == ["not enough memory for tiny on a batch of shape (1, 3, 6000, 6000): ask for smaller tiles"]
