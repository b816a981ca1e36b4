"""Tests of train.fetch against a local server that answers well, badly, or halfway."""

import gzip
import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from train import fetch, idx

NAMES = tuple(idx.KNOWN_SHA256["mnist"])
CONTENT = {name: struct.pack(">2I", 0x801, 300) + bytes([number]) * 300 for number, name in enumerate(NAMES)}
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENT.items()}

Reply = Callable[[BaseHTTPRequestHandler, bytes], None]


def good(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def missing(request: BaseHTTPRequestHandler, _: bytes) -> None:
    request.send_error(404)


def corrupted(request: BaseHTTPRequestHandler, body: bytes) -> None:
    good(request, body[:-8] + b"\xff" * 8)


def other_content(request: BaseHTTPRequestHandler, _: bytes) -> None:
    good(request, b"<html>log in first</html>")


def truncated(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[: len(body) // 2])


def silently_truncated(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(body[: len(body) // 2])


REPLIES: dict[str, Reply] = {
    reply.__name__: reply for reply in (good, missing, corrupted, other_content, truncated, silently_truncated)
}


class Mirrors(BaseHTTPRequestHandler):
    """Serves each reply under a folder of its name and counts what was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        _, reply, name = self.path.split("/")
        self.asked.append(self.path)
        REPLIES[reply](self, PACKED[name])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(idx, "KNOWN_SHA256", {"mnist": digests, "fashion-mnist": dict.fromkeys(NAMES, "0" * 64)})
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Mirrors, "asked", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_good_mirror_fills_a_new_folder(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mnist"
    assert fetch.main(["mnist", "--to", str(folder), "--from", f"{server}/good/"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == PACKED


def test_second_run_asks_for_nothing(server: str, tmp_path: Path) -> None:
    assert len(fetch.fetch("mnist", tmp_path, [f"{server}/good"])) == 4
    Mirrors.asked.clear()
    assert fetch.fetch("mnist", tmp_path, [f"{server}/good"]) == []
    assert Mirrors.asked == []


def test_plain_files_count_and_damaged_ones_are_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / NAMES[0]).write_bytes(CONTENT[NAMES[0]])
    (tmp_path / f"{NAMES[1]}.gz").write_bytes(PACKED[f"{NAMES[1]}.gz"][:20])
    (tmp_path / NAMES[2]).write_bytes(CONTENT[NAMES[2]][:-1])
    fetched = fetch.fetch("mnist", tmp_path, [f"{server}/good"])
    assert fetched == [tmp_path / f"{name}.gz" for name in NAMES[1:]]
    for name in NAMES:
        path = idx.find_idx(tmp_path, name)
        assert path is not None
        assert idx.read_unpacked(path) == CONTENT[name]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("missing", "404"),
        ("corrupted", "damaged or cut short"),
        ("other_content", "25 bytes came, but not the genuine content"),
        ("truncated", "IncompleteRead"),
        ("silently_truncated", "damaged or cut short"),
    ],
)
def test_bad_mirror_is_named_and_leaves_nothing(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], reply: str, reason: str
) -> None:
    assert fetch.main(["mnist", "--to", str(tmp_path), "--from", f"{server}/{reply}"]) == 1
    message = capsys.readouterr().err.split("error:", 1)[1]
    assert f"{server}/{reply}/{NAMES[0]}.gz" in message
    assert reason in message
    assert "--from" in message
    assert names_in(tmp_path) == set()


def test_next_mirror_is_tried(server: str, tmp_path: Path) -> None:
    mirrors = [f"{server}/{reply}" for reply in ("missing", "truncated", "corrupted", "good", "other_content")]
    fetch.fetch("mnist", tmp_path, mirrors)
    assert names_in(tmp_path) == set(PACKED)
    assert not any("other_content" in path for path in Mirrors.asked)


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch.main(["mnist", "--to", str(tmp_path), "--from", "http://127.0.0.1:1"]) == 1
    assert "refused" in capsys.readouterr().err


def test_folder_of_another_set_is_left_alone(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.fetch("mnist", tmp_path, [f"{server}/good"])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert fetch.main(["fashion-mnist", "--to", str(tmp_path), "--from", f"{server}/good"]) == 1
    assert "already holds mnist" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_target_that_is_a_file_is_refused_and_kept(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "file"
    target.write_text("mine")
    assert fetch.main(["mnist", "--to", str(target), "--from", f"{server}/good"]) == 1
    assert "choose another folder with --to" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_interruption_leaves_no_half_file(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch.Path, "replace", interrupt)
    assert fetch.main(["mnist", "--to", str(tmp_path), "--from", f"{server}/good"]) == 130
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("arguments", [["cifar", "--to", "x"], ["mnist"], ["mnist", "--to", "x", "--from", "mirror"]])
def test_wrong_usage_exits_with_2(arguments: list[str], complaint: Callable[..., str]) -> None:
    complaint(fetch.main, *arguments)


def test_mirrors_are_known_for_each_set_and_each_is_an_address() -> None:
    assert set(fetch.MIRRORS) == set(idx.KNOWN_SHA256)
    assert all(url.startswith("http") and url.endswith("/") for urls in fetch.MIRRORS.values() for url in urls)
