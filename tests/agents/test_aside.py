"""Programs that are compiled beside a training: when that is worth it, and that nothing of it outlives the run."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from gymnasium import spaces

from agents import aside
from agents.compiled.packages import Packages, folder
from lab.cli.main import main
from lab.system.forking import RUNS_AFTER
from tests.agents.compiled.test_packages import compiler
from tests.support.tasks import Identity, ppo, together

SMALL = ["--total_timesteps=8000", "--agent.n_epochs=4", "--evaluation.every=8000", "--evaluation.episodes=2"]
RUN = ["run", "ppo-cartpole", *SMALL, "--threads=1", "--evaluation.video=false"]


def test_savings_grow_with_the_calls_of_what_is_recorded() -> None:
    agent = ppo(together(lambda: Identity(spaces.Discrete(2)), 2), 0)
    agent.packages = Packages()
    assert aside.savings(agent) == (0, 0.0)
    agent.learn(1_000)
    programs, early = aside.savings(agent)
    assert programs == 2, "the choice of actions, and all that learning does"
    agent.learn(6_000, reset_num_timesteps=False)
    assert aside.savings(agent)[1] > 2 * early > 0


def working(group: int) -> list[str]:
    """The processes of a group, zombies aside, which nobody may have waited for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *_ = path.read_text().rpartition(")")[2].split()
            if state not in "ZX" and int(its_group) == group:
                found.append(path.parent.name)
    return found


@compiler
@pytest.mark.parametrize(
    "killed", [pytest.param(False, marks=pytest.mark.slow), True], ids=["the run ends", "the run is killed"]
)
def test_the_process_ends_with_the_run_and_leaves_nothing(
    killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process, lifeline = aside._start(Path(__file__).parents[2] / "configs/agents/ppo-cartpole.yaml", 1)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("lab-compile-*/*")):
        assert process.poll() is None
        assert time.monotonic() < until, "nothing was compiled"
        time.sleep(0.1)
    assert working(process.pid) or not Path("/proc").is_dir()
    if killed:
        os.close(lifeline)
        process.wait(60)
    else:
        aside._end(process)
        os.close(lifeline)
    until = time.monotonic() + 20
    while working(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not working(process.pid), "the C++ compiler is in the same group"
    assert not [*tmp_path.glob("lab-*"), *tmp_path.glob("cc*"), *folder().glob("*.part*")]


@compiler
@pytest.mark.parametrize(
    ("later", "worth", "compiles"),
    [("1", 0.0, True), ("0", 0.0, False), ("1", aside.WORTH, False)],
    ids=["worth it", "no run after it", "a short run"],
)
def test_programs_are_compiled_where_later_runs_gain_enough(
    later: str,
    worth: float,
    compiles: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv(RUNS_AFTER, later)
    monkeypatch.setattr(aside, "TRIED", 0.2)
    monkeypatch.setattr(aside, "WORTH", worth)
    assert main([*RUN, f"--runs-dir={tmp_path / 'runs'}"]) == 0
    assert ("compiled beside it" in capsys.readouterr().err) == compiles
