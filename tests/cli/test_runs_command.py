"""`lab runs`: lists, groups, compares, exports and removes recorded runs."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import resource
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cli.main import main
from lab.report.material import tasks_of
from lab.runs.folder import locked
from lab.runs.order import direction
from lab.runs.select import choose
from lab.runs.summary import Summary, local_runs
from lab.statistics import interquartile_mean, spread
from lab.system.disk import disk
from tests.runs.test_selection import CONFIG, record
from tests.support.recorded import recorded

RUNS = Path("runs")
LAB = [sys.executable, "-m", "lab.cli"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_RUNS_DIR", "runs")


def rewrite(run: Summary, **changes: Any) -> Summary:
    changed = replace(run, **changes)
    changed.write()
    return changed


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["runs", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def ids(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    return [run["run_id"] for run in json.loads(told(capsys, *words, "--json")[0])]


def there() -> set[str]:
    return {run.run_id for run in local_runs(RUNS)}


def test_table_has_one_row_per_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no runs in" in told(capsys)[0]
    a, b = record(RUNS, "ppo-a", 1), record(RUNS, "dqn-b", 2)
    lines = told(capsys)[0].splitlines()
    assert lines[0].split() == ["run", "experiment", "status", "seed", "result", "verdict", "train", "device", "disk"]
    assert lines[1].split()[:6] == [a.run_id, "ppo-a", "completed", "1", "eval/return_mean", "10"]
    assert lines[3].startswith("2 runs, ")
    (a.dir / "large").write_bytes(b"x" * 3_000_000)
    assert "3.0 MB" in told(capsys, "ppo-a")[0]
    assert ids(capsys, "ppo-*") == ids(capsys, a.run_id[:-1]) == ids(capsys, "--where", "seed=1") == [a.run_id]
    assert ids(capsys, "--where", "seed=2", "dqn-b", "ppo-a") == [b.run_id]
    assert ids(capsys, "--where", "seed=7") == []
    assert "no such runs" in told(capsys, "--where", "seed=7")[0]
    assert disk(a.dir) == int(subprocess.check_output(["du", "-s", "--block-size=1", a.dir]).split()[0])


def test_unknown_times_are_left_blank(capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(record(RUNS, "ppo-a", 1), status="running", durations={"setup": 1.0})
    rewrite(record(RUNS, "ppo-a", 2), durations={"train": 0.0})
    lines = {line.split()[3]: line for line in told(capsys)[0].splitlines()[1:3]}
    assert " s " not in lines["1"]
    assert " 0 s " in lines["2"]


def test_damaged_summaries_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, strange, odd = (record(RUNS, "ppo-a", seed) for seed in range(4))
    (bad.dir / "summary.json").write_text((bad.dir / "summary.json").read_text()[:-20])
    (strange.dir / "summary.json").write_text("[" * 100_000)
    (odd.dir / "summary.json").write_text(
        (odd.dir / "summary.json").read_text().replace('"name": "ppo-a",', '"name": 3,')
    )
    out, err = told(capsys)
    assert good.run_id in out
    assert out.splitlines()[-1].startswith("1 run, ")
    for one in (bad, strange, odd):
        assert f"left out: {one.dir.absolute()}/summary.json is damaged" in err


def test_sort_limit_and_columns(capsys: pytest.CaptureFixture[str]) -> None:
    low, middle, high = (record(RUNS, "ppo-a", seed) for seed in (1, 2, 3))
    none = rewrite(record(RUNS, "ppo-a", 4), metrics={})
    assert ids(capsys, "--sort", "eval/return") == [low.run_id, middle.run_id, high.run_id, none.run_id]
    assert ids(capsys, "--sort", "-eval/return") == [high.run_id, middle.run_id, low.run_id, none.run_id]
    assert ids(capsys, "--sort=-eval/return", "--limit", "2") == [high.run_id, middle.run_id]
    assert told(capsys, "--limit", "2")[0].splitlines()[-1].startswith("2 of 4 runs, ")
    assert ids(capsys, "--sort", "started") == ids(capsys)
    out, _ = told(capsys, "--sort", "-seed", "--columns", "seed,agent.gamma,disk", "--limit", "1")
    assert out.splitlines()[0].split() == ["seed", "agent.gamma", "disk"]
    assert out.splitlines()[1].split()[:2] == ["4", "0.9"]
    assert json.loads(told(capsys, "--columns", "seed,agent.gamma", "--json")[0])[0] == {"seed": 1, "agent.gamma": 0.9}
    _, err = told(capsys, "--columns", "sed", code=2)
    assert "did you mean 'seed'?" in err


def test_best_says_which_way_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = (record(RUNS, "ppo-a", seed) for seed in (1, 2, 3))
    out, err = told(capsys, "--best", "eval/return")
    assert [line.split()[0] for line in out.splitlines()[1:4]] == [three.run_id, two.run_id, one.run_id]
    assert "more is better, judged by 'return' in its name" in err
    assert direction("eval/return_std", []) == ("min", "judged by 'std' in its name")
    assert direction("eval/height", []) == ("max", "since nothing in its name says otherwise")
    for run in (one, two, three):
        rewrite(run, metrics={**run.metrics, "test/loss": 1.0 * run.seed})
    assert ids(capsys, "--best", "test/loss") == [one.run_id, two.run_id, three.run_id]
    assert "less is better, judged by 'loss' in its name" in told(capsys, "--best", "test/loss")[1]
    rewrite(two, reference={"metric": "eval/return_mean", "direction": "min"})
    out, err = told(capsys, "--best", "eval/return", "--limit", "1")
    assert one.run_id in out
    assert "less is better, as the published reference says" in err
    assert "needs a figure" in told(capsys, "--best", "experiment", code=2)[1]


def test_groups_have_means(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1, 2, 3, 7):
        record(RUNS, "ppo-a", seed)
    record(RUNS, "ppo-b", 9)
    rewrite(record(RUNS, "ppo-b", 10), fast_dev_run=True)
    rewrite(record(RUNS, "ppo-b", 1), metrics={}, status="failed")
    found = json.loads(told(capsys, "--sort", "experiment", "--group-by", "experiment,agent.gamma", "--json")[0])
    a, b, fast = sorted(found, key=lambda one: (one["group"]["experiment"], one["fast_dev_run"]))
    values = [0.0, 10, 20, 30, 70]
    expected = spread(values)
    assert a["group"] == {"experiment": "ppo-a", "agent.gamma": 0.9}
    assert (a["spread"]["mean"], a["spread"]["low"], a["spread"]["high"]) == (26, expected.low, expected.high)
    assert a["interquartile_mean"] == interquartile_mean(values) == 20
    assert (b["values"], sorted(b["seeds"]), b["fast_dev_run"]) == ([90], [1, 9], False)
    assert (fast["values"], fast["fast_dev_run"]) == ([], True), "a fast-dev run counts nowhere"
    out, _ = told(capsys, "--group-by", "experiment")
    assert ["ppo-a", "5", "0-3,7", "eval/return_mean", "26"] in [line.split()[:5] for line in out.splitlines()]
    assert "1 of 2" in out
    best = told(capsys, "--group-by", "experiment", "--best", "eval/return")[0].splitlines()
    assert [line.split()[0] for line in best[1:]] == ["ppo-b", "ppo-a", "ppo-b"]


def test_groups_agree_with_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    for number, (seed, score) in enumerate(((0, 1.0), (1, 2.0), (2, 3.0), (1, 8.0))):
        run = recorded(RUNS, "ppo-a", seed, metrics={"eval/return_mean": score})
        rewrite(run, run_dir=str(run.dir.absolute()), started=f"2026-01-01T00:00:0{number}+0000")
    recorded(RUNS, "ppo-a", 3, status="running")
    recorded(RUNS, "ppo-a", 4, status="interrupted")
    (group,) = tasks_of(choose([], RUNS))[0].groups
    for order in ([], ["--sort", "result"], ["--sort=-result"]):
        (found,) = json.loads(told(capsys, "--group-by", "experiment", *order, "--json")[0])
        assert found["values"] == group.scores == [1, 8, 3], "of two runs of a seed the newer one"
        assert found["counted"] == [run.record.run_id for run in group.counted]
    assert "3 of 6" in told(capsys, "--group-by", "experiment")[0]
    recorded(RUNS, "ppo-a", 1, config={"seed": 1, "agent": {"gamma": 0.5}}, metrics={"eval/return_mean": 9.0})
    (found,) = json.loads(told(capsys, "--group-by", "experiment", "--json")[0])
    assert found["values"] == [1, 8, 9, 3], "another config with the same seed is no repetition"


def test_groups_sort_by_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    for name, seeds in (("ppo-a", [3]), ("ppo-b", [1, 2, 0]), ("ppo-c", [9, 0])):
        for seed in seeds:
            record(RUNS, name, seed)
    rewrite(record(RUNS, "ppo-d", 0), status="failed")

    def sorted_by(column: str) -> list[str]:
        lines = told(capsys, "--group-by", "experiment", f"--sort={column}")[0].splitlines()
        return [line.split()[0][-1] for line in lines[1:]]

    assert sorted_by("mean") == ["b", "a", "c", "d"]
    assert sorted_by("-mean") == ["c", "a", "b", "d"]
    assert sorted_by("-interquartile mean") == ["c", "a", "b", "d"]
    assert sorted_by("-runs")[:2] == ["b", "c"]
    (next((RUNS / "ppo-a").glob("*/summary.json")).parent / "large").write_bytes(b"x" * 500_000)
    assert sorted_by("-disk")[:2] == ["a", "b"]
    assert sorted_by("-experiment") == ["d", "c", "b", "a"]
    assert "no chosen run has a field 'mean'" in told(capsys, "--sort", "mean", code=2)[1]


def test_diff_shows_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = record(RUNS, "ppo-a", 1), record(RUNS, "ppo-b", 2)
    (b.dir / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "seed": 2, "more": [1]}))
    rewrite(a, git={"commit": "abd", "dirty": True})
    rewrite(b, git={"commit": "abc", "dirty": True}, metrics={"eval/return_mean": 7.5, "x/y": 1.0}, dataset=a.dataset)
    found = json.loads(told(capsys, "--diff", a.run_id, "ppo-b", "--json")[0])
    assert found["settings"] == {"seed": [1, 2], "more": [None, [1]]}
    assert found["surroundings"] == {"git.commit": ["abd", "abc"]}
    assert found["metrics"] == {"eval/return_mean": [10, 7.5], "x/y": [None, 1]}
    out, _ = told(capsys, "--diff", "ppo-a", "ppo-b")
    assert "-2.5" in out
    assert "git.dirty" not in out
    out, _ = told(capsys, "--diff", "ppo-a", "ppo-a")
    assert "settings: the same in both" in out


def test_target_has_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    record(RUNS, "ppo-a", 1)
    assert "target" not in told(capsys)[0]
    b = rewrite(record(RUNS, "ppo-b", 2), target={"metric": "eval/return_mean", "value": 5.0, "verdict": "met"})
    head, a_row, b_row, *_ = (line.split() for line in told(capsys)[0].splitlines())
    assert (head[6], a_row.count("met"), b_row.count("met")) == ("target", 0, 1)
    assert ids(capsys, "--where", "target=met") == [b.run_id]
    assert json.loads(told(capsys, "--columns", "target,target.value", "--json")[0]) == [
        {"target": None, "target.value": None},
        {"target": "met", "target.value": 5},
    ]
    assert "target.value" in told(capsys, "--export", "csv")[0].splitlines()[0]


HOSTILE = ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", " =1+1", "\uff1d1+1", "\t=1", "\r=1"]


def test_export_holds_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(HOSTILE):
        run = record(RUNS, f"exp-{seed}", seed)
        rewrite(
            run, name=name, metrics={"eval/return_mean": -1.5 * seed, name: -1e-5}, error='a "quoted", text\nof two'
        )
    record(RUNS, "ppo-a", 30)
    out, _ = told(capsys, "--export", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == len(HOSTILE) + 1
    for row in (*rows, dict.fromkeys(rows[0], "")):
        for cell in (*row, *row.values()):
            if cell.lstrip().startswith(tuple("=+-@\uff1d")):
                float(cell)
    last = next(row for row in rows if row["experiment"] == "ppo-a")
    expected = {"experiment": "ppo-a", "seed": "30", "eval/return_mean": "300.0", "agent.gamma": "0.9"}
    expected |= {"agent": "agents.ppo.PPO", "agent.encoder.a": "[1]", "durations.train": "2.0", "fast_dev_run": "false"}
    assert {name: last[name] for name in expected} == expected
    assert {row["eval/return_mean"] for row in rows} >= {"-1.5", "-3.0"}
    assert any(row["experiment"] == "'=cmd|' /C calc'!A0" for row in rows)
    assert told(capsys, "--export", "csv", "-o", "all.csv")[0] == ""
    assert Path("all.csv").read_text() == out
    narrow, _ = told(capsys, "ppo-a", "--export", "csv", "--columns", "seed,experiment")
    assert narrow == "seed,experiment\n30,ppo-a\n"
    assert "cannot write" in told(capsys, "--export", "csv", "-o", "no/such/folder.csv", code=2)[1]


@pytest.mark.parametrize("words", [["runs", "--export", "csv"], ["report"]])
def test_full_disk_is_no_wrong_request(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A limit on the size of files stands for a full disk."""
    record(RUNS, "ppo-a", 0)
    assert main([*words, "-o", "whole.html"]) == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        assert main([*words, "-o", "out.html"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "out.html: File too large" in capsys.readouterr().err
    assert main([*words, "-o", "no/such/out.html"]) == 2


def test_names_are_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    a = rewrite(record(RUNS, "ppo-a", 0), name="[red]\x1b]0;owned\x07[/foo] \u202e\ud800")
    for words in ([], ["--group-by", "experiment"], ["--diff", a.run_id, a.run_id], ["--export", "csv"]):
        out, _ = told(capsys, *words)
        assert "[red]\\x1b]0;owned\\x07[/foo] \\u202e\\ud800" in "".join(out.split("\n")), words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--best", "seed", "--sort", "seed"], "--best and --sort exclude each other"),
        (["--export", "csv", "--json"], "exclude each other"),
        (["-o", "x.csv"], "-o is for --export csv"),
        (["--yes"], "--yes is for `lab runs rm`"),
        (["--wher", "seed=1"], "did you mean '--where'?"),
        (["--diff", "ppo-a", "ppo-a", "--sort", "seed"], "--diff compares two runs and takes no --sort"),
        (["--diff", "ppo-a"], "expected 2 arguments"),
        (["--limit", "0"], "expected a number from 1 to 1,000,000"),
        (["--export", "xlsx"], "invalid choice"),
        (["--where", "seed<"], "expected a number, a word or a text in quotes at character 6"),
        (["--columns", ","], "--columns needs names of fields"),
        (["ppo-c"], "no run 'ppo-c'"),
        (["rm"], "needs to be told which runs"),
        (["rm", "ppo-c"], "no run 'ppo-c'"),
        (["rm", "ppo-a", "--limit", "1"], "`lab runs rm` does not take --limit"),
        (["rm", "ppo-a"], "no terminal to ask for a confirmation"),
        (["rm", "--where", "seed<", "--yes"], "expected a number, a word or a text in quotes"),
    ],
)
def test_misuse_removes_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(RUNS, "ppo-a", 0)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert message in told(capsys, *words, code=2)[1]
    assert there() == {run.run_id}


