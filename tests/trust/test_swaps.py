"""Whoever writes to the disk that a run lies on may exchange a file that was checked, or have another name for it."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from agents.evaluation.films import Film, Mp4
from lab.cli.main import main
from lab.configuration import load
from lab.console import progress
from lab.encoders import MLP, InputSpec
from lab.encoders import files as encoder_files
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import CheckpointError, ConfigError, SavingError
from lab.keys.signature import FIELD
from lab.needs import keep_copies, needs_of
from lab.report.page import gallery
from lab.saving import tensors
from lab.saving.checkpoint import SEGMENTS, publish, write_segment
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.saver import Cadence, Saver
from lab.system.opening import copy_plain, read_plain
from lab.system.signals import Stop
from lab.tracking import wandb as following
from lab.tracking.journal import Journal
from tests.faults.harness import copy_of_killed
from tests.support.recorded import medium, picture, recorded
from tests.support.toys import Maker


def before(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, swap: Callable[[], object], *, nth: int = 1) -> None:
    """Let `swap` happen when the function is called for the nth time, before its body."""
    original, calls = getattr(place, name), iter(range(1, 1000))

    def call(*given: Any, **more: Any) -> Any:
        if next(calls) == nth:
            swap()
        return original(*given, **more)

    monkeypatch.setattr(place, name, call)


@pytest.fixture
def checkpoint() -> Path:
    folder = Path("runs/x/run/checkpoints/final").absolute()
    segment = write_segment(folder.parent / SEGMENTS, 0, {"rows": torch.ones(3)})
    publish(folder, {"weight": torch.ones(4)}, {"run_id": "run", "note": "mine"}, [segment])
    return folder


@pytest.mark.parametrize("name", ["meta.json", "state.safetensors"])
def test_file_is_not_opened_again_after_it_was_hashed(
    name: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = tensors._require_hash

    def checked(path: Path, *given: Any) -> None:
        original(path, *given)
        if path.name == name:
            path.write_bytes(b"evil")

    monkeypatch.setattr(tensors, "_require_hash", checked)
    found = load_checkpoint(checkpoint)
    assert found.meta["note"] == "mine"
    assert torch.equal(found.state["weight"], torch.ones(4))
    assert (checkpoint / name).read_bytes() == b"evil"


def test_log_is_hashed_again_when_it_is_read(checkpoint: Path) -> None:
    (segment,) = load_checkpoint(checkpoint).segments
    assert torch.equal(segment.load()["rows"], torch.ones(3))
    shutil.copyfile(segment.path, "kept")
    write_segment(checkpoint.parent / SEGMENTS, 0, {"rows": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="its hash differs"):
        segment.load()
    segment.path.unlink()
    segment.path.symlink_to(Path("kept").absolute())
    with pytest.raises(CheckpointError, match="cannot be read"):
        segment.load()


@pytest.fixture
def own() -> Path:
    Path("maker.yaml").write_text(f"experiment: {Maker.__module__}.Maker\ndevice: cpu\nthreads: 1\n")
    return lab.run("maker.yaml").dir


def strip(manifest: Path) -> None:
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({name: one for name, one in values.items() if name != FIELD}))


def test_checkpoint_that_was_judged_is_the_loaded_one(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's checkpoint is put in place of the user's when the run was found to be his."""
    import lab.evaluation
    import lab.resuming

    message = "is not signed as a checkpoint of .*: it has just been replaced"
    final = own / "checkpoints" / "final" / "manifest.json"
    with monkeypatch.context() as patch:
        before(patch, lab.evaluation, "load_checkpoint", lambda: strip(final))
        with pytest.raises(CheckpointError, match=message):
            lab.evaluate(own)
        assert lab.evaluate(own, trust=True).status == "completed"
    (newest,) = own.glob("checkpoints/step-*/manifest.json")
    assert main(["trust", str(own)]) == 0
    with monkeypatch.context() as patch:
        before(patch, lab.resuming, "newest", lambda: strip(newest))
        with pytest.raises(CheckpointError, match=message):
            lab.resume(own, {"steps": 20})


