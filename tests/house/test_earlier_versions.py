"""Runs recorded by earlier versions stay usable: list, report, evaluate, lend the encoder, resume.

`tests/fixtures/runs-VERSION` is a runs folder as that version wrote it. Networks are small, all finished runs
but one keep no rolling checkpoints, and `run_dir` in the summaries is relative.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.cli.main import main
from lab.encoders.files import load_encoder
from lab.errors import ConfigError
from lab.runs.artifacts import artifact_at
from lab.runs.summary import read_summary, versions
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.saver import newest_valid
from lab.saving.surroundings import differences, surroundings
from tests.faults.harness import SLOW

FIXTURES = Path(__file__).parents[1] / "fixtures"
RUNS = sorted(path.parent.relative_to(FIXTURES) for path in FIXTURES.glob("runs-*/*/*/summary.json"))
MOST_BYTES = 3_000_000
TOLERANCE = 1e-5
"""Relative difference between figures of the same run on two kinds of CPU."""
JUDGED = 0.02
"""The same for distances by a classifier that evaluation trains anew: rounding changes its weights step by step."""

BORROWERS = {
    "ppo-cartpole": "dqn-cartpole",
    "dqn-cartpole": "ppo-cartpole",
    "ppo-cartpole-masked": "ppo-cartpole-masked",
    "cnn-mnist": "vae-mnist",
    "vae-mnist": "cnn-mnist",
    "gan-mnist": "cnn-mnist",
}
"""Which experiment takes the encoder of which."""


def recorded(run: Path) -> dict[str, Any]:
    """The summary as the earlier version wrote it."""
    summary: dict[str, Any] = json.loads((FIXTURES / run / "summary.json").read_text())
    return summary


FINISHED = [run for run in RUNS if recorded(run)["status"] == "completed"]
KILLED = [run for run in RUNS if recorded(run)["status"] == "running"]
AGENTS = [run for run in FINISHED if recorded(run)["family"] == "agents"]
ONE_OF_A_FAMILY = list({recorded(run)["family"]: run for run in FINISHED}.values())


def named(run: Path | str) -> str:
    if isinstance(run, str):
        return run
    return f"{run.parts[0]}-{run.parts[1]}-s{recorded(run)['seed']}"


@pytest.fixture
def copied() -> Path:
    """The recorded runs as `runs` in the working directory, where one of them looks for another one's encoder."""
    for version in sorted(FIXTURES.glob("runs-*")):
        shutil.copytree(version, "runs", dirs_exist_ok=True)
    return Path("runs").absolute()


def here(run: Path) -> Path:
    """The copy of a recorded run."""
    return Path("runs", *run.parts[1:]).absolute()


def test_fixtures_stay_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < MOST_BYTES


def test_fixtures_name_no_machine() -> None:
    for run in RUNS:
        for path in (FIXTURES / run).rglob("*.*"):
            if path.suffix in (".json", ".jsonl", ".yaml"):
                text = path.read_text()
                assert not any(word in text for word in ("/home", "/root", "/work", "/tmp", "/Users")), path  # noqa: S108
        assert not Path(recorded(run)["run_dir"]).is_absolute()


def test_every_kind_is_recorded() -> None:
    assert {recorded(run)["name"] for run in FINISHED} == set(BORROWERS)
    assert KILLED


