"""Something hostile in every file and every field of a run: no code of it runs, and each command says a sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.capabilities import Episode
from lab.cli.main import main
from lab.cli.output import stdout
from lab.cli.views.evaluation import comparison, returns_table
from lab.cli.views.panel import announcement, next_steps, panel
from lab.configuration import load
from lab.encoders import MLP, Combined, InputSpec
from lab.encoders.files import load_encoder, save_encoder
from lab.encoders.trained_on import TrainedOn
from lab.errors import LabError
from lab.runs.summary import read_summary
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.checkpoint import publish
from lab.saving.specs import spec_from_json
from lab.statistics import spread
from lab.system.files import print_of, write_json
from lab.tracking.journal import cut_journal, read_in_order
from lab.tracking.sync import sync
from tests.faults.harness import SLOW, copy_of_killed
from tests.support.recorded import recorded

CANARY, VICTIM = Path("canary"), Path("victim.txt")
ESCAPES = "\x1b]52;c;cm0=\x07\x1b[2J\r\nFORGED \u202e\x9b31m\ud800"
SHELL = {"class_path": "subprocess.Popen", "init_args": {"args": "touch canary", "shell": True}}
EVIL = {"class_path": "evil.X", "init_args": {}}


class Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch canary",)


def values() -> list[Any]:
    return [
        *(ESCAPES, str(VICTIM.absolute()), "../../../victim.txt", "evil.X", "${env:HOME}", "!!python/name:os.system"),
        *(SHELL, EVIL, [SHELL], {"class": "evil.X", "settings": {}}, {"$tensor": "x"}, {"kind": "evil.X"}),
        *(None, True, -1, 10**400, 1e308, float("nan"), [], {}, [[]] * 3, {"a": {"b": {}}}),
        *(1.5, 2**70, "", "x" * 10_000, "2026-02-30"),
    ]


@pytest.fixture(autouse=True)
def surroundings() -> Iterator[None]:
    """Code that leaves a trace when it is imported, and a file of the reader's."""
    for place in (Path(), Path("runs"), Path("runs/theirs")):
        place.mkdir(exist_ok=True)
        (place / "evil.py").write_text("from pathlib import Path\nPath('canary').touch()\nclass X: pass\n")
    VICTIM.write_text("precious")
    yield
    assert not CANARY.exists()
    assert VICTIM.read_text() == "precious"


ALL = pytest.param(1, marks=SLOW)
SHARES = pytest.mark.parametrize("share", [8, ALL])
"""Of the values, each field gets one in eight, and in `make faults` all."""
FEWER = pytest.mark.parametrize("share", [150, ALL])
"""One field in six gets one, where a config is read for each."""


def some(number: int, share: int) -> list[Any]:
    return values()[number % share :: share]


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every field of nested JSON, those that hold others too."""
    if place:
        yield place
    inner = value.items() if isinstance(value, Mapping) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, one in inner:
        yield from leaves(one, (*place, name))


def planted(value: Any, place: tuple[Any, ...], what: Any) -> Any:
    """Return a copy with something else at a place."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = what
    return copy


