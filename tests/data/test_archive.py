from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.data import archive as archive_module
from lab.data.archive import content_hash, members, read_archive
from lab.data.catalog import Dataset, RemoteArchive, entries
from lab.data.download import DamagedDataError, UnavailableError
from lab.errors import DataError

FILES = {"recordings/b.wav": b"second", "recordings/a.wav": b"first", "README.md": b"read me"}
WANTED = {"recordings/a.wav": b"first", "recordings/b.wav": b"second"}


def tar(path: Path, files: dict[str, bytes], outer: str = "sounds-1.0/") -> Path:
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(outer + name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes], outer: str = "sounds-1.0/") -> Path:
    with zipfile.ZipFile(path, "w") as out:
        out.mkdir("sounds-1.0")
        for name, content in files.items():
            out.writestr(outer + name, content)
    return path


def dataset(tmp_path: Path, *, content: str = content_hash(WANTED), md5: str = "", mirror: str = "") -> Dataset:
    """A data set in an archive, with its folder."""
    remote = RemoteArchive("sounds.tar.gz", 100, "recordings/*.wav", content, md5)
    made = Dataset("sounds", "a test", "none", (mirror or "http://127.0.0.1:9/",), archive=remote, stand_in="digits")
    made.folder.mkdir(parents=True)
    return made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the loopback address that serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("outer", ["", "sounds-1.0/"])
def test_zip_and_tar_read_alike(tmp_path: Path, pack: object, outer: str) -> None:
    read = read_archive(pack(tmp_path / "packed", FILES, outer), "recordings/*.wav")  # type: ignore[operator]
    assert list(read.items()) == list(WANTED.items())


def test_links_are_left_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            out.addfile(info)
        out.addfile(tarfile.TarInfo("real"))
    assert read_archive(tmp_path / "a.tar") == {"real": b""}


@pytest.mark.parametrize("pack", [tar, zipped])
def test_nothing_is_written(tmp_path: Path, pack: object) -> None:
    """A name that leads out of the folder is only a name."""
    before = os.listdir(tmp_path)
    packed = pack(tmp_path / "packed", {"../../evil.wav": b"evil", "/evil.wav": b"evil"}, "")  # type: ignore[operator]
    assert len(read_archive(packed)) == 2
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "packed"])


def test_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="holds 11 bytes of files; at most 10 are read"):
        read_archive(tar(tmp_path / "packed", FILES), "recordings/*")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"a\.zip cannot be read as a zip or tar archive"):
        read_archive(tmp_path / "a.zip")
    whole = tar(tmp_path / "b.tar.gz", FILES).read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as a zip or tar archive"):
        read_archive(tmp_path / "b.tar.gz")


def test_content_hash_is_of_names_and_bytes() -> None:
    assert content_hash(WANTED) == content_hash(dict(reversed(WANTED.items())))
    swapped = dict(zip(WANTED, reversed(WANTED.values()), strict=True))
    assert len({content_hash(one) for one in (WANTED, swapped, FILES)}) == 3


def test_archive_is_downloaded_once(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = served
    tar(folder / "sounds.tar.gz", FILES)
    made, said = dataset(tmp_path, mirror=address), list[str]()
    monkeypatch.setitem(entries(), "sounds", made)
    assert not made.present()
    for _ in range(2):
        assert members(made, said.append) == WANTED
        assert made.present()
    assert said == [f"downloading sounds: sounds.tar.gz (0.0 MB) to {made.folder}"]
    assert main(["data", "fetch", "sounds"]) == 0
    assert "verified" in capsys.readouterr().out


def test_other_archive_is_not_kept(tmp_path: Path, served: tuple[Path, str]) -> None:
    folder, address = served
    tar(folder / "sounds.tar.gz", FILES | {"recordings/a.wav": b"other"})
    made = dataset(tmp_path, mirror=address)
    with pytest.raises(UnavailableError, match="the archive received is not the one"):
        members(made)
    assert not made.present()


def test_unreachable_archive_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="sounds could not be downloaded"):
        members(dataset(tmp_path))


def test_unpacked_files_are_taken(tmp_path: Path) -> None:
    made = dataset(tmp_path)
    (made.folder / "recordings").mkdir()
    for name, content in WANTED.items():
        (made.folder / name).write_bytes(content)
    assert made.present()
    assert members(made) == WANTED
    (made.folder / "recordings" / "a.wav").write_bytes(b"other")
    with pytest.raises(DamagedDataError, match=r"2 files in .*recordings are not those that were published: expected"):
        members(made)


def test_archive_is_verified_by_its_md5(tmp_path: Path) -> None:
    packed = tar(tmp_path / "packed", FILES)
    made = dataset(tmp_path, content="", md5=hashlib.md5(packed.read_bytes(), usedforsecurity=False).hexdigest())
    (made.folder / "sounds.tar.gz").write_bytes(packed.read_bytes())
    assert members(made) == WANTED
    (made.folder / "sounds.tar.gz").write_bytes(b"other")
    with pytest.raises(DamagedDataError, match=r"sounds\.tar\.gz is damaged: expected md5"):
        members(made)


def test_named_folder_is_no_part_of_names(tmp_path: Path) -> None:
    """Where the archive has other files beside the folder."""
    packed = tar(tmp_path / "packed", {"README": b"", "inner/a.pos": b"1", "inner/a.neg": b"2"}, "")
    assert read_archive(packed, "a.*", "inner") == {"a.neg": b"2", "a.pos": b"1"}
    with pytest.raises(DataError, match=r"has no file a\.\*"):
        read_archive(packed, "a.*")
