"""What is read of a run is bounded: values and levels of JSON, the bytes and lines of a journal, types of fields."""

from __future__ import annotations

import json
import os
import tracemalloc
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save

import lab
from lab.cli.main import main
from lab.encoders import MLP, InputSpec
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import CheckpointError, ConfigError
from lab.report.figures import curves
from lab.report.figures.curves import read_curves
from lab.runs.artifacts import seal
from lab.runs.readings import wrong_field
from lab.runs.summary import Summary, read_summary
from lab.saving import checkpoint, tensors
from lab.saving.checkpoint import load, publish, segment_names
from lab.system.files import print_of, write_json
from lab.system.opening import MOST_LEVELS, MOST_PARTS, copy_plain, parse_json
from lab.tracking import journal
from lab.tracking.journal import LARGEST, METRICS, lines_of, read_journal
from lab.tracking.sync import sync
from tests.support.recorded import BEGIN, recorded
from tests.trust.test_forks import SIZES

ROOT = Path(__file__).parents[2]

ELSEWHERE = {
    "lab/system/remembered.py": "the user's own cache",
    "lab/system/fork_server.py": "messages of a process that was started here",
    "lab/system/forking.py": "the same",
    "lab/seeds/children.py": "the same",
    "lab/keys/signature.py": "what was just written there",
    "lab/runs/query.py": "a word of the command line",
    "lab/cli/views/running.py": "at most 100,000 bytes, in which a speed may be NaN",
    "lab/data/sets/music.py": "a published file with this very hash",
    "lab/report/figures/curves.py": "lines of a journal, which are bounded, and of which there are millions",
}
"""Where JSON is parsed by another function than `parse_json`, and why it need not be bounded there."""


def test_json_is_parsed_in_one_place() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("lab", "agents", "generative", "supervised")
        for path in (ROOT / package).rglob("*.py")
        if any(call in path.read_text() for call in ("json.loads(", "json.load(", "json.loads,"))
    }
    assert found == {*ELSEWHERE}


@pytest.mark.parametrize(
    "unit", ['{"a":[1]},', "1,", *(pytest.param(one, marks=pytest.mark.slow) for one in ("[],", "{},", '"a",'))]
)
def test_values_are_counted_before_they_are_made(unit: str) -> None:
    content = f"[{unit * MOST_PARTS}1]".encode()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 200,000 values"):
            parse_json(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(content)


def test_marks_in_texts_are_no_values() -> None:
    text = '[{,"\\' * MOST_PARTS
    assert parse_json(json.dumps([text, text]).encode()) == [text, text]


@pytest.mark.parametrize(
    "content",
    [
        b"[" * (MOST_LEVELS + 1) + b"]" * (MOST_LEVELS + 1),
        b'["' + b"]" * 900 + b'",' + b"[" * 900 + b"]" * 901,
        b"[" * 10**6,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[NaN]",
        b"[1, -Infinity]",
        "[1]".encode("utf-16"),
        b"[\xff]",
        b'["' + b'\\"' * 10**6,
        b'"' * 10**6,
        b'["a"' + b':"a"' * 10**6 + b"]",
        b"9" * 10_000,
        b"",
    ],
)
def test_other_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the words of the parser
        parse_json(content)


def test_what_the_lab_writes_is_within_bounds() -> None:
    """The largest manifest is that of a replay buffer that was saved a thousand times."""
    entry = {"start": 10**9, "stop": 10**9, "name": "rows-0000000000-0000000000.safetensors"}
    segments = [entry | {"print": {"size": 10**12, "sha256": "0" * 64}}] * 1_000
    assert parse_json(json.dumps({"segments": segments}, indent=2).encode()) == {"segments": segments}
    deep: Any = 1
    for _ in range(MOST_LEVELS):
        deep = [deep]
    assert parse_json(json.dumps(deep).encode()) == deep


MANY = b'{"x": [' + b"[]," * MOST_PARTS + b"1]}"


def test_no_json_of_a_run_is_read_beyond_its_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (checkpoint, tensors):
        monkeypatch.setattr(module, "MOST_VALUES", MOST_PARTS)
    run = tmp_path / "run"
    folder = run / "checkpoints" / "final"

    def again() -> Path:
        publish(folder, {"a": [1]}, {"b": 2})
        return folder

    def change(name: str, content: bytes) -> None:
        (again() / name).write_bytes(content)
        if name != "manifest.json":  # whoever writes a checkpoint can write its hashes
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["files"][name] = print_of(folder / name)
            (folder / "manifest.json").write_text(json.dumps(manifest))

    header = len(MANY).to_bytes(8, "little") + MANY
    for name, content in (("manifest.json", MANY), ("meta.json", MANY), ("state.safetensors", header)):
        change(name, content)
        with pytest.raises(CheckpointError, match="more than 200,000 values"):
            load(folder)
        assert segment_names(folder) == []
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    (run / "summary.json").write_bytes(MANY)
    with pytest.raises(ConfigError, match="more than 200,000 values"):
        read_summary(run)
    for name, content in (("encoder.json", MANY), ("encoder.safetensors", header)):
        save_encoder(MLP(InputSpec((4,)), hidden=[3]), run / "encoder")
        (run / "encoder" / name).write_bytes(content)
        seal(run / "encoder", None, sign=False)
        with pytest.raises(CheckpointError, match="more than 200,000 values"):
            load_encoder(run / "encoder")
    (run / METRICS).write_bytes(MANY + b"\n")
    with pytest.raises(ValueError, match="more than 200,000 values"):
        list(read_journal(run / METRICS))


def test_tensors_larger_than_memory_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run" / "checkpoints" / "final"
    publish(folder, {}, {})
    monkeypatch.setattr(tensors, "all_memory", lambda: 10)
    with pytest.raises(CheckpointError, match=r"has 1\d bytes, which are too many"):
        load(folder)


def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with holes takes nothing to send, and all its size in memory."""
    weights = tmp_path / "run" / "checkpoints" / "final" / "state.safetensors"
    publish(weights.parent, {"x": torch.ones(3)}, {})
    os.truncate(weights, 2**24)
    manifest = json.loads((weights.parent / "manifest.json").read_text())
    manifest["files"][weights.name] = print_of(weights)
    write_json(weights.parent / "manifest.json", manifest)
    monkeypatch.setattr(tensors, "MOST_HOLES", 2**20)
    if weights.stat().st_blocks * 512 > 2**16:
        pytest.skip("this disk has no holes")
    with pytest.raises(CheckpointError, match=r"has 16,777,216 bytes, of which [\d,]+ lie on the disk"):
        load(weights.parent)


def test_bytes_are_gone_before_tensors_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[bool] = []

    class Watched(bytes):
        def __del__(self) -> None:
            gone.append(True)

    class Tensors(dict[str, torch.Tensor]):
        def pop(self, name: str) -> torch.Tensor:  # type: ignore[override]
            assert gone
            return super().pop(name)

    monkeypatch.setattr(tensors, "load", lambda content: Tensors(tensors_of(content)))
    found = tensors.tensors_in(Watched(save({"x": torch.ones(3)})))
    assert found["x"].tolist() == [1, 1, 1]


@pytest.fixture
def run() -> Path:
    return recorded(Path("runs").absolute()).dir


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["metrics.jsonl", "media.jsonl"])
def test_journal_larger_than_any_is_refused_with_its_size(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file with a hole takes no space to send."""
    os.truncate(run / name, 3 * LARGEST)
    assert main(["runs"]) == 0
    assert main(["report", "--check"]) in (0, 1)
    assert main(["report"]) == 0
    if name == METRICS:
        assert f"{run / name} has 30.0 GB, and the journal of a run has 10.0 GB at most" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"has 30.0 GB, and the journal of a run has 10.0 GB at most"):
        sync(run, mode="offline")