@SHARES
def test_every_field_of_a_summary(share: int, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(Path("runs").absolute()).dir
    original = json.loads((run / "summary.json").read_text())
    recorded(Path("runs").absolute(), seed=1)
    for number, place in enumerate(leaves(original)):
        for what in some(number, share):
            (run / "summary.json").write_text(json.dumps(planted(original, place, what)))
            for words in (["runs"], ["runs", "--json"], ["show", str(run)]):
                assert main(words) in (0, 2), (place, what)
            said = capsys.readouterr()
            shown = said.out.replace(json.dumps(ESCAPES), "") + said.err
            assert not any(mark in shown for mark in ("\x1b", "\x07", "\x9b", "\u202e")), (place, what)
            assert not any(line.startswith("FORGED") for line in shown.splitlines()), (place, what)


def test_every_field_of_a_summary_is_reviewed() -> None:
    run = recorded(Path("runs").absolute()).dir
    original = json.loads((run / "summary.json").read_text())
    for number, place in enumerate(leaves(original)):
        what = values()[number % len(values())]
        (run / "summary.json").write_text(json.dumps(planted(original, place, what)))
        assert main(["report", "--check"]) in (0, 1, 2), (place, what)


@FEWER
@pytest.mark.parametrize("name", ["ppo-cartpole", "cnn-mnist"])
def test_every_setting_of_a_config(name: str, share: int) -> None:
    config = load(name).as_dict()
    folder = Path("runs/theirs/run")
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    before = set(os.listdir())
    for number, place in enumerate(leaves(config)):
        for what in some(7 * number, share):  # fields of all parts
            (folder / "config.yaml").write_text(yaml.safe_dump(planted(config, place, what)))
            again = None
            with suppress(LabError):
                again = load(str(folder / "config.yaml"))
            named = isinstance(what, dict) and "class_path" in what
            assert again is None or (again.stranger is not None and not named), (place, what)
    assert set(os.listdir()) == before


@SHARES
def test_every_field_of_an_encoder(share: int) -> None:
    spec = {"a": InputSpec((3,)), "b": InputSpec((2,))}
    for number, encoder in enumerate((MLP(InputSpec((4,)), hidden=[3]), Combined(spec, default=MLP))):
        folder = Path("runs/theirs") / str(number)
        save_encoder(encoder, folder, TrainedOn("standardised", ("a", "b"), "0" * 64))
        (folder / "manifest.json").unlink()  # or its hash would be all that is tried
        original = json.loads((folder / "encoder.json").read_text())
        for at, place in enumerate(leaves(original)):
            for what in some(at, share):
                (folder / "encoder.json").write_text(json.dumps(planted(original, place, what)))
                with suppress(LabError):
                    load_encoder(folder)


def test_every_field_of_a_checkpoint() -> None:
    folder = Path("runs/theirs/run/checkpoints/step-0000000001")
    publish(folder, {"a": {"b": [1, (2, 3.5)], "step": 1}}, {"run_id": "x", "journal": {"metrics.jsonl": 5}})
    for name in ("manifest.json", "meta.json"):
        original = json.loads((folder / name).read_text())
        manifest = json.loads((folder / "manifest.json").read_text())
        for place in leaves(original):
            for what in values():
                (folder / name).write_text(json.dumps(planted(original, place, what)))
                if name == "meta.json":  # whoever writes a checkpoint can write its hashes
                    manifest["files"][name] = print_of(folder / name)
                    (folder / "manifest.json").write_text(json.dumps(manifest))
                try:
                    load_checkpoint(folder)
                except LabError:
                    continue
        shutil.rmtree(folder)
        publish(folder, {"a": {"b": [1, (2, 3.5)], "step": 1}}, {"run_id": "x", "journal": {"metrics.jsonl": 5}})


def test_every_field_of_a_form() -> None:
    form = {"kind": "data", "input": {"kind": "input", "shape": [4]}, "target": {"kind": "classes", "n": 2}}
    for place in leaves(form):
        for what in values():
            try:
                spec_from_json(planted(form, place, what))
            except (LabError, ValueError):
                continue


def test_every_field_of_a_journal() -> None:
    rows = [{"time": 1.0, "axis": "env_steps", "env_steps": 1, "eval/return_mean": 1.0}]
    media = [{"time": 1.0, "axis": "env_steps", "env_steps": 1, "name": "eval/x", "file": "x.png", "after": 1}]
    run = recorded(Path("runs").absolute(), rows=rows, media={"x.png": b"\x89PNG"}).dir
    for name, row in (("metrics.jsonl", rows[0]), ("media.jsonl", media[0])):
        original = (run / name).read_text()
        for number, place in enumerate(leaves(row)):
            for what in [*values()[number % 3 :: 3], pickle.dumps(Payload()).decode("latin-1")]:
                (run / name).write_text(json.dumps(planted(row, place, what)) + "\n")
                for call in (lambda: list(read_in_order(run)), lambda: cut_journal(run, {"metrics.jsonl": 500})):
                    try:
                        call()
                    except (LabError, ValueError, TypeError):
                        continue
                assert main(["report", "--check"]) in (0, 1, 2), (place, what)
        (run / name).write_text(original)


@pytest.mark.parametrize("name", ["metrics.jsonl", "media.jsonl"])
@pytest.mark.parametrize(
    "content", [b"5\n", b"[1]\n", b"\xff\n", b"{}\n", b'{"a": ' + b"[" * 5000 + b"\n", b"\x80\x04."]
)
def test_damaged_journals_are_said_in_a_sentence(name: str, content: bytes) -> None:
    run = recorded(Path("runs").absolute()).dir
    (run / name).write_bytes(content)
    for words in (["runs"], ["report", "--check"], ["resume", str(run)], ["eval", str(run)]):
        assert main(words) in (0, 1, 2, 5), words
    try:
        sync(run, mode="offline")
    except LabError:
        return


def test_checkpoint_of_a_stranger_is_not_believed() -> None:
    """A resume reads how long the journal was, which settings were trained with, and the parts of the loop's state."""
    folder = copy_of_killed("ppo", 3).absolute()
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    described = json.loads((newest / "meta.json").read_text())
    manifest = json.loads((newest / "manifest.json").read_text())
    journals: list[Any] = [[], {"metrics.jsonl": "x"}, {"../../victim.txt": 1}, None]
    configs: list[Any] = [EVIL, None, {"extends": str(VICTIM.absolute())}]
    changes: list[tuple[tuple[str, ...], Any]] = [
        *((("meta", "journal"), what) for what in journals),
        *((("meta", "journal", "metrics.jsonl"), what) for what in (-1, 10**30, "x")),
        *((("meta", "config"), what) for what in configs),
        (("meta", "surroundings"), {"deep-learning-lab": "0.0.1"}),
    ]
    for place, what in changes:
        write_json(newest / "meta.json", planted(described, place, what))
        manifest["files"]["meta.json"] = print_of(newest / "meta.json")
        write_json(newest / "manifest.json", manifest)
        assert main(["resume", str(folder)]) in (2, 5), (place, what)
    assert read_summary(folder).status == "running"


def test_escapes_in_a_config_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where a setting is quoted in an error, nor where it is printed."""
    config = load("ppo-cartpole").as_dict()
    folder = Path("runs/theirs/run")
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    quoted = ESCAPES.replace("\ud800", "")
    for key, what in (("agent", {"class_path": f"evil{quoted}.X"}), ("description", quoted), (f"x{quoted}", 1)):
        (folder / "config.yaml").write_text(yaml.safe_dump({**config, key: what}))
        assert main(["show", str(folder / "config.yaml")]) == (0 if key == "description" else 2)
        told = capsys.readouterr()
        said = told.out + told.err
        assert not any(mark in said for mark in ("\x1b", "\x07", "\x9b", "\u202e")), key
        assert not any(line.startswith("FORGED") for line in said.splitlines()), key
        if told.out:
            assert yaml.safe_load(told.out)["description"] == quoted, "still the same YAML"


def test_escapes_in_a_summary_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither above the figures of an evaluation, nor in the panel of a run that was resumed."""
    record = recorded(
        Path("runs").absolute(), name=ESCAPES, run_id=ESCAPES, device=ESCAPES, versions={"torch": ESCAPES}
    )
    again = replace(
        record, metrics={ESCAPES: 1.0}, judged=ESCAPES, needs=[{"name": ESCAPES}], wandb={"problem": ESCAPES}
    )
    for name in ("reference", "dataset", "resume", "parent"):
        setattr(again, name, {**(getattr(again, name) or {}), **TOLD.get(name, {})})
    played = spread([1.0, 2.0])
    found = (
        comparison(record, again),
        returns_table(record, ESCAPES, {0: played}, played, Episode(0, 1.0, 5)),
        panel(again),
        announcement(again),
        *next_steps(again),
    )
    for one in found:
        stdout().print(one)
        said = capsys.readouterr().out.encode("utf-8", "backslashreplace").decode()
        assert not any(mark in said for mark in ("\x1b", "\x07", "\x9b", "\u202e")), said
        assert not any(line.startswith("FORGED") for line in said.splitlines()), said


TOLD: dict[str, dict[str, Any]] = {
    "reference": {"reason": ESCAPES, "source": ESCAPES, "protocol": ESCAPES},
    "dataset": {"name": ESCAPES, "fallback": ESCAPES},
    "resume": {"sessions": 2, "exact": False, "reason": ESCAPES},
    "parent": {"run_id": ESCAPES, "checkpoint": 5},
}