def test_runs_needs_no_torch() -> None:
    rewrite(record(RUNS, "ppo-a", 0), status="running")
    heavy = "{'torch', 'stable_baselines3', 'wandb', 'pytorch_lightning', 'jsonargparse', 'gymnasium'}"
    for words in (
        ["--where", "agent.gamma=0.9"],
        ["--export", "csv"],
        ["--group-by", "seed"],
        ["rm", "ppo-a", "--yes"],
    ):
        script = f"import sys\nfrom lab.cli.main import main\ncode = main({['runs', *words]!r})\n"
        script += f"sys.exit(', '.join({heavy} & set(sys.modules)) or code)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert there() == set()


def test_rm_removes_only_what_was_named(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [record(RUNS, "ppo-a", seed) for seed in range(3)] + [record(RUNS, "dqn-b", 0)]
    (RUNS / "notes.txt").write_text("mine")
    (RUNS / "ppo-a" / "no-run").mkdir()
    out, _ = told(capsys, "rm", "--yes", "ppo-*", "--where", "seed<2")
    assert runs[0].run_id in out
    assert "removed 2 runs, " in out
    assert there() == {runs[2].run_id, runs[3].run_id}
    told(capsys, "rm", runs[2].run_id, str(runs[3].dir), "--yes")
    assert sorted(path.name for path in RUNS.rglob("*")) == ["no-run", "notes.txt", "ppo-a"], "its experiment's as well"


def test_rm_leaves_a_copy(capsys: pytest.CaptureFixture[str]) -> None:
    """`cp -r` gives a copy the same summary: only its folder has another name."""
    run, parent = record(RUNS, "ppo-a", 0), record(RUNS, "ppo-b", 1)
    fork = rewrite(record(RUNS, "ppo-c", 2), parent={"run_id": parent.run_id, "checkpoint": 5})
    copies = [shutil.copytree(one.dir, one.dir.with_name(f"{one.run_id}-backup")) for one in (run, parent)]
    (copies[0] / "summary.json").write_text("{")
    told(capsys, "rm", run.run_id, "--yes", "--force")
    assert {path.parent for path in RUNS.rglob("config.yaml")} == {*copies, parent.dir, fork.dir}
    told(capsys, "rm", copies[1].name, "--yes")
    assert {path.parent for path in RUNS.rglob("config.yaml")} == {copies[0], parent.dir, fork.dir}


def test_rm_asks_at_a_terminal() -> None:
    a, b = record(RUNS, "ppo-a", 0), record(RUNS, "ppo-b", 0)

    def answered(answer: str, name: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answer.encode())
            done = subprocess.run([*LAB, "runs", "rm", name], stdin=theirs, capture_output=True, text=True)
        finally:
            os.close(ours)
            os.close(theirs)
        return done.returncode, done.stdout + done.stderr

    for answer in ("n\n", "\n", "\x04"):
        code, said = answered(answer, "ppo-a")
        assert code == 1
        assert a.run_id in said
        assert "remove it for good? [y/N]" in said
        assert "nothing was removed" in said
        assert there() == {a.run_id, b.run_id}
    assert answered("y\n", "ppo-a")[0] == 0
    assert there() == {b.run_id}


def test_rm_refuses_runs_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    idle, busy = record(RUNS, "ppo-a", 0), record(RUNS, "ppo-a", 1)
    with locked(busy.dir):
        for words in (["--yes"], ["--yes", "--force"]):
            assert f"a process is at work on {busy.run_id}" in told(capsys, "rm", "ppo-a", *words, code=2)[1]
        assert there() == {idle.run_id, busy.run_id}
    told(capsys, "rm", "ppo-a", "--yes")
    assert there() == set()


def test_rm_refuses_what_others_need(capsys: pytest.CaptureFixture[str]) -> None:
    parent, source = record(RUNS, "ppo-a", 0), record(RUNS, "cnn", 1)
    child = rewrite(record(RUNS, "ppo-a", 2), parent={"run_id": parent.run_id, "checkpoint": 5})
    user = record(RUNS, "vae", 3)
    encoder = {"class_path": "lab.encoders.Pretrained", "init_args": {"path": f"runs/cnn/{source.run_id}/encoder"}}
    (user.dir / "config.yaml").write_text(yaml.safe_dump({"model": {"parts": [{"encoder": encoder}]}}))
    everyone = there()
    for run, by, what in ((parent, child, "its parent"), (source, user, "its pretrained encoder")):
        _, err = told(capsys, "rm", run.run_id, "--yes", code=2)
        assert f"{by.run_id} ({by.name}) has {run.run_id} as {what}" in err
        assert there() == everyone
    assert told(capsys, "rm", source.run_id, user.run_id, "--yes")[0], "both together leave nobody behind"
    _, err = told(capsys, "rm", parent.run_id, "--yes", "--force")
    assert "and keeps what it has" in err
    assert there() == {child.run_id}


def test_rm_takes_damaged_runs_by_force(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, worse = (record(RUNS, "ppo-a", seed) for seed in range(3))
    for one in (bad, worse):
        (one.dir / "summary.json").write_text("{")
    for name in (bad.run_id, str(bad.dir)):
        _, err = told(capsys, "rm", name, "--yes", code=2)
        assert "damaged" in err or "no readable summary.json" in err
        assert "did you mean" not in err
        assert bad.dir.exists()
    assert f"what {bad.run_id!r} means is damaged" in told(capsys, bad.run_id, code=2)[1]
    child = rewrite(record(RUNS, "ppo-b", 2), parent={"run_id": bad.run_id, "checkpoint": 5})
    with locked(bad.dir):
        assert "is at work" in told(capsys, "rm", bad.run_id, "--yes", "--force", code=2)[1]
    out, err = told(capsys, "rm", bad.run_id, "--yes", "--force")
    assert "removed 1 run, " in out
    assert f"{bad.run_id}/summary.json is damaged" in err
    assert f"{child.run_id} (ppo-b) has {bad.run_id} as its parent" in err
    assert not bad.dir.exists()
    told(capsys, "rm", "--where", "seed>=0", "--yes", "--force")
    assert there() == set()
    assert worse.dir.exists(), "nobody knows its seed"
    told(capsys, "rm", str(worse.dir), "--yes", "--force")
    assert not worse.dir.exists()
    assert not good.dir.exists()


def test_rm_stays_in_the_runs_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outside = record(tmp_path / "elsewhere", "ppo-a", 0)
    inside = record(RUNS, "ppo-a", 1)
    (inside.dir / "link").symlink_to(outside.dir)
    (RUNS / "ppo-b").symlink_to(outside.dir.parent)
    (RUNS / "ppo-a" / "linked").symlink_to(outside.dir)
    _, err = told(capsys, "rm", str(outside.dir), "--yes", code=2)
    assert "is not a run of" in err
    for name in ("runs/ppo-b/" + outside.run_id, "runs/ppo-a/linked", "ppo-*"):
        assert "is a symbolic link" in told(capsys, "rm", name, "--yes", code=2)[1]
    assert inside.run_id in there()
    told(capsys, "rm", inside.run_id, "--yes")
    assert not inside.dir.exists()
    assert (outside.dir / "config.yaml").is_file()


def test_killed_removal_leaves_no_half_run() -> None:
    a, b = record(RUNS, "ppo-a", 0), record(RUNS, "ppo-b", 0)
    script = (
        "import os, shutil, signal\n"
        "def die(path, **_):\n    os.unlink(path / 'config.yaml'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "shutil.rmtree = die\nfrom lab.cli.main import main\nmain(['runs', 'rm', 'ppo-a', '--yes'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert there() == {b.run_id}
    assert list(RUNS.rglob(f"{a.run_id}/summary.json")), "a part of it is still on the disk"
    assert main(["runs", "rm", "ppo-b", "--yes"]) == 0
    assert [path for path in RUNS.rglob("*") if path.is_file() or path.name.startswith(".")] == []


def test_a_thousand_runs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    first = record(RUNS, "ppo-0", 0)
    for seed in range(1, 1000):
        run = replace(first, name=f"ppo-{seed % 7}", run_id=f"{first.run_id}-{seed:03}", seed=seed)
        run = replace(run, run_dir=str(RUNS / run.name / run.run_id))
        run.dir.mkdir(parents=True)
        (run.dir / "config.yaml").write_text((first.dir / "config.yaml").read_text())
        (run.dir / "summary.json").write_text(json.dumps(asdict(run)))
    for words, lines in (([], 1002), (["--where", "agent.gamma=0.9 and seed<500"], 502), (["--group-by", "device"], 2)):
        assert len(told(capsys, *words)[0].splitlines()) == lines
    assert len(told(capsys, "--export", "csv")[0].splitlines()) == 1001
