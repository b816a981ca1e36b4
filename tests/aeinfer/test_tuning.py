"""What bench remembers: found again, ignored where it is not of this machine and model, never in the way."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer, measuring, tuning
from aeinfer.cli import main
from aeinfer.image import write_image
from aeinfer.machine import cache_folder, machine_name, processor_name
from aeinfer.model_bytes import fingerprint_of
from aeinfer.models import precision_files
from aeinfer.session import backend
from aeinfer.sizing import default_tile
from aeinfer.threads import thread_count
from aeinfer.tuning import Tuned


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's measurements are kept."""
    monkeypatch.setenv("AEINFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles and batches that are measured in no time."""
    monkeypatch.setattr(measuring, "default_tile", lambda **_: 64)
    monkeypatch.setattr(measuring, "default_batch", lambda *_, **__: 4096)


def machine(device: str = "auto") -> str:
    return machine_name(backend(device), thread_count())


def rows(family: Path, fp32: float, int8: float, **settings: Any) -> list[Tuned]:
    """What bench would have found, with these throughputs."""
    given = {"threads": 1, "tile": 24, "batch_pixels": 9000} | settings
    files = {"fp32": (family, fp32), "int8": (family.with_name("net.v2.int8.onnx"), int8)}
    return [
        Tuned(fingerprint_of(file.read_bytes()), precision, mpix_per_s=rate, **given)
        for precision, (file, rate) in files.items()
    ]


def is_int8(ae: AEInfer) -> bool:
    return ae.info.channels == 1


# The file


def test_a_family_is_found_by_each_of_its_files(family: Path, cache: Path) -> None:
    measured, other = rows(family, 2.0, 3.0), [Tuned("c", "fp32", 1, None, 100, 1.0)]
    assert tuning.remember(other, "here") == cache / "bench.json"
    tuning.remember(measured, "here")
    tuning.remember(rows(family, 1.0, 1.0), "there")
    for tuned in measured:
        assert tuning.recall(tuned.fingerprint, lambda: "here") == tuple(measured)
    assert tuning.recall("c", lambda: "here") == tuple(other)
    assert tuning.recall("c", lambda: "there") == ()
    assert tuning.recall("d", lambda: "here") == ()


def test_a_family_measured_again_replaces_its_files(family: Path) -> None:
    old, new = rows(family, 2.0, 3.0), rows(family, 4.0, 5.0)[:1]
    tuning.remember(old, "here")
    tuning.remember(new, "here")
    assert tuning.recall(new[0].fingerprint, lambda: "here") == tuple(new)
    assert tuning.recall(old[1].fingerprint, lambda: "here") == ()


def test_no_file_asks_for_no_machine() -> None:
    def machine() -> str:
        raise AssertionError

    assert tuning.recall("a", machine) == ()


GOOD = {"fingerprint": "a", "precision": "fp32", "threads": 1, "tile": None, "batch_pixels": 1, "mpix_per_s": 1.0}


def text(*rows: Any, version: Any = 1) -> bytes:
    return json.dumps({"version": version, "machines": {"here": [list(rows)]}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": 1}',
        b'{"version": 1, "machines": 3}',
        b'{"version": 1, "machines": {"here": 3}}',
        text(GOOD, version=2),
        text(GOOD | {"more": 1}),
        text({"fingerprint": "a"}),
        text(GOOD | {"threads": 0}),
        text(GOOD | {"threads": True}),
        text(GOOD | {"tile": "512"}),
        text(GOOD | {"batch_pixels": 1.5}),
        text(GOOD | {"precision": "../int8"}),
        text(GOOD | {"mpix_per_s": float("nan")}),
        text(GOOD | {"mpix_per_s": "4"}),
    ],
)
def test_a_file_of_anything_else_is_ignored_with_one_line(
    cache: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    (cache / "bench.json").write_bytes(content)
    assert tuning.recall("a", lambda: "here") == ()
    assert len(caplog.records) == 1
    assert "bench.json is ignored" in caplog.records[0].getMessage()
    good = [Tuned(**GOOD)]
    tuning.remember(good, "here")  # replaces it
    assert tuning.recall("a", lambda: "here") == tuple(good)


def test_a_file_that_cannot_be_read_is_ignored(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aeinfer")
    (cache / "bench.json").mkdir(parents=True)  # even root cannot read it
    assert tuning.recall("a", lambda: "here") == ()
    assert ["cannot be read" in record.getMessage() for record in caplog.records] == [True]


def test_the_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AEINFER_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for platform, folder in {"linux": ".cache/aeinfer", "darwin": "Library/Caches/aeinfer"}.items():
        monkeypatch.setattr("sys.platform", platform)
        assert cache_folder() == tmp_path / folder
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "aeinfer"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "aeinfer"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "aeinfer"


def test_without_a_home_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.delenv("AEINFER_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", no_home)
    with AEInfer.load(tiny_model) as ae:
        assert ae._file.tuned is None
    with pytest.raises(OSError, match="no home"):
        tuning.remember([Tuned(**GOOD)], "here")


# What load makes of it


@pytest.mark.parametrize(("fp32", "int8", "taken"), [(2.0, 3.0, True), (2.0, 2.01, False), (3.0, 2.0, False)])
def test_auto_takes_int8_where_it_was_measured_to_be_faster(
    family: Path, fp32: float, int8: float, taken: bool
) -> None:
    assert not is_int8(AEInfer.load(family))
    tuning.remember(rows(family, fp32, int8), machine())
    assert is_int8(AEInfer.load(family)) == taken
    assert not is_int8(AEInfer.load(family, precision="fp32"))
    assert is_int8(AEInfer.load(family, precision="int8"))
    assert is_int8(AEInfer.load(family.with_name("net.v2.int8.onnx"))), "a file that is named is taken"
    assert not is_int8(AEInfer.load(family.read_bytes())), "bytes are what they are"
    assert is_int8(pickle.loads(pickle.dumps(AEInfer.load(family)))) == taken


@pytest.mark.usefixtures("little")
def test_half_precision_is_measured_and_taken_like_int8(family: Path) -> None:
    """Its file is the grey network here, to tell them apart."""
    half = family.with_name("net.v2.int8.onnx").read_bytes().replace(b'"int8"', b'"fp16"')
    family.with_name("net.v2.int8.onnx").unlink()
    family.with_name("net.v2.fp16.onnx").write_bytes(half)
    files = precision_files(family)
    done = list(measuring.trials(files, quick=True))
    assert {trial.precision for trial in done} == set(files) == {"fp32", "fp16"}
    sides = {varied: {trial.tile for trial in done if trial.varied == varied} for varied in ("threads", "tile")}
    assert sides == {"threads": {32}, "tile": {32, 64}}, "in a hurry, threads are compared on a quarter of a tile"
    fingerprints = {precision: fingerprint_of(file.read_bytes()) for precision, file in files.items()}
    for fp16, channels in ((3.0, 1), (1.0, 3)):
        rates = {"fp32": 2.0, "fp16": fp16}
        found = [Tuned(mark, precision, 1, 24, 9000, rates[precision]) for precision, mark in fingerprints.items()]
        tuning.remember(found, machine())
        assert AEInfer.load(family).info.channels == channels


def test_another_machine_or_another_file_tells_nothing(family: Path) -> None:
    tuning.remember(rows(family, 2.0, 3.0), machine() + " overclocked")
    assert not is_int8(AEInfer.load(family))
    tuning.remember(rows(family, 2.0, 3.0), machine())
    sibling = family.with_name("net.v2.int8.onnx")
    sibling.write_bytes(sibling.read_bytes() + b"\x72\x00")  # an empty fact more: a file like it, not the measured one
    assert not is_int8(AEInfer.load(family))
    sibling.unlink()
    assert not is_int8(AEInfer.load(family))


@pytest.mark.parametrize(
    ("cpu_info", "name"),
    [
        ("cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\nflags : a:b\n", "AMD EPYC (family 26, model 2)"),
        ("model name\t: IBM/S390\n", "IBM/S390"),
        ("processor\t: 0\nCPU part\t: 0xd08\n", "Raspberry Pi 4 Model B Rev 1.4"),
    ],
)
def test_the_processor_is_named_with_its_generation_or_by_the_board(
    cpu_info: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(cpu_info)
    (tmp_path / "board").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    monkeypatch.setattr("aeinfer.machine.CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("aeinfer.machine.BOARD", tmp_path / "board")
    assert processor_name() == name
    assert machine_name("onnxruntime 1.22", 2).startswith(f"{name}, 2 cores")


def test_without_the_systems_files_python_names_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("aeinfer.machine.CPU_INFO", tmp_path / "none")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert processor_name() == "arm64"


def test_what_was_best_is_taken_and_what_is_asked_for_wins(family: Path) -> None:
    info = AEInfer.load(family).info
    usual = default_tile(halo=info.halo, stride=info.stride, bytes_per_pixel=info.bytes_per_pixel)
    tuning.remember(rows(family, 2.0, 1.0, threads=99), machine())
    for twin in (AEInfer.load(family), pickle.loads(pickle.dumps(AEInfer.load(family)))):
        assert (twin._limits.tile, twin._limits.batch_pixels) == (24, 9000)
        options = twin._open_session()._session.get_session_options()
        assert options.intra_op_num_threads == thread_count(), "never more than there are"
    tuning.remember(rows(family, 2.0, 1.0), machine())
    assert AEInfer.load(family)._open_session()._session.get_session_options().intra_op_num_threads == 1
    asked = AEInfer.load(family, tile=40, batch=2, threads=2)
    assert asked._limits.tile == 40 != usual
    assert asked._limits.capacity(asked._limits.plan(8, 8)) == 2
    assert asked._open_session()._session.get_session_options().intra_op_num_threads == 2
    assert AEInfer.load(family, max_memory_mb=8)._limits.tile < 24


def test_loading_reads_the_file_once_and_hashes_once(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning.remember(rows(family, 2.0, 1.0), machine())
    reads: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or read(path))  # type: ignore
    hashes: list[bytes] = []
    import aeinfer.model_file
    import aeinfer.session

    for room in (aeinfer.model_file, aeinfer.session):
        monkeypatch.setattr(room, "fingerprint_of", lambda content: hashes.append(content) or fingerprint_of(content))
    AEInfer.load(family)
    assert [path.name for path in reads] == ["net.v2.onnx", "bench.json"]
    assert len(hashes) == 1


# The command


@pytest.mark.usefixtures("little")
def test_bench_prints_and_remembers(family: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "-m", str(family), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].startswith("net.v2 on ")
    assert f"remembered in {cache / 'bench.json'}" in printed
    found = tuning.recall(fingerprint_of(family.read_bytes()), machine)
    assert [tuned.precision for tuned in found] == ["fp32", "int8"]
    taken = "int8" if is_int8(AEInfer.load(family)) else "fp32"
    assert f"precision auto takes {taken}, remembered" in printed


@pytest.mark.usefixtures("little")
def test_bench_of_a_window_as_json_saves_nothing(
    tiny_window: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "-m", str(tiny_window), "--quick", "--json", "--no-save", "-d", "cpu"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["machine"], facts["saved"]) == ("tiny_window", machine("cpu"), None)
    assert {trial["varied"] for trial in facts["trials"]} == {"threads", "batch"}
    assert [best["tile"] for best in facts["best"]] == [None]
    assert not cache.exists()


@pytest.mark.usefixtures("little")
def test_bench_without_a_cache_folder_says_so_and_succeeds(
    tiny_window: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.write_text("a file is no folder")
    assert main(["bench", "-m", str(tiny_window), "--quick"]) == 0
    printed = capsys.readouterr()
    assert "cannot remember this" in printed.err
    assert "(not remembered)" in printed.out


@pytest.mark.parametrize(("options", "code"), [(["-m", "no-such"], 4), (["-m", "no.onnx"], 4), (["--size", "0x4"], 2)])
def test_bench_refuses(capsys: pytest.CaptureFixture[str], options: list[str], code: int) -> None:
    assert main(["bench", *options]) == code
    printed = capsys.readouterr()
    assert printed.err
    assert printed.out == ""  # no head of a table that does not come


def test_the_least_of_what_is_equally_fast_wins() -> None:
    tile = [measuring.Trial("tile", "fp32", 2, side, 10, rate) for side, rate in ((256, 4.0), (512, 4.9), (999, 5.0))]
    batch = [measuring.Trial("batch", "fp32", 2, 512, pixels, rate) for pixels, rate in ((10, 3.0), (40, 4.0))]
    assert measuring.best_settings([*tile, *batch], {"fp32": "a"}) == [Tuned("a", "fp32", 2, 512, 40, 4.9)]


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize(("size", "shape"), [("photo.png", (40, 50)), ("50x40", (50, 40, 3))])
def test_bench_measures_a_picture_of_a_file_or_a_size(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str, shape: tuple[int, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", np.zeros((40, 50), np.uint8))
    measured: list[tuple[int, ...]] = []
    denoise = AEInfer.denoise
    monkeypatch.setattr(
        AEInfer, "denoise", lambda ae, image, **more: measured.append(image.shape) or denoise(ae, image, **more)
    )
    assert main(["bench", "-m", str(tiny_model), "--quick", "--size", size, "--json"]) == 0
    assert set(measured) == {shape}