def test_listed_with_same_figures(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    listed = {row["run_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(listed) == {recorded(run)["run_id"] for run in RUNS}
    for run in RUNS:
        expected, row = recorded(run), listed[run.name]
        for name in ("name", "family", "seed", "metrics", "versions", "reference", "descriptions"):
            assert row[name] == expected[name], name
        assert row["dataset"] == expected["dataset"] | {"name": row["dataset"]["name"]}
        assert short(row["dataset"]["name"]) == short(expected["dataset"]["name"])
        assert row["status"] == ("killed" if run in KILLED else "completed")


def short(dataset: str) -> str:
    """An environment's id without its module, which may have moved."""
    return dataset.rpartition(":")[2]


@pytest.mark.parametrize("run", RUNS, ids=named)
def test_config_still_parses(run: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(here(run) / "config.yaml")]) == 0
    assert f"name: {run.parts[1]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "run",
    # A GAN's judge is trained anew, for 1,404 steps; `make faults` evaluates it too.
    [pytest.param(run, marks=SLOW if run.parts[1] == "gan-mnist" else ()) for run in FINISHED],
    ids=named,
)
def test_evaluates_to_same_figures(run: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = contents(here(run))
    code = main(["eval", str(here(run)), "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = recorded(run)["metrics"]
    judged = {name for name in expected if "classifier_fid" in name}
    for name, value in expected.items():
        assert told["metrics"][name] == pytest.approx(value, rel=JUDGED if name in judged else TOLERANCE), name
    exact = all(told["metrics"][name] == value for name, value in expected.items())
    assert (code, told["same"]) == ((0, True) if exact else (1, False))
    assert contents(here(run)) == files, "evaluation leaves the run as it is"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_evaluates_without_lender(copied: Path) -> None:
    """A run with a pretrained encoder is evaluated from its own folder, even if the run it came from is gone."""
    (borrower,) = (run for run in FINISHED if "lab.encoders.Pretrained" in (here(run) / "config.yaml").read_text())
    shutil.rmtree(copied / "cnn-mnist")
    expected, found = recorded(borrower)["metrics"], lab.evaluate(here(borrower)).metrics
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=TOLERANCE)


def test_encoder_behind_a_link_is_not_lent(copied: Path, tmp_path: Path) -> None:
    """The run is not signed: what stands in for the copy that it lacks lies in its own folder, or is refused."""
    (borrower,) = (run for run in FINISHED if "lab.encoders.Pretrained" in (here(run) / "config.yaml").read_text())
    own = here(borrower) / "encoder"
    shutil.move(own, tmp_path / "private")
    own.symlink_to(tmp_path / "private")
    with pytest.raises(ConfigError, match="lies outside its folder of runs"):
        lab.evaluate(here(borrower))


def test_lender_is_not_removed(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lender,) = (run for run in FINISHED if run.parts[1] == "cnn-mnist")
    assert main(["runs", "rm", str(here(lender)), "--yes"]) == 2
    assert "as its pretrained encoder" in capsys.readouterr().err
    assert here(lender).is_dir()


def test_report_shows_every_run(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    for run in RUNS:
        assert run.name in page
        for name in recorded(run)["metrics"]:
            assert name in page
    pictures = sum(len(list((FIXTURES / run).glob("media/*.png"))) for run in RUNS)
    assert page.count("data:image/png;base64,") >= pictures > 0


def test_report_check_finds_killed_run(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--check"]) == 1
    findings = capsys.readouterr().out
    for run in KILLED:
        assert f"lab resume runs/{run.parts[1]}/{run.name}" in findings


@pytest.mark.parametrize(
    ("run", "part"),
    [
        *(pytest.param(run, ".", marks=() if run in ONE_OF_A_FAMILY else pytest.mark.slow) for run in FINISHED),
        *((run, "encoder") for run in ONE_OF_A_FAMILY[:1]),
        *(pytest.param(run, "encoder", marks=pytest.mark.slow) for run in ONE_OF_A_FAMILY[1:]),
    ],
    ids=named,
)
def test_encoder_is_lent(run: Path, part: str, copied: Path) -> None:
    """Its path is that of the run, or of the folder in it which held the encoder at the time."""
    source = here(run) / part
    family = recorded(run)["family"]
    learner = "agent" if family == "agents" else "model"
    settings: dict[str, Any] = {f"{learner}.encoder": "Pretrained", f"{learner}.encoder.path": str(source)}
    settings[f"{learner}.encoder.freeze"] = True
    settings["env.id" if family == "agents" else "data.name"] = recorded(run)["dataset"]["name"]
    borrower = lab.run(BORROWERS[run.parts[1]], settings, runs_dir="borrowed", fast_dev_run=True)
    assert borrower.status == "completed"
    lent, used = (load_encoder(artifact_at(folder, "encoder") or folder) for folder in (here(run), borrower.dir))
    assert type(used) is type(lent)
    for name, weight in lent.state_dict().items():
        assert torch.equal(used.state_dict()[name], weight), name


@pytest.mark.parametrize("run", AGENTS, ids=named)
def test_agent_plays_and_exports(run: Path, copied: Path) -> None:
    assert main(["play", str(here(run)), "-o", "episode.gif"]) == 0
    assert Path("episode.gif").stat().st_size > 0
    if "masked" not in run.parts[1]:  # plain Stable-Baselines3 has no recurrent policy
        assert main(["export", str(here(run)), "-o", "agent.zip"]) == 0
        assert Path("agent.zip").stat().st_size > 0


def test_finished_run_trains_longer(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that its version did not have are at their defaults, and count as unchanged."""
    (run,) = (one for one in FINISHED if list((FIXTURES / one).glob("checkpoints/step-*")))
    longer = ["resume", str(here(run)), "--trainer.max_epochs=3"]
    assert main(longer) == 2
    said = capsys.readouterr().err
    assert "was written under other conditions" in said
    assert f"deep-learning-lab: {recorded(run)['versions']['deep-learning-lab']} -> " in said
    assert main([*longer, "--force"]) == 0
    (fork,) = (one for one in copied.glob("cnn-mnist/*") if one.name != run.name)
    record = read_summary(fork)
    assert record.status == "completed"
    assert record.parent is not None
    assert record.parent["run_id"] == run.name
    assert lab.evaluate(fork).metrics == record.metrics


@pytest.mark.parametrize("run", KILLED, ids=named)
def test_killed_run_goes_on(run: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exactly where nothing differs; else what differs is said in one sentence, and --force goes on to the end."""
    restored = newest_valid(here(run) / "checkpoints", [])
    assert restored is not None
    others = list(differences(restored.meta["surroundings"], surroundings(torch.device("cpu"))))
    code = main(["resume", str(here(run))])
    said = capsys.readouterr().err
    if others:
        assert code == 2
        assert (
            f"cannot be resumed exactly: its checkpoint was written under other conditions ({'; '.join(others)})"
            in said
        )
        assert said.count("\n") == 1
        assert read_summary(here(run)).status == "running", "nothing was written"
        assert main(["resume", str(here(run)), "--force"]) == 0
    else:
        assert code == 0
    ended = read_summary(here(run))
    assert ended.status == "completed"
    assert ended.resume["sessions"] == 2
    assert ended.resume["exact"] is not bool(others)
    assert ended.resume["checkpoint"] > int(restored.folder.name.removeprefix("step-"))
    assert all(value is not None for value in ended.metrics.values())
    assert lab.evaluate(here(run)).metrics == ended.metrics
    assert load_checkpoint(here(run) / "checkpoints" / "final").state


def test_added_settings_change_nothing_within_a_version(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout is changed between two releases: settings that are new since then are at their defaults."""
    run = here(KILLED[0])
    restored = newest_valid(run / "checkpoints", [])
    assert restored is not None
    before = restored.meta["surroundings"]
    real = versions()
    monkeypatch.setattr("lab.resuming.surroundings", lambda device: before)
    monkeypatch.setattr("lab.runs.summary.versions", lambda: real | {"deep-learning-lab": before["deep-learning-lab"]})
    assert main(["resume", str(run)]) == 0
    assert read_summary(run).status == "completed"
