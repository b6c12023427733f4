"""`lab eval` with seeds and episodes: its table is right, and it repeats the recorded figures."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import lab
from lab.cli.main import main
from lab.runs.summary import Summary
from lab.statistics import spread


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    settings = {"total_timesteps": 2000, "evaluation.every": 500, "evaluation.episodes": 6, "evaluation.video": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run("ppo-cartpole", settings, runs_dir=tmp_path_factory.mktemp("runs"))


def told(run: Summary, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["eval", str(run.dir), *words, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_spread_has_its_closed_form() -> None:
    figures = spread([1.0, 2.0, 3.0, 4.0])
    assert (figures.n, figures.mean, figures.min, figures.median, figures.max) == (4, 2.5, 1, 2.5, 4)
    assert figures.std == pytest.approx(math.sqrt(1.25))
    assert figures.standard_error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert figures.high == pytest.approx(2.5 + 3.182446 * math.sqrt(5 / 3) / 2), "t with 3 degrees of freedom"
    assert figures.low == pytest.approx(5 - (figures.high or 0))
    alone = spread([7.0])
    assert (alone.mean, alone.std, alone.standard_error, alone.low, alone.high) == (7, 0, None, None, None)


def test_interval_covers_the_mean() -> None:
    random = np.random.default_rng(0)
    found = [spread(list(random.normal(3.0, 2.0, 5))) for _ in range(4000)]
    share = np.mean([(one.low or 0) < 3.0 < (one.high or 0) for one in found])
    assert share == pytest.approx(0.95, abs=0.012)


def test_own_seed_repeats_recorded_figures(run: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    for checkpoint, group in (("final", "eval"), ("best", "best")):
        own = told(run, capsys, "--checkpoint", checkpoint)
        assert own["checkpoint"] == checkpoint
        assert own["seeds"]["0"]["n"] == 6
        assert own["all"] == own["seeds"]["0"]
        assert own["all"]["mean"] == run.metrics[f"{group}/return_mean"]
        assert own["all"]["std"] == pytest.approx(run.metrics[f"{group}/return_std"])


def test_seeds_have_episodes_of_their_own(run: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    some = told(run, capsys, "--seeds", "0-1,7", "--episodes", "4")
    assert list(some["seeds"]) == ["0", "1", "7"]
    assert some["all"]["n"] == 12
    assert some["all"]["mean"] == pytest.approx(np.mean([one["mean"] for one in some["seeds"].values()]))
    seeds = [episode["seed"] for episodes in some["episodes"].values() for episode in episodes]
    assert len(set(seeds)) == 12, "no episode counts twice"
    again = told(run, capsys, "--seeds", "7", "--evaluation.episodes=4")
    assert again["episodes"]["7"] == some["episodes"]["7"]


def test_play_repeats_the_worst_episode(run: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run.dir), "--seeds", "3,5", "--episodes", "5"]) == 0
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines()[2:5]] == ["3", "5", "all"]
    lowest = table.split("the lowest: ")[1].split(" in ")[0]
    words = table.splitlines()[-1].split("lab ")[1].split()
    assert main([*words, "-o", "worst.gif"]) == 0
    assert f": return {lowest} in " in capsys.readouterr().out


@pytest.mark.parametrize("seeds", ["4-0", "a", "1,,2", "0,0", "-1", "0-", "4294967296"])
def test_bad_seeds_are_refused(run: Summary, seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run.dir), f"--seeds={seeds}"]) == 2
    assert "argument --seeds: expected" in capsys.readouterr().err


def test_eval_compares_with_the_record(run: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run.dir)]) == 0
    assert "all figures are the same" in capsys.readouterr().out


def test_only_agents_have_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("vae-mnist", {"data.name": "digits"}, runs_dir="runs", fast_dev_run=True)
    assert main(["eval", str(run.dir), "--checkpoint", "best"]) == 2
    assert f"{run.run_id} has no checkpoint 'best', it has final" in capsys.readouterr().err
    for words in (["--seeds", "0-4"], ["--episodes", "3"]):
        assert main(["eval", str(run.dir), *words]) == 2
        expected = f"{run.run_id} is a vae-mnist, which cannot act; it can sample"
        assert expected in capsys.readouterr().err
