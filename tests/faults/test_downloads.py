"""Downloads that are wrong, incomplete or impossible. A partial file is never used."""

from __future__ import annotations

import hashlib
import socketserver
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.data import Images
from lab.data.catalog import Dataset, RemoteFile, entries, lookup
from lab.data.download import DamagedDataError, UnavailableError, fetch


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A loopback server and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


def register(monkeypatch: pytest.MonkeyPatch, content: bytes, *mirrors: str) -> Dataset:
    file = RemoteFile("a.bin", len(content), hashlib.sha256(content).hexdigest())
    dataset = Dataset("tiny", "a test", "none", mirrors, (file,))
    monkeypatch.setitem(entries(), "tiny", dataset)
    return dataset


@pytest.mark.fault(19)
def test_next_mirror_is_tried(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = server
    (folder / "a.bin").write_bytes(b"right")
    dataset = register(monkeypatch, b"right", "http://127.0.0.1:9/", address + "missing/", address)
    said: list[str] = []
    paths = fetch(dataset, announce=said.append)
    assert paths["a.bin"].read_bytes() == b"right"
    assert dataset.present()
    assert len(said) == 1
    fetch(dataset, announce=said.append)
    assert len(said) == 1, "files that exist are not downloaded again"


@pytest.mark.fault(19)
def test_wrong_download_is_deleted(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = server
    (folder / "a.bin").write_bytes(b"wrong")
    dataset = register(monkeypatch, b"right", address)
    with pytest.raises(UnavailableError, match="wrong hash"):
        fetch(dataset)
    assert not list(dataset.folder.glob("*"))
    (folder / "a.bin").write_bytes(b"right")
    assert fetch(dataset)["a.bin"].read_bytes() == b"right", "a retry works"


@pytest.mark.fault(19)
def test_damaged_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    file = lookup("mnist").folder / "train-images-idx3-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not MNIST")
    with pytest.raises(DamagedDataError, match=r"expected sha256 440fcabf73cc546f\.\.\., received .*; delete it"):
        Images().prepare()


class CutOff(socketserver.BaseRequestHandler):
    """Announces more bytes than it sends."""

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 2000)


@pytest.mark.fault(19)
def test_short_download_is_deleted(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"x" * 5000
    with socketserver.TCPServer(("127.0.0.1", 0), CutOff) as short:
        threading.Thread(target=short.serve_forever, daemon=True).start()
        dataset = register(monkeypatch, content, f"http://127.0.0.1:{short.server_address[1]}/")
        with pytest.raises(UnavailableError):
            fetch(dataset)
        assert not list(dataset.folder.glob("*"))
        assert main(["data", "fetch", "tiny"]) == 2
        short.shutdown()
    folder, address = server
    (folder / "a.bin").write_bytes(content)
    register(monkeypatch, content, address)
    assert main(["data", "fetch", "tiny"]) == 0, "a retry works"
    assert (dataset.folder / "a.bin").read_bytes() == content
