"""`lab run --seeds` and `--vary`: several runs at once. None is made twice, lost, or left running."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import lab
import lab.seeds.run_varied
from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError
from lab.resuming import resume
from lab.runs.folder import locked
from lab.runs.summary import Summary, local_runs
from lab.seeds.children import Child
from lab.seeds.existing import recorded
from lab.seeds.run_varied import run_seeds, run_varied, simultaneous
from lab.seeds.vary import combinations, read_vary
from lab.statistics import interquartile_mean, spread
from lab.system.forking import can_fork
from lab.trust.signing import sign_config
from tests.faults.harness import lab_process, shared_server, wait_for
from tests.support.toys import SLOW

RUNS = Path("runs")
REFERENCE = {"metric": "toy/value", "value": 12.0, "direction": "max", "dataset": "toy", "protocol": "-", "source": "-"}


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # or it would be remembered
    monkeypatch.setenv("LAB_RUNS_DIR", "runs")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if can_fork():  # in processes of their own, commands start a server of their own
        monkeypatch.setattr(lab.seeds.run_varied, "ForkServer", lambda name: nullcontext(shared_server()))
    config = {"experiment": "tests.support.toys.Toy", "device": "cpu", "threads": 1, "reference": REFERENCE}
    Path("toy.yaml").write_text(yaml.safe_dump(config))


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["run", "toy.yaml", *words, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def runs() -> list[Summary]:
    return list(local_runs(RUNS))


def how(found: dict[str, Any]) -> list[str]:
    return [one["how"] for one in found["runs"]]


def alive(pid: int) -> bool:
    """Whether a process is running, zombies aside."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def pids() -> list[int]:
    return [int(path.read_text()) for path in RUNS.rglob("pid") if path.read_text()]


def wait_until_gone(processes: Sequence[int]) -> None:
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def at_work(words: Sequence[str], seeds: int) -> Iterator[subprocess.Popen[str]]:
    """`lab run` with these words, after so many of its runs have begun to train."""
    process = lab_process(["run", "toy.yaml", *words])
    try:
        wait_for(lambda: len([one for one in RUNS.rglob("metrics.jsonl") if one.stat().st_size]) >= seeds, process)
        assert all(alive(pid) for pid in pids())
        yield process
    finally:
        process.kill()
        process.communicate()


def there(*seeds: int, fast_dev_run: bool = False, **settings: Any) -> dict[int, str]:
    """The runs that a call with these settings would use again."""
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    found = recorded(load("toy.yaml", dotted), RUNS, seeds, fast_dev_run=fast_dev_run)
    return {seed: run.run_id for seed, run in found.items()}


def test_completed_seeds_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    before = lab.run("toy.yaml", {"seed": 1})
    capsys.readouterr()
    assert main(["run", "toy.yaml", "--seeds", "1,0,5"]) == 0
    captured = capsys.readouterr()
    alone = lab.run("toy.yaml", {"seed": 5}, runs_dir="alone")
    assert [run.status for run in runs()] == ["completed"] * 3
    assert {run.seed: run.metrics for run in runs()}[5] == alone.metrics, "bitwise what `lab run --seed 5` comes to"
    lines = [line.split() for line in captured.out.splitlines()]
    assert lines[0][:3] == ["toy,", "3", "seeds:"]
    assert lines[1] == ["seed", "result", "verdict", "status", "train", "run"]
    assert lines[2][:5] == ["1", "10", "missed", "already", "there"]
    assert lines[3][:4] == ["0", "0", "missed", "completed"]
    assert lines[4][:4] == ["5", "50", "met", "completed"]
    assert ["mean", "20", "over", "3", "seeds"] in lines
    assert "the mean against the reference: met: toy/value is 20, published 12" in captured.out
    assert f"seed 1: already there, toy/value 10, missed, {before.run_id}" in captured.err
    assert re.search(r"^seed 5: toy/value 50, met, ", captured.err, re.MULTILINE)
    assert captured.err.count("toys are no science") == 1, "said by all, and shown once"
    assert "step 3" not in captured.err + captured.out, "what the runs print goes to their logs"
    found = told(capsys, "--seeds", "0,1,5", "--json")
    assert how(found) == ["there"] * 3
    expected = spread([0.0, 10, 50])
    (group,) = found["groups"]
    assert (group["seeds"], group["values"]) == ([0, 1, 5], [0, 10, 50])
    assert (group["spread"]["mean"], group["spread"]["low"]) == (20, expected.low)
    assert group["interquartile_mean"] == interquartile_mean([0.0, 10, 50])
    assert how(told(capsys, "--seeds", "1", "--fresh")) == ["ran"]
    assert len(runs()) == 4
    assert not list(Path(tempfile.gettempdir()).glob("lab-*")), "nothing stays of what all went well"


