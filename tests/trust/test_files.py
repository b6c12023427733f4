"""Files of a run are opened below its folder, through no link, never a pipe or device, and bounded in size."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from lab.cli.completion import _settings
from lab.cli.main import main
from lab.config.plain import NotPlainError, parse
from lab.config.values import marked
from lab.errors import CheckpointError, ConfigError
from lab.resuming import resume
from lab.runs.folder import at_work, locked, require_no_links
from lab.saving.checkpoint import load, publish
from lab.system.files import write_atomic
from lab.system.opening import is_plain, open_plain, read_plain, unshare
from lab.tracking.journal import cut_journal
from lab.tracking.sync import sync
from lab.tracking.wandb_client import copy_of_media
from tests.support.recorded import recorded


def test_only_regular_files_are_opened() -> None:
    folder = Path("run").absolute()
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"abc")
    Path("outside").write_bytes(b"private")
    assert read_plain(folder / "deep" / "file", folder) == b"abc"
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(Path("outside").absolute())
    (folder / "inner").symlink_to("deep")
    (folder / "gone").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("run/socket")
    for name in ("pipe", "link", "inner/file", "gone", "socket", "deep", "../outside", "deep/../deep/file"):
        assert not is_plain(folder / name, folder), name
    with pytest.raises(FileNotFoundError):
        open_plain(folder / "missing", folder)
    with pytest.raises(OSError, match="more than 2 bytes"):
        read_plain(folder / "deep" / "file", folder, most=2)
    assert read_plain(folder / "link") == b"private", "the user's own links are followed"
    with pytest.raises(OSError, match="no regular file"):
        read_plain(Path("/dev/zero"))


@pytest.fixture
def run() -> Path:
    return recorded(Path("runs").absolute()).dir


NAMES = ("summary.json", "config.yaml", "metrics.jsonl", "media.jsonl", ".lock", "checkpoints", "media")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", NAMES)
def test_no_command_waits_for_a_file(name: str, run: Path) -> None:
    """A pipe that nobody writes to would be waited for for ever."""
    place = run / name
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    os.mkfifo(place)
    other = recorded(Path("runs").absolute(), seed=1).dir
    commands = [["runs"], ["runs", "--json"], ["runs", "--export", "csv"], ["report", "--check"]]
    commands += [["eval", str(run)], ["resume", str(run)], ["runs", "--diff", str(run), str(other)]]
    for words in (*commands, ["show", str(run / "config.yaml")], ["trust", str(run)]):
        assert main(words) in (0, 1, 2, 5), words
    with pytest.raises(ConfigError):
        sync(run, mode="offline")


@pytest.mark.parametrize("name", NAMES[:5])
def test_no_command_reads_a_device(name: str, run: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to("/dev/zero")
    for words in (["runs", "--export", "csv"], ["report", "--check"], ["eval", str(run)], ["resume", str(run)]):
        assert main(words) in (0, 1, 2, 5), words
    with pytest.raises(ConfigError):
        sync(run, mode="offline")


@pytest.mark.parametrize(
    "name",
    ["media", "checkpoints", "checkpoints/segments", "metrics.jsonl", "needs", "artifacts", "wandb", "any", "a/b"],
)
def test_nothing_is_written_through_a_link(name: str, run: Path) -> None:
    victim = Path("victim").absolute()
    victim.mkdir()
    (victim / "thesis.tex").write_text("precious")
    place = run / name
    place.parent.mkdir(exist_ok=True)
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to(victim if "." not in name else victim / "thesis.tex")
    for call in (resume, lambda folder: sync(folder, mode="offline")):
        with pytest.raises(ConfigError, match=f"{place} is a link"):
            call(run)
    assert main(["trust", str(run)]) == 2
    assert (victim / "thesis.tex").read_text() == "precious"
    assert main(["runs", "rm", "--yes", str(run)]) == 0, "it can be removed"
    assert (victim / "thesis.tex").read_text() == "precious"


def test_links_of_wandb_stay(run: Path) -> None:
    (run / "wandb" / "run-1").mkdir(parents=True)
    (run / "wandb" / "latest-run").symlink_to("run-1")
    require_no_links(run)
    (run / "wandb" / "other").symlink_to("../..")
    require_no_links(run)
    assert (run / "wandb" / "latest-run").is_symlink()
    assert not os.path.lexists(run / "wandb" / "other"), "what leads elsewhere is removed"


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_atomic_write_replaces_a_link(kind: str) -> None:
    Path("thesis.tex").write_text("precious")
    for name in (".summary.json.part", "summary.json"):
        place = Path(name)
        place.symlink_to("thesis.tex") if kind == "symbolic" else os.link("thesis.tex", place)
    write_atomic(Path("summary.json"), b"{}")
    assert Path("thesis.tex").read_text() == "precious"
    assert stat.S_ISREG(Path("summary.json").lstat().st_mode)


def test_shared_files_are_not_cut() -> None:
    """A journal that has another name, as in a backup of hard links, gets bytes of its own first."""
    Path("run").mkdir()
    Path("thesis.tex").write_text("precious")
    os.link("thesis.tex", "run/metrics.jsonl")
    cut_journal(Path("run"), {})
    assert Path("thesis.tex").read_text() == "precious"
    assert Path("run/metrics.jsonl").read_text() == ""
    unshare(Path("missing"))


def test_notes_stay_beside_their_sound() -> None:
    """The journal names the sound alone."""
    media = Path("run/media")
    media.mkdir(parents=True)
    for name in ("sample-1.wav", "sample-1.mid", "sample-2.wav", "sample-2.mid"):
        (media / name).touch()
    row = json.dumps({"time": 1, "file": "sample-1.wav"}) + "\n"
    Path("run/media.jsonl").write_text(row + row.replace("-1", "-2"))
    cut_journal(Path("run"), {"media.jsonl": len(row)})
    assert {path.name for path in media.iterdir()} == {"sample-1.wav", "sample-1.mid"}


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_lock_empties_nothing(kind: str, run: Path) -> None:
    Path("thesis.tex").write_text("precious")
    (run / ".lock").unlink(missing_ok=True)
    target = Path("thesis.tex").absolute()
    (run / ".lock").symlink_to(target) if kind == "symbolic" else os.link(target, run / ".lock")
    assert not at_work(run)
    with pytest.raises(ConfigError, match=r"\.lock is a link"), locked(run):
        pass
    assert Path("thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &x [1]\nb: *x\n", "has an alias"),
        ("a: &a [*a]\n", "has an alias"),
        ("[" * 65 + "]" * 65, "is deeper than 64 levels"),
        ("- " * 100_000 + "x", "is deeper than 64 levels"),
        ("a: !!set {b}\n", "holds a set"),
        ("a: !!binary aGVsbG8=\n", "holds a bytes"),
        ("a: !!python/object/apply:os.system [id]\n", "is not valid YAML at line 1"),
        ("? [a]\n: b\n", "is not valid YAML"),
        ("null: x\n", "has the key None"),
        ("yes: x\n", "has the key True"),
        ("a: 0x" + "f" * 5000, "holds a number of 20,000 bits"),
        ("a: " + "9" * 5000, "holds a value that cannot be read"),
        ("a: 1" + ":0" * 1_000_000, "has a text of 2,000,001 characters"),
        ("a: 0x" + "f" * 20_000, "there is a number of 20,002 characters"),
        ("a: 1\n---\nb: 1\n", "is not valid YAML"),
        ("a: 1\n<<: x\n", "is not valid YAML"),
        ("a: '\udc80'", "is not in UTF-8"),
    ],
)
def test_yaml_of_a_run_is_plain(text: str, sentence: str) -> None:
    with pytest.raises(NotPlainError, match=sentence):
        parse(text.encode("utf-8", "surrogateescape"), bounded=True)


@pytest.mark.timeout(60)
def test_numbers_in_base_60_take_no_time(run: Path) -> None:
    """Wherever a text is read: in a run's config, in the user's own, and as a word of the command line."""
    long = "1" + ":0" * 300_000
    found = parse(f"a: {long}\nb: 1:30\nc: 010\nd: -12\n".encode(), bounded=True)
    assert found == {"a": long, "b": "1:30", "c": "010", "d": -12}
    assert parse(b"a: 1:30\nb: 0x1f\n", bounded=False) == {"a": 90, "b": 31}, "the user's own is YAML 1.1, as before"
    with pytest.raises(NotPlainError, match=r"there is a number of 600,001 characters"):
        parse(f"a: {long}".encode(), bounded=False)
    assert marked({"a": long}) == {"a": long}
    with (run / "config.yaml").open("a") as config:
        config.write(f"seed: {long}\n")
    assert main(["runs", "--columns", "seed"]) == 0


def test_own_yaml_has_anchors_and_dates() -> None:
    assert parse(b"a: &x [1]\nb: *x\nday: 2026-02-03\n", bounded=False)["b"] == [1]


def test_bomb_is_refused_at_once(run: Path) -> None:
    lines = ["x0: &x0 [lol, lol, lol, lol]", *(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}, *x{i - 1}]" for i in range(1, 40))]
    (run / "config.yaml").write_text("\n".join(lines))
    for words in (["runs", "--export", "csv"], ["report", "--check"], ["eval", str(run)], ["resume", str(run)]):
        assert main(words) in (0, 1, 2, 5)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("place", ["folder-0/bomb.yaml", "folder-0/20260101-000000/config.yaml"])
def test_completion_reads_a_strangers_file_with_bounds(place: str, run: Path) -> None:
    """The shell asks as soon as its name stands in the line."""
    lines = ["a0: &a0 {x: 1, y: 2}", *(f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}" for i in range(1, 40))]
    path = run.parents[1] / place
    path.write_text("\n".join(lines))
    assert not _settings(["show", str(path)])
    own = Path("own.yaml")
    own.write_text("base: &base {x: 1}\nother: *base\n")
    assert _settings(["run", str(own)]) == {"base.x", "other.x"}


@pytest.mark.parametrize(
    ("name", "content", "fits"),
    [
        ("x.png", b"\x89PNG....", True),
        ("x.png", b"%!PS-Adobe-3.0 EPSF-3.0", False),
        ("x.gif", b"GIF89a", True),
        ("x.gif", b"%!PS", False),
        ("x.wav", b"RIFF....WAVE", True),
        ("x.eps", b"%!PS", False),
        ("x.txt", b"any", True),
        ("x.html", b"<script>", False),
    ],
)
def test_media_are_what_their_names_say(name: str, content: bytes, fits: bool, run: Path) -> None:
    (run / "media").mkdir(exist_ok=True)
    (run / "media" / name).write_bytes(content)
    place = Path("place")
    place.mkdir()
    copy = copy_of_media(run / "media" / name, run, place)
    assert (copy is not None) is fits
    assert not copy or copy.read_bytes() == content
    shutil.move(run / "media", "elsewhere")
    (run / "media").symlink_to(Path("elsewhere").absolute())
    assert copy_of_media(run / "media" / name, run, place) is None, "behind a link"


@pytest.mark.timeout(60)
def test_huge_checkpoint_is_not_read(tmp_path: Path) -> None:
    """A file with a hole of a terabyte takes no space to send, and hours to hash."""
    folder = tmp_path / "run" / "checkpoints" / "final"
    publish(folder, {}, {})
    os.truncate(folder / "state.safetensors", 2**40)
    with pytest.raises(CheckpointError, match="its size differs from the one in the manifest"):
        load(folder)


def test_huge_summary_is_no_run(run: Path) -> None:
    values = json.loads((run / "summary.json").read_text())
    with (run / "summary.json").open("w") as file:
        json.dump(values | {"x": "x" * 70_000_000}, file)
    assert main(["runs", "--json"]) == 0
    assert main(["eval", str(run)]) == 2