def test_config_that_is_exchanged_is_judged_again(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that it is read, what is read is judged."""
    Path("evil.py").write_text("from pathlib import Path\nPath('canary').touch()\nclass X: pass\n")
    config = own / "config.yaml"
    mine = config.read_bytes()
    reading = "lab.config.files.read_plain"
    original = read_plain
    for nth in (1, 2, 3):
        for call in (
            lambda: lab.evaluate(own),
            lambda: lab.resume(own, {"steps": 20}),
            lambda: main(["run", str(config)]),
            lambda: main(["run", str(config), "--seeds", "0"]),
        ):
            reads = iter(range(1, 1000))

            def exchanged(path: Path, *given: Any, reads: Any = reads, nth: int = nth) -> bytes:
                content = original(path, *given)
                hit = path == config and next(reads) == nth
                return content.replace(b"tests.support.toys.Maker", b"evil.X") if hit else content

            monkeypatch.setattr(reading, exchanged)
            try:
                refused = call() == 2
            except ConfigError as error:
                refused = "is not signed as yours" in str(error)
            assert refused or nth > 1
            monkeypatch.setattr(reading, original)
    assert config.read_bytes() == mine
    assert not Path("canary").exists()


def test_weights_that_are_exchanged_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("mine")
    save_encoder(MLP(InputSpec((3,)), hidden=[2]), folder)
    save_encoder(MLP(InputSpec((3,)), hidden=[2]), Path("theirs"))
    before(
        monkeypatch,
        encoder_files,
        "_factory",
        lambda: shutil.copyfile("theirs/encoder.safetensors", folder / "encoder.safetensors"),
    )
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors is damaged"):
        load_encoder(folder)
    (folder / "manifest.json").unlink()
    (folder / "encoder.safetensors").unlink()
    os.truncate(os.open(folder / "encoder.safetensors", os.O_CREAT | os.O_WRONLY), 2**40)
    with pytest.raises(CheckpointError, match="more than"):
        load_encoder(folder)


def test_artifact_that_becomes_a_link_is_not_copied(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("taker.yaml").write_text("experiment: tests.support.toys.Taker\ntable: {run: maker, name: table}\n")
    Path("private").write_text("precious")
    config = load("taker.yaml")
    needs = needs_of(config, Path("runs").absolute())
    table = own / "artifacts" / "table" / "table.json"

    from lab import needs as module

    def swapped(path: Path, *more: Path) -> None:
        if path.name == table.name:  # which of the files comes first depends on the file system
            table.unlink()
            table.symlink_to(Path("private").absolute())
        copy_plain(path, *more)

    monkeypatch.setattr(module, "copy_plain", swapped)
    with pytest.raises(OSError, match="no regular file"):
        keep_copies(needs, recorded(Path("runs")), Path("copy"))
    assert not [path for path in Path("copy").rglob("table.json") if path.read_text() == "precious"]


def test_picture_that_becomes_a_link_is_not_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader may pass the page on."""
    run = recorded(Path("runs").absolute(), media={"eval-x.png": picture(tmp_path)}).dir
    Path("private").write_text("my private note")
    path = run / "media" / "eval-x.png"

    def swap() -> None:
        path.unlink()
        path.symlink_to(Path("private").absolute())

    before(monkeypatch, gallery, "read_plain", swap)
    assert main(["report", "-o", "report.html"]) == 0
    assert base64.b64encode(b"my private note").decode() not in Path("report.html").read_text()


def test_picture_that_becomes_a_link_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(Path("runs").absolute(), rows=[], media={"eval-x.png": picture(tmp_path)}).dir
    (run / "media.jsonl").write_text(json.dumps({**medium("eval/x", "eval-x.png"), "after": 0}) + "\n")
    Path("private").write_text("my private note")
    path = run / "media" / "eval-x.png"
    taken: list[bytes] = []

    def as_media(copy: Path) -> str:
        path.unlink()
        path.symlink_to(Path("private").absolute())
        taken.append(copy.read_bytes())
        return "media"

    monkeypatch.setattr(following, "as_media", as_media)
    follower = following.WandbFollower(run, name="x", run_id="x", config={}, mode="disabled")
    follower.before = {"metrics.jsonl": 0, "media.jsonl": 1}
    monkeypatch.setattr(follower, "_hand_on", lambda *row: None)
    place = tmp_path / "place"
    place.mkdir()
    follower._catch_up(place)
    assert taken == [picture(tmp_path)]
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", ["metrics.jsonl", "media.jsonl"])
def test_nothing_is_appended_under_another_name(name: str) -> None:
    Path("run").mkdir()
    Path("thesis.tex").write_text("precious\n")
    os.link("thesis.tex", f"run/{name}")
    journal = Journal(Path("run").absolute())
    journal.log({"a": 1.0}, axis="step", at=1)
    journal.media("eval/x", Path("x.png"), axis="step", at=1)
    journal.finish({})
    assert Path("thesis.tex").read_text() == "precious\n"
    assert Path("run", name).read_text().startswith("precious\n{")


def test_lineage_is_appended_under_no_other_name(own: Path) -> None:
    Path("taker.yaml").write_text("experiment: tests.support.toys.Taker\ntable: {run: maker, name: table}\n")
    Path("thesis.tex").write_text("precious\n")
    os.link("thesis.tex", own / "used_by.jsonl")
    taker = lab.run("taker.yaml")
    assert Path("thesis.tex").read_text() == "precious\n"
    assert taker.run_id in (own / "used_by.jsonl").read_text()


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_progress_is_left_through_no_link(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY", 0.0)
    monkeypatch.setattr(progress, "FILE_EVERY", 0.0)
    Path("thesis.tex").write_text("precious")
    for name in (".progress.json.part", "progress.json"):
        Path(name).symlink_to("thesis.tex") if kind == "symbolic" else os.link("thesis.tex", name)
    with progress.Progress("training", 10, "steps", folder=Path()) as bar:
        bar.update(5)
        assert json.loads(Path("progress.json").read_text())["done"] == 5
    assert Path("thesis.tex").read_text() == "precious"


def test_evaluation_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY", 0.0)
    monkeypatch.setattr(progress, "FILE_EVERY", 0.0)
    config = {"data.name": "digits", "trainer.max_steps": 2, "model.encoder": "MLP", "device": "cpu", "threads": 1}
    run = lab.run("cnn-mnist", config).dir
    (run / "progress.json").write_text("{}")  # of a process that works there
    held = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    lab.evaluate(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == held


def test_fork_of_a_strangers_run_is_made_behind_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("theirs"))
    folder = copy_of_killed("ppo", 3).absolute()
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("mine"))
    Path("thesis").mkdir()
    (folder.parent.parent / "linked").symlink_to(Path("thesis").absolute())
    with pytest.raises(ConfigError, match="linked is a link, and a run that is not signed"):
        lab.resume(folder, {"name": "linked"}, force=True)
    assert not list(Path("thesis").iterdir())


@pytest.mark.parametrize("name", ["", "checkpoints", "checkpoints/segments"])
def test_folder_that_becomes_a_link_is_not_cut_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is exchanged after the checkpoint in it was read."""
    import lab.resuming

    folder, victim = copy_of_killed("ppo", 3).absolute(), Path("victim").absolute()
    shutil.copytree(folder, victim)
    held = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}

    def swap() -> None:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).symlink_to(victim / name)

    before(monkeypatch, lab.resuming, "prepare", swap)
    with pytest.raises(ConfigError, match=r"is a link or no file|is another folder than a moment ago"):
        lab.resume(folder)
    assert {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()} == held


def test_checkpoint_is_saved_through_no_link() -> None:
    Path("victim/step-0000000001").mkdir(parents=True)
    Path("checkpoints").symlink_to("victim")
    saver = Saver(Path("checkpoints"), dict, Stop(), Cadence(1))
    with pytest.raises(SavingError, match="a link lies in its way"):
        saver.save(2, dict)
    with pytest.raises(SavingError, match="a link lies in its way"):
        publish(Path("checkpoints/best"), {}, {})
    assert [path.name for path in Path("victim").iterdir()] == ["step-0000000001"]


def test_film_empties_no_other_file(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    from PIL import Image

    Path("thesis.tex").write_text("precious")
    os.link("thesis.tex", ".film.part.mp4")
    os.link("thesis.tex", "film.mp4")
    film: Film
    with Mp4(Path("film.mp4").absolute(), 10.0) as film:
        for shade in (0, 255):
            film.add(Image.new("RGB", (32, 32), (shade, 0, 0)), 0.2)
    assert Path("thesis.tex").read_text() == "precious"
    assert Path("film.mp4").stat().st_nlink == 1


def test_resume_changes_nothing_under_another_name() -> None:
    """All files of a run have other names, as in a backup of hard links."""
    folder = copy_of_killed("vae", 5).absolute()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        copy = Path("backup") / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, copy)
    (Path("backup") / ".lock").unlink()
    held = {path: path.read_bytes() for path in Path("backup").rglob("*") if path.is_file()}
    assert len(held) > 5
    record = lab.resume(folder)
    assert record.status == "completed"
    lab.resume(folder, {"trainer.max_epochs": 4})
    assert main(["trust", str(folder)]) == 0
    assert {path: path.read_bytes() for path in Path("backup").rglob("*") if path.is_file()} == held