def test_which_runs_are_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    first = lab.run("toy.yaml", {"seed": 1})
    assert there(0, 1, 2) == {1: first.run_id}
    assert there(1, steps=11) == there(1, checkpoint__steps=3) == {}, "another config"
    assert there(1, fast_dev_run=True) == {}
    lab.run("toy.yaml", {"seed": 1, "name": "other"})
    longer = resume(first.dir, {"steps": 11})
    assert longer.parent
    assert there(1, steps=11) == {}, "a fork did not begin as this config does"
    first, second = sorted((first, lab.run("toy.yaml", {"seed": 1})), key=lambda run: run.run_id)
    assert there(1) == {1: second.run_id}, "the newest"
    replace(second, status="interrupted").write()
    assert there(1) == {1: first.run_id}, "but a complete one first"
    replace(first, status="failed").write()
    assert there(1) == {1: second.run_id}
    with locked(first.dir):
        assert there(1) == {1: first.run_id}, "at work"
    config = yaml.safe_load((second.dir / "config.yaml").read_text())
    del config["failing"]
    (second.dir / "config.yaml").write_text(yaml.safe_dump(config))
    sign_config(second.dir / "config.yaml")
    assert there(1) == {1: second.run_id}, "from before a setting was introduced, whose default is asked for"
    assert there(1, failing=[7]) == {}
    found = there(1, threads=None)
    assert found == {1: second.run_id}, "whose number of threads may have been measured"
    monkeypatch.setenv("MY_TOKEN", "toy-secret-value")
    lab.run("toy.yaml", {"seed": 2, "description": "with toy-secret-value"})
    assert list(there(2, description="with toy-secret-value")) == [2], "secrets are blanked in what is recorded"