@pytest.mark.timeout(60)
def test_line_without_an_end_is_not_read_to_its_end(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(run / METRICS, LARGEST)
    assert main(["report"]) == 0
    assert "has a line of more than 4.2 MB, which is no row" in capsys.readouterr().err
    assert main(["report", "--check"]) in (0, 1)
    with pytest.raises(ConfigError, match=r"has a line of more than 4\.2 MB"):
        sync(run, mode="offline")


def test_fork_keeps_holes_and_refuses_huge_journals() -> None:
    record = lab.run("ppo-cartpole", SIZES)
    (record.dir / "media").mkdir(exist_ok=True)
    (record.dir / "media" / "film.mp4").touch()
    os.truncate(record.dir / "media" / "film.mp4", 2**40)
    (record.dir / "media.jsonl").write_text(json.dumps({"file": "film.mp4"}) + "\n")
    (newest,) = record.dir.glob("checkpoints/step-*16")
    one = load(newest)
    journal_then = one.meta["journal"] | {"media.jsonl": (record.dir / "media.jsonl").stat().st_size}
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    publish(newest, one.state, one.meta | {"journal": journal_then})
    fork = lab.resume(record.dir, {"total_timesteps": 32})
    film = fork.dir / "media" / "film.mp4"
    assert (film.stat().st_size, film.stat().st_blocks) == (2**40, 0)
    os.truncate(record.dir / METRICS, 3 * LARGEST)
    with pytest.raises(CheckpointError, match=r"has 30.0 GB, and the journal of a run has 10.0 GB at most"):
        lab.resume(record.dir, {"total_timesteps": 48})


def test_copies_have_the_same_bytes(tmp_path: Path) -> None:
    made = np.random.default_rng(0).bytes(3_000_000)
    with (tmp_path / "one").open("wb") as file:
        for at in (0, 10_000_000):
            file.seek(at)
            file.write(made)
        file.truncate(20_000_000)
    for name, content in (("one", None), ("empty", b""), ("small", b"abc")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        (tmp_path / "copy").unlink(missing_ok=True)
        copy_plain(tmp_path / name, tmp_path, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == (tmp_path / name).read_bytes()


def long_journal(folder: Path, rows: int) -> None:
    """Rows of two kinds, with a value that is not finite, a damaged line and an incomplete last one."""
    with (folder / METRICS).open("w") as file:
        for at in range(rows):
            row = {"time": BEGIN + at, "axis": "step", "step": at, "train/loss": (at * 7919) % 1000 / 1000}
            if at % 10 == 0:
                row = {"time": BEGIN + at, "axis": "step", "step": at, "eval/x": float(at), "eval/y": None}
            file.write(json.dumps(row) + "\n" + ("damaged\n" if at == 5 else ""))
        file.write('{"time": 1')


def test_journal_is_the_same_in_any_pieces(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_journal(run, 300)
    whole, lines = read_curves(run), list(chain(*lines_of(run / METRICS)))
    for size in (1, 7, 100, 1_000):
        monkeypatch.setattr(journal, "BLOCK", size)
        again = read_curves(run)
        assert list(chain(*lines_of(run / METRICS))) == lines == (run / METRICS).read_bytes().split(b"\n")[:-1]
        counts = [(one.rows, one.damaged, one.not_finite, one.left_out, one.unread) for one in (whole, again)]
        assert counts[0] == counts[1] == (300, 1, 30, 0, "")
        assert again.series.keys() == whole.series.keys()
        for name, one in whole.series.items():
            for part in ("at", "seconds", "values"):
                np.testing.assert_array_equal(getattr(again.series[name], part), getattr(one, part))


def test_curves_of_many_rows_are_thinned_while_they_are_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_journal(run, 3_000)
    whole = read_curves(run).series["train/loss"]
    monkeypatch.setattr(journal, "BLOCK", 1_000)
    monkeypatch.setattr(curves, "MOST_ROWS", 100)
    monkeypatch.setattr(curves, "MOST_POINTS", 300)
    most: list[int] = []
    joined = curves._joined

    def counting(pieces: list[curves.Piece]) -> curves.Piece:
        most.append(sum(len(at) for at, _, _ in pieces))
        return joined(pieces)

    monkeypatch.setattr(curves, "_joined", counting)
    thinned = read_curves(run).series["train/loss"]
    assert max(most) < 400, "of 2,700"
    assert len(thinned.at) <= 102
    assert (thinned.values.min(), thinned.values.max()) == (whole.values.min(), whole.values.max())
    assert (thinned.at[0], thinned.at[-1]) == (whole.at[0], whole.at[-1])


class Declared:
    text: str
    whole: int
    real: float
    yes: bool
    maybe: str | None
    word: Literal["a", "b"]
    texts: list[str]
    figures: dict[str, dict[str, float | None]]
    bounded: Annotated[int, range(10)]
    entries: Annotated[dict[str, Any] | None, {"name": str, "n": Annotated[int, range(10)] | None}]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("text", ["", "a"], [None, 1, b"a", ["a"]]),
        ("whole", [0, -1, 2**63 - 1, -(2**63)], [True, 1.0, 2**63, "1", None]),
        ("real", [0, 1.5, -1e308, 2**70], [True, float("nan"), float("inf"), 10**400, "1", None, []]),
        ("yes", [True, False], [0, 1, None, "true"]),
        ("maybe", [None, "a"], [1, [], False]),
        ("word", ["a", "b"], ["c", None, 1, ["a"]]),
        ("texts", [[], ["a"]], [None, "a", [1], ["a", None], {"a": "b"}]),
        ("figures", [{}, {"a": {}}, {"a": {"b": 1, "c": None}}], [[], {"a": 1}, {"a": {"b": "1"}}, None]),
        ("bounded", [0, 9], [-1, 10, 1.0, True, None]),
        ("entries", [None, {}, {"name": "a", "n": None, "x": []}], [[], {"name": 1}, {"n": 10}, {"n": "1"}]),
    ],
)
def test_fields_are_of_their_declared_types(name: str, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert wrong_field(Declared, {name: value, "other": object()}) is None, value
    for value in wrong:
        assert wrong_field(Declared, {name: value}) == name, value


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2**70},
        {"seed": 1.5},
        {"seed": -1},
        {"threads": "1"},
        {"baselines": {"random": {"eval/return_mean": "high"}}},
        {"can": 7},
        {"can": ["act", 7]},
        {"reference": {"verdict": "splendid"}},
        {"dataset": {"name": 7}},
        {"resume": {"sessions": 1e400}},
    ],
)
def test_summary_with_another_type_is_no_run(
    change: dict[str, Any], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(run.parent.parent, seed=1)
    values = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(values | change))
    for words in (["eval", str(run)], ["show", str(run)], ["sample", str(run)], ["resume", str(run)]):
        assert main(words) == 2
        assert f"{run} is not a run: no readable summary.json in it" in capsys.readouterr().err
    assert main(["report"]) == 0
    assert f"left out: {run / 'summary.json'} is damaged" in capsys.readouterr().err


def test_every_field_of_a_summary_declares_a_type_that_is_checked() -> None:
    texts = {name for name in Summary.__dataclass_fields__ if wrong_field(Summary, {name: "x"}) is None}
    assert texts == {"name", "family", "run_id", "run_dir", "device", "error", "judged", "started"}
