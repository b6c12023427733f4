"""What somebody else's run decides in the user's name: nothing, until it is named or signed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError
from lab.needs import MissingArtifactError
from lab.report.wandb.publish import _place
from lab.runs.groups import by_fields
from lab.runs.order import direction
from lab.runs.select import choose, find_run, newest_unfinished
from lab.runs.summary import Summary, read_summary
from lab.seeds.existing import recorded as there_already
from lab.seeds.run_varied import run_seeds
from lab.tracking.destination import others_id
from lab.tracking.sync import sync
from tests.faults.harness import run_killed
from tests.support.offline import offline
from tests.support.recorded import recorded
from tests.support.wandb_server import WandbServer

RUNS = Path("runs")
Theirs = Callable[..., Any]


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_RUNS_DIR", "runs")
    for name, more in (("toy", ""), ("maker", ""), ("taker", "table: {run: maker.yaml, name: table}\n")):
        kind = "Toy" if name == "toy" else name.title()
        Path(f"{name}.yaml").write_text(f"experiment: tests.support.toys.{kind}\ndevice: cpu\nthreads: 1\n{more}")


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Theirs:
    """Does something with the key of somebody else."""

    def call(what: Callable[..., Any], *given: Any, **more: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setenv("LAB_KEY_FILE", str(Path("their-key").absolute()))
            return what(*given, **more)

    return call


def test_their_figures_are_not_there_already(theirs: Theirs, capsys: pytest.CaptureFixture[str]) -> None:
    stranger, own = theirs(lab.run, "toy.yaml", {"seed": 1}), lab.run("toy.yaml", {"seed": 2})
    config = load("toy.yaml")
    capsys.readouterr()
    assert there_already(config, RUNS, [1, 2], fast_dev_run=False).keys() == {2}
    assert f"left out, because not signed as yours: runs/toy/{stranger.run_id}" in capsys.readouterr().err
    assert there_already(config, RUNS, [1, 2], fast_dev_run=False, trust=True).keys() == {1, 2}
    found = run_seeds("toy.yaml", seeds=[1, 2])
    assert [trial.how for trial in found.trials] == ["ran", "there"]
    values = json.loads((own.dir / "summary.json").read_text())
    values["metrics"]["toy/value"] = 5000.0
    (own.dir / "summary.json").write_text(json.dumps(values))
    assert there_already(config, RUNS, [2], fast_dev_run=False) == {}, "figures that were changed"
    assert main(["trust", own.run_id]) == 0
    assert there_already(config, RUNS, [2], fast_dev_run=False).keys() == {2}


def test_their_artifact_is_not_the_newest(theirs: Theirs, capsys: pytest.CaptureFixture[str]) -> None:
    theirs(lab.run, "maker.yaml", {"seed": 4})
    with pytest.raises(MissingArtifactError, match=r"and so left out: runs/maker/.*`lab trust RUN` signs one"):
        lab.run("taker.yaml")
    made = lab.run("taker.yaml", make_needed=True).needs[0]["run_id"]
    assert read_summary(find_run(made, RUNS)).seed == 0, "the user's own is made"
    stranger = theirs(lab.run, "maker.yaml", {"seed": 5})
    later = RUNS / "maker" / "29991231-235959-s5-ffff"
    stranger.dir.rename(later)
    capsys.readouterr()
    assert lab.run("taker.yaml").needs[0]["run_id"] == made
    assert "table: left out, because not signed as yours: runs/maker/2999" in capsys.readouterr().err
    assert lab.run("taker.yaml", {"table.run": stranger.run_id}).needs[0]["run_id"] == stranger.run_id
    assert "takes the artifact 'table' of runs/maker/2999" in capsys.readouterr().err
    assert lab.run("taker.yaml", trust=True).needs[0]["run_id"] == stranger.run_id


def test_their_claims_do_not_hide_own_artifacts(theirs: Theirs) -> None:
    """A stranger's summary may have the id of the user's run, or its artifact may have been exchanged."""
    own = lab.run("maker.yaml")
    stranger = theirs(lab.run, "maker.yaml", {"seed": 4})
    values = json.loads((stranger.dir / "summary.json").read_text())
    (stranger.dir / "summary.json").write_text(json.dumps(values | {"run_id": own.run_id}))
    stranger.dir.rename(RUNS / "maker" / "29991231-235959-s5-ffff")
    taker = lab.run("taker.yaml", {"table.run": own.run_id})
    assert json.loads((taker.dir / "needs/table/table.json").read_text())["sum"] == own.metrics["toy/sum"]
    (own.dir / "artifacts/table/table.json").write_text('{"sum": 1000}')
    with pytest.raises(MissingArtifactError, match="not signed as yours"):
        lab.run("taker.yaml")


def test_their_experiment_of_that_name_is_not_meant(theirs: Theirs, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="no run 'toy'"):
        find_run("toy", RUNS)
    first = theirs(lab.run, "toy.yaml")
    assert find_run("toy", RUNS.absolute()) == first.dir, "where there is no other"
    own = lab.run("toy.yaml", {"seed": 1})
    stranger = recorded(RUNS, name="toy", mine=False, run_id=own.run_id)
    stranger.dir.parent.rename(RUNS / "later")
    (RUNS / "later" / stranger.dir.name).rename(RUNS / "later" / "29991231")
    capsys.readouterr()
    assert find_run("toy", RUNS.absolute()) == own.dir
    assert "1 newer run of toy not signed as yours: left out" in capsys.readouterr().err
    assert find_run(own.run_id, RUNS.absolute()) == own.dir, "of two with one id"
    claims = recorded(RUNS, name=own.run_id, mine=False)
    assert find_run(own.run_id, RUNS.absolute()) == own.dir, "an experiment that is called like it"
    assert find_run(str(claims.dir), RUNS) == claims.dir.absolute()


def test_their_unfinished_run_is_not_resumed_unnamed(theirs: Theirs) -> None:
    own = recorded(RUNS, status="interrupted")
    recorded(RUNS, seed=1, status="interrupted", mine=False)
    assert newest_unfinished(RUNS) == own.dir
    replace(own, status="completed").write()
    with pytest.raises(ConfigError, match="no unfinished run of yours, and 1 run not signed as yours, to be named"):
        newest_unfinished(RUNS)


def test_their_figures_enter_no_mean(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        recorded(RUNS, seed=seed, metrics={"eval/return_mean": 100.0 + seed})
    inverted = {"metric": "eval/return_mean", "value": 9.0, "direction": "min"}
    recorded(RUNS, seed=3, metrics={"eval/return_mean": 900.0}, reference=inverted, mine=False)
    recorded(RUNS, seed=4, metrics={"other": 1.0}, reference={}, mine=False)
    runs = choose([], RUNS)
    (group,) = by_fields(runs, ["experiment"])
    assert group.scores == [100.0, 101.0, 102.0]
    assert group.left_out == "2 runs not signed as yours"
    assert group.reference["value"] == 500.0
    assert direction("eval/return_mean", runs)[0] == "max"
    (others,) = by_fields(runs[3:4], ["experiment"])
    assert others.scores == [900.0], "of a folder of theirs, all count"
    assert main(["runs", "--best", "eval/return", "--columns", "run,eval/return"]) == 0
    said = capsys.readouterr()
    assert [line.split()[1] for line in said.out.splitlines()[1:-1]] == ["102", "101", "100"]
    assert "left out: 2 runs not signed as yours" in said.err


def test_their_runs_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    own = recorded(RUNS)
    assert main(["runs"]) == 0
    assert "mine" not in capsys.readouterr().out
    stranger = recorded(RUNS, seed=1, mine=False)
    assert main(["runs"]) == 0
    head, *rows, foot = capsys.readouterr().out.splitlines()
    at = head.index("mine")
    assert {row.split()[0]: row[at : at + 4].strip() for row in rows} == {own.run_id: "", stranger.run_id: "no"}
    assert "1 not signed as yours, which `lab trust RUN` signs" in foot
    assert main(["runs", "--where", "mine = false", "--columns", "run"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == [stranger.run_id]
    assert main(["runs", "--json"]) == 0
    assert [run["mine"] for run in json.loads(capsys.readouterr().out)] == [True, False]


def test_another_key_is_remembered_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lab.runs import summary

    monkeypatch.setattr(summary, "MANY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))  # macOS
    record = recorded(RUNS)
    os.utime(record.dir / "summary.json", (1, 1))
    assert [run.mine for run in summary.local_runs(RUNS)] == [True]
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("other-key"))
    assert [run.mine for run in summary.local_runs(RUNS)] == [False]


def stolen(own: Summary, runs: Path = RUNS) -> Summary:
    """A stranger's run whose summary says that it is the user's run on W&B."""
    theirs = offline(runs, seed=1, rows=6, mine=False, run_id=own.run_id)
    replace(theirs, wandb={"mode": "offline", "id": own.run_id, "sweep": "s"}).write()
    return theirs


def test_sync_overwrites_no_run_of_the_users(server: WandbServer, capsys: pytest.CaptureFixture[str]) -> None:
    own = offline(RUNS)
    theirs = stolen(own)
    assert main(["sync"]) == 0
    assert "left out: 1 run not signed as yours; name one to send it under a new id" in capsys.readouterr().err
    assert set(server.runs) == {own.run_id}
    before = dict(server.runs[own.run_id].lines)
    new = others_id(own.run_id)
    assert new != own.run_id
    for _ in range(2):
        assert main(["sync", str(theirs.dir)]) == 0
        assert capsys.readouterr().out.split() == [f"{server.url}/somebody/lab/runs/{new}"]
        assert set(server.runs) == {own.run_id, new}
        assert len(server.runs[new].lines) == 15, "no row is sent twice"
    assert server.runs[own.run_id].lines == before
    assert not read_summary(theirs.dir).mine, "sending signs nothing"
    sync(stolen(own).dir, trust=True)
    assert server.runs[own.run_id].lines != before, "as the user's own, it is that run"


@pytest.mark.parametrize("trust", [None, True])
def test_resume_overwrites_no_run_of_the_users(
    trust: bool | None, server: WandbServer, theirs: Theirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = theirs(run_killed, "ppo", 3)
    monkeypatch.setenv("WANDB_MODE", "online")
    record = lab.resume(folder, trust=trust)
    expected = record.run_id if trust else others_id(record.run_id)
    assert set(server.runs) == {expected}
    assert not record.mine
    assert not read_summary(folder).mine
    for path in (*folder.glob("checkpoints/*/manifest.json"), *folder.glob("artifacts/*/manifest.json")):
        signature = json.loads(path.read_text()).get("signature")
        assert not signature or theirs(_signs, path), f"{path} is signed as the user's"


def _signs(path: Path) -> bool:
    from lab.keys.signature import is_signed

    kind: Any = "artifact" if "artifacts" in path.parts else "manifest"
    return is_signed(kind, json.loads(path.read_text()))


def test_reports_are_not_made_where_a_stranger_says() -> None:
    address = "https://wandb.ai/{}/lab/runs/{}"
    own = recorded(RUNS, wandb={"url": address.format("me", "x")})
    theirs = recorded(RUNS, wandb={"url": address.format("them", "x")}, mine=False)
    sent = recorded(RUNS, seed=1, mine=False)
    sent = replace(sent, wandb={"url": address.format("me", others_id(sent.run_id))})
    assert [place and place.entity for place in map(_place, (own, theirs, sent))] == ["me", None, "me"]