def test_failure_stops_no_other_run(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seeds", "0-2", "--failing=[0]", "--diverging=[1]"]
    capsys.readouterr()
    assert main(["run", "toy.yaml", *words]) == 4
    captured = capsys.readouterr()
    assert [(run.seed, run.status) for run in sorted(runs(), key=lambda run: run.seed)] == [
        (0, "failed"),
        (1, "diverged"),
        (2, "completed"),
    ]
    logs = [Path(path) for path in re.findall(r"its output is in (\S+)", captured.err)]
    assert sorted(path.name for path in logs[0].parent.iterdir()) == ["seed-0.log", "seed-1.log"]
    failed = next(path for path in logs if path.name == "seed-0.log")
    assert "lab: error: no more" in failed.read_text()
    assert "step 3" in failed.read_text()
    assert "seed 0: ended with exit code 4" in captured.err
    assert "    lab: error: no more" in captured.err
    assert "failed (4)" in captured.out
    assert "over 1 of 3 seeds" in captured.out
    again = told(capsys, *words, code=4)
    assert how(again) == ["resumed", "there", "there"], "what diverged would diverge again"
    assert [one["exit_code"] for one in again["runs"]] == [4, 3, 0]
    assert "lab: error: no more" in again["runs"][0]["said"]
    assert len(runs()) == 3


def test_resumed_runs_get_their_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """What is recorded has them blanked, and `lab resume` asks for them."""
    words = ["--seeds", "0", "--failing=[0]", "--description=password=hunter2234"]
    for expected in ("ran", "resumed"):
        found = told(capsys, *words, code=4)
        assert how(found) == [expected]
        assert "lab: error: no more" in found["runs"][0]["said"], "as far as the run itself"
    (run,) = runs()
    assert run.resume["sessions"] == 2
    files = [path for folder in (run.dir, Path(tempfile.gettempdir())) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"hunter2234" in path.read_bytes()]


def test_ctrl_c_resumes_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seeds", "0-2", "--jobs", "2", "--steps=60"]
    SLOW.write_text("0.1")
    with at_work(words, seeds=2) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "SIGINT: saving, then ending" in err
    assert re.search(r"^seed 1: ended, saved at step \d+$", err, re.MULTILINE)
    assert "the same command goes on with the runs that are not complete" in err
    assert "Traceback" not in err
    assert not any(alive(pid) for pid in pids())
    assert [run.status for run in runs()] == ["interrupted"] * 2
    assert all(0 < run.resume["checkpoint"] < 60 and run.resume["steps_after_it"] == 0 for run in runs())
    SLOW.unlink()
    found = told(capsys, *words)
    assert how(found) == ["resumed", "resumed", "ran"]
    assert len(runs()) == 3
    for seed in (0, 1):
        alone = lab.run("toy.yaml", {"steps": 60, "seed": seed}, runs_dir="alone")
        assert found["runs"][seed]["run"]["metrics"] == alone.metrics


@pytest.mark.slow
def test_ctrl_c_keeps_named_logs() -> None:
    SLOW.write_text("0.1")
    with at_work(["--seeds", "0-1", "--jobs", "2", "--steps=100", "--failing=[0]"], seeds=2) as process:
        assert process.stderr
        named = (re.search(r"its output is in (\S+)", line) for line in process.stderr)
        log = next(Path(found[1]) for found in named if found)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert "lab: error: no more" in log.read_text()
    assert [path.name for path in log.parent.iterdir()] == ["seed-0.log"]


def test_early_signal_leaves_nothing() -> None:
    SLOW.write_text("0.1")
    process = lab_process(["run", "toy.yaml", "--seeds", "0-1", "--steps=600"])
    there = Path(tempfile.gettempdir())
    try:
        wait_for(lambda: any(there.glob("lab-seeds-*")), process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.communicate()
    assert not list(there.glob("lab-seeds-*"))


@pytest.mark.slow
def test_signals_reach_the_children() -> None:
    SLOW.write_text("0.1")
    with at_work(["--seeds", "4", "--steps=600"], seeds=1) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    (run,) = runs()
    assert (run.status, run.resume["steps_after_it"]) == ("interrupted", 0)


def test_kill_9_leaves_no_child(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seeds", "0-1", "--jobs", "2", "--checkpoint.steps=5", "--steps=60"]
    SLOW.write_text("0.1")
    with at_work(words, seeds=2) as process:
        wait_for(lambda: len({path.parent for path in RUNS.rglob("step-*")}) == 2, process)
        children = pids()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_until_gone(children)
    assert [run.status for run in runs()] == ["running"] * 2, "they had no time to say anything"
    SLOW.unlink()
    found = told(capsys, *words)
    assert how(found) == ["resumed"] * 2
    assert [run.status for run in runs()] == ["completed"] * 2
    alone = lab.run("toy.yaml", {"steps": 60, "seed": 1, "checkpoint.steps": 5}, runs_dir="alone")
    assert found["runs"][1]["run"]["metrics"] == alone.metrics


def test_second_ctrl_c_ends_at_once() -> None:
    SLOW.write_text("20")
    with at_work(["--seeds", "0-1", "--jobs", "2"], seeds=0) as process:
        wait_for(lambda: len(pids()) == 2, process)
        children = pids()
        process.send_signal(signal.SIGINT)  # amid a step of 20 seconds: nothing can be saved before five have passed
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(4) == -signal.SIGINT
        wait_until_gone(children)


def test_running_elsewhere_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("toy.yaml", {"seed": 1})
    replace(run, status="running", metrics={}).write()
    with locked(run.dir):
        found = told(capsys, "--seeds", "0-1", code=1)
    assert how(found) == ["ran", "elsewhere"]
    assert [trial["settings"] for trial in found["runs"]] == [{"seed": 0}, {"seed": 1}]
    assert found["groups"][0]["values"] == [0]
    assert how(told(capsys, "--seeds", "1")) == ["resumed"]


def test_config_is_pinned() -> None:
    SLOW.write_text("0.3")
    with at_work(["--seeds", "0-1", "--jobs", "1"], seeds=1) as process:
        Path("toy.yaml").write_text(Path("toy.yaml").read_text() + "steps: 99\n")
        assert len(pids()) == 1, "one after the other"
        SLOW.unlink()
        assert process.wait(60) == 0
    assert [len((run.dir / "metrics.jsonl").read_text().splitlines()) for run in runs()] == [10, 10]


def test_jobs_follow_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert simultaneous(load("toy.yaml")) == 8
    assert [simultaneous(load("toy.yaml", {"threads": n})) for n in (3, 8, 16)] == [2, 1, 1]


def test_jobs_run_at_once() -> None:
    most = 0

    def watch(children: Sequence[Child]) -> None:
        nonlocal most
        there = sum(child.state == "running" for child in children)
        most = max(most, there)

    found = run_seeds("toy.yaml", {"steps": 5}, seeds=[3, 1, 2], jobs=2, watch=watch)
    assert most == 2
    (outcome,) = found.outcomes
    assert outcome.group
    assert (outcome.group.metric, outcome.group.scores) == ("toy/value", [10, 20, 30])
    assert (outcome.reference["verdict"], found.exit_code) == ("met", 0)


def test_agents_have_seeds_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ppo-cartpole", "--seeds", "0-1", "--fast-dev-run", "--runs-dir", "elsewhere", "--agent.n_epochs", "2"]
    assert main(["run", *words]) == 0
    out = capsys.readouterr().out
    assert "not-comparable: seed 0: a fast-dev run only shows that everything works" in out
    assert sorted(run.seed for run in local_runs(Path("elsewhere"))) == [0, 1]
    assert all(run.fast_dev_run for run in local_runs(Path("elsewhere")))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0-2", "--seed", "1"], "choose one of them"),
        (["--jobs", "2"], "--jobs is for several runs"),
        (["--fresh"], "--fresh is for several runs"),
        (["--seeds", "0-2", "--jobs", "0"], "expected a number from 1 to 1,000,000"),
        (["--seeds", "2-0"], "expected the smaller seed first, as in 0-2, received '2-0'"),
        (["--seeds", "0-2,9-7"], "expected the smaller seed first, as in 7-9, received '9-7'"),
        (["--seeds", "0,0"], "expected each seed once"),
        (["--seeds", "a"], "expected seeds like 0-4 or 0,1,2"),
        (["--seeds", "4294967296"], "expected a number from 0 to 4294967295"),
        (["--seeds", "0-99999999"], "expected at most 1,000 seeds"),
        (["--seeds", "0-599,700-1299"], "expected at most 1,000 seeds"),
        (["--seeds", "0-2", "--failling=[3]"], "did you mean 'failing'?"),
        (["--seeds", "0-2", "--device", "cuda"], "device 'cuda' is not available here"),
    ],
)
def test_misuse_starts_nothing(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert main(["run", "toy.yaml", *words]) == 2
    assert message in capsys.readouterr().err
    assert not RUNS.exists()


def test_misuse_from_python() -> None:
    for seeds in ([], [1, 1], [-1], [2**32]):
        with pytest.raises(ConfigError, match="seeds must be different numbers"):
            run_seeds("toy.yaml", seeds=seeds)
    assert not RUNS.exists()


@pytest.mark.slow
def test_terminal_shows_all_live() -> None:
    SLOW.write_text("0.2")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lab.cli", "run", "toy.yaml", "--seeds", "0-1", "--jobs", "2"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    screen = b""
    with suppress(OSError):  # how Linux says that nobody has the other end any more
        while chunk := os.read(ours, 65536):
            screen += chunk
    os.close(ours)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode())
    assert re.search(r"seed 0 +\S+ training +\d+/10 [\d,.]+/s 0:0\d sum", text)
    assert "0 of 2 runs ended" in text
    assert "step 3" not in text
    assert screen.rfind(b"\x1b[?25h") > screen.rfind(b"\x1b[?25l"), "the cursor is back"


def values_of(found: dict[str, Any]) -> list[list[float]]:
    return [group["values"] for group in found["groups"]]


def test_folds_are_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    """There is one mean and one verdict over folds and seeds, and no run replaces another."""
    words = ["--vary", "seed=0-1", "--vary", "fold=0-1"]
    assert main(["run", "toy.yaml", *words]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:3] == ["toy,", "4", "runs:"]
    assert lines[1][:4] == ["seed", "fold", "result", "verdict"]
    assert lines[2][:4] == ["0", "0", "0", "missed"]
    assert lines[5][:4] == ["1", "1", "11", "missed"]
    assert ["mean", "5.5", "over", "4", "runs"] in lines
    assert "the mean against the reference: missed: toy/value is 5.5, 6.5 short of the published 12" in out
    again = told(capsys, *words)
    assert how(again) == ["there"] * 4
    assert values_of(again) == [[0, 1, 10, 11]]
    capsys.readouterr()
    assert main(["runs", "--group-by", "experiment", "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert group["values"] == [0, 1, 10, 11]
    assert how(told(capsys, "--seeds", "0-2")) == ["there", "there", "ran"], "fold 0 is the default"


@pytest.mark.slow
def test_other_settings_make_groups(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vary", "bonus=0.5,100", "--seeds", "1,2"]
    found = told(capsys, *words)
    assert values_of(found) == [[10.5, 20.5], [110, 120]]
    assert [group["group"] for group in found["groups"]] == [{"bonus": "0.5"}, {"bonus": "100"}]
    assert [group["reference"]["verdict"] for group in found["groups"]] == ["met", "met"]
    assert found["varied"] == ["seed", "bonus"]
    assert main(["run", "toy.yaml", *words]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("bonus ")] == ["bonus 0.5", "bonus 100"]


def test_varied_run_equals_single_run() -> None:
    found = run_varied("toy.yaml", {"steps": 20}, vary={"fold": [1, 2], "seed": [3]}, jobs=2)
    alone = lab.run("toy.yaml", {"steps": 20, "seed": 3, "fold": 2}, runs_dir="alone")
    assert found.trials[1].settings == {"fold": 2, "seed": 3}
    assert found.trials[1].run
    assert found.trials[1].run.metrics == alone.metrics


def test_a_figure_over_folds_is_compared_with_the_mean_alone() -> None:
    """And only where each of the folds has a figure."""
    reference = REFERENCE | {"value": 0.5, "mean_over": {"fold": 2}}
    config = {"experiment": "tests.support.toys.Toy", "device": "cpu", "threads": 1, "reference": reference}
    Path("folds.yaml").write_text(yaml.safe_dump(config))
    verdicts = []
    for folds in ([0], [0, 1]):
        found = run_varied("folds.yaml", vary={"fold": folds}, jobs=2)
        assert {trial.run.verdict for trial in found.trials if trial.run} == {"not-comparable"}
        (outcome,) = found.outcomes
        verdicts.append(outcome.reference["verdict"])
    assert verdicts == ["not-comparable", "met"]
    assert "--vary fold=0-1 runs all" in runs()[0].reference["reason"]
    first, second = found.trials
    assert second.run
    failed = replace(second, run=replace(second.run, status="failed", metrics={}))
    assert [replace(one, trials=(first, failed)).reference["verdict"] for one in found.outcomes] == ["not-comparable"]


@pytest.mark.slow
def test_failure_names_its_fold(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vary", "fold=0,1", "--vary", "failing=[],[0]"]
    assert main(["run", "toy.yaml", *words]) == 4
    err = capsys.readouterr().err
    assert "fold 1, failing [0]: ended with exit code 4" in err
    (log,) = {Path(path).parent for path in re.findall(r"its output is in (\S+)", err)}
    assert sorted(path.name for path in log.iterdir()) == ["1-fold-0-failing-0-.log", "3-fold-1-failing-0-.log"]


def test_values_are_read() -> None:
    assert read_vary(["seed=0-2", "a.b=1e-3,x", "c=[1,2],[3,[4,5]],{a: 1, b: 2}", 'd="a,b",c', "e=2-x"]) == {
        "seed": [0, 1, 2],
        "a.b": ["1e-3", "x"],
        "c": ["[1,2]", "[3,[4,5]]", "{a: 1, b: 2}"],
        "d": ['"a,b"', "c"],
        "e": ["2-x"],
    }
    assert read_vary(["f=don't,x],[[1,2],[3]],[[4]]", "g=[1,2"]) == {
        "f": ["don't", "x]", "[[1,2],[3]]", "[[4]]"],
        "g": ["[1,2"],
    }
    assert combinations({"a": [1, 2], "seed": ["0", 1]}) == [
        {"a": 1, "seed": 0},
        {"a": 1, "seed": 1},
        {"a": 2, "seed": 0},
        {"a": 2, "seed": 1},
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--vary", "fold"], "--vary expects KEY=VALUES such as seed=0-4 or trainer.optimizer.lr=1e-3,1e-4"),
        (["--vary", "fold="], "--vary expects values such as"),
        (["--vary", "fold=1,1"], "fold must be varied over different values"),
        (["--vary", "bonus=1e-3,0.001"], "bonus must be varied over different values"),
        (["--vary", "fold=0-1,1"], "fold must be varied over different values"),
        (["--vary", "fold=0-2,9-7"], "--vary expects the smaller number first, as in 7-9, received '9-7'"),
        (["--vary", "fold=1", "--vary", "fold=2"], "received fold twice"),
        (["--vary", "flod=1,2"], "did you mean 'fold'?"),
        (["--vary", "fold=a,b"], "fold"),
        (["--vary", "seed=-1"], "seeds must be different numbers"),
        (["--vary", "fold=0-5000"], "at most 1,000 values"),
        (["--vary", "fold=0-99", "--vary", "steps=1-99"], "9,900 combinations"),
        (["--vary", "seed=0-4", "--seeds", "0-4"], "choose one of them"),
        (["--vary", "seed=0-4", "--seed", "3"], "choose one of them"),
    ],
)
def test_wrong_values_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "toy.yaml", *words]) == 2
    assert message in capsys.readouterr().err
    assert not RUNS.exists()
