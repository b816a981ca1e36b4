"""Fixtures of all tests: the tiny models that tests/export/make_tiny_models.py writes."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import aeinfer

settings.register_profile("patient", deadline=None)  # a first call compiles, and other work may have the cores
settings.load_profile("patient")  # --hypothesis-profile comes later, and counts
DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session", autouse=True)
def nothing_measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `aeinfer bench` found on this machine must not decide what the tests see."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEINFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> Iterator[None]:
    """Where tests run in the background, a shell or nohup lets them, and the programs that they start, ignore some."""
    heard = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    before = {
        getattr(signal, name): signal.signal(getattr(signal, name), handler)
        for name, handler in heard.items()
        if hasattr(signal, name)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def programs_import_what_is_tested() -> Iterator[None]:
    """In whatever folder a test starts them."""
    paths = [str(Path(aeinfer.__file__).parents[1]), str(DATA.parents[1]), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        yield


@pytest.fixture(scope="session", autouse=True)
def programs_are_compiled() -> Iterator[None]:
    """With NUMBA_DISABLE_JIT the loops of this process are Python, those of the programs that it starts are not."""
    if "NUMBA_DISABLE_JIT" in os.environ:
        import numba  # noqa: F401 # it reads the variable when it is imported
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NUMBA_DISABLE_JIT", raising=False)
        yield


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call the `main` of a command that must end with this code, and return what it says of that."""

    def said(main: Callable[[], object], *arguments: object, code: int = 2) -> str:
        monkeypatch.setattr("sys.argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == code
        return capsys.readouterr().err

    return said


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """A colour network with free sides: stride 4, halo 32, random weights."""
    return DATA / "tiny.onnx"


@pytest.fixture(scope="session")
def tiny_grey() -> Path:
    """The same for one channel."""
    return DATA / "tiny_grey.onnx"


@pytest.fixture(scope="session")
def tiny_window() -> Path:
    """A network of a fixed 8x8 window, one channel, with its encoder and decoder beside it."""
    return DATA / "tiny_window.onnx"
