"""Returns of the lab's experiments against those of plain Stable-Baselines3 with the zoo's settings:
`python -m benchmarks returns ppo-acrobot dqn-acrobot --seeds 0 1 2`.

Both sides train in the environment of the experiment's YAML for its number of steps, with the same seeds, and are
judged by the same 100 deterministic episodes per seed. The lab's side is the YAML as it stands, whatever it has that
SB3 lacks, without the user's compiled programs; the other side is always what the zoo has for SB3
(`benchmarks/zoo.py`). The lab reaches SB3 where its mean over seeds is at least SB3's minus one standard error of that.
With `--steps`, DQN begins to learn after a tenth of these at the latest, on both sides: the zoo's for Atari would
otherwise play at random all the time. `--points 5` judges both sides five times on the way as well, by 20 other
episodes, the same on both: learning curves at equal steps, with the mean return of the last 100 episodes of training in
brackets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

import lab
from agents.evaluation.episodes import episode_seeds, play_episodes
from agents.experiment import AgentExperiment
from benchmarks.zoo import ZOO
from lab.configuration import load

EPISODES = 20
"""Of each point of a learning curve."""


class Plain:
    """A model of SB3's as an actor of the lab's, with what it normalises by."""

    def __init__(self, model: Any, norm: VecNormalize | None) -> None:
        self.model, self.norm = model, norm

    def act(self, observations: Any, memory: Any = None) -> tuple[Any, None]:
        seen = observations if self.norm is None else self.norm.normalize_obs(observations)
        return self.model.predict(seen, deterministic=True)[0], None


@dataclass(frozen=True)
class Cut:
    """What both sides have that the experiment does not.

    Args:
        steps: of training; None for all of the experiment's.
        points: of the learning curve; 0 for none.
        device: of torch.
        threads: of torch, on the CPU.
    """

    steps: int | None
    points: int
    device: str
    threads: int = 1

    def every(self, length: int) -> int:
        """Steps between two points; the last one, at the end, comes by itself."""
        return -(-length // self.points) if self.points else 10 * length


class Point(NamedTuple):
    """Of a learning curve.

    Args:
        steps: of the environment so far.
        judged: mean return of deterministic episodes.
        training: that of the last 100 episodes of training, as its wrappers count them.
    """

    steps: int
    judged: float
    training: float


class Result(NamedTuple):
    """Of one seed.

    Args:
        mean: return of the trained agent.
        seconds: of training, the points of the curve included.
        curve: what it was on the way.
    """

    mean: float
    seconds: float
    curve: list[Point]


class Curve(BaseCallback):
    """Judges a model of SB3's between rollouts, when `agents.reporting.TrainingReporter` judges the lab's agents."""

    def __init__(self, every: int, judge: Callable[[], float]) -> None:
        super().__init__()
        self.every, self.next, self.judge = every, every, judge
        self.points: list[Point] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.next:
            self._add()
            self.next += self.every

    def _on_training_end(self) -> None:
        self._add()

    def _add(self) -> None:
        recent = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        self.points.append(Point(self.num_timesteps, self.judge(), statistics.mean(recent) if recent else nan))


def theirs(name: str, seed: int, cut: Cut) -> Result:
    """Plain SB3's."""
    zoo, experiment = ZOO[name], load(name).build()
    assert isinstance(experiment, AgentExperiment)
    env = experiment.env
    envs: VecEnv = DummyVecEnv([lambda: Monitor(env.make(training=True)) for _ in range(zoo.n_envs)])
    norm = VecNormalize(envs, gamma=zoo.settings.get("gamma", 0.99), **zoo.normalize) if zoo.normalize else None
    algorithm = PPO if name.startswith("ppo") else DQN
    settings = zoo.settings | learning_starts(zoo.settings, cut.steps)
    model = algorithm(zoo.policy, envs if norm is None else norm, seed=seed, device=cut.device, **settings)

    def judge(purpose: str, episodes: int) -> float:
        return float(play_episodes(Plain(model, norm), env, episode_seeds(seed, purpose, episodes)).returns.mean())

    length = cut.steps or experiment.total_timesteps
    curve = Curve(cut.every(length), lambda: judge("choose", EPISODES))
    started = time.perf_counter()
    model.learn(length, callback=curve if cut.points else None)
    seconds = time.perf_counter() - started
    envs.close()
    return Result(judge("judge", experiment.evaluation.episodes), seconds, curve.points)


def ours(name: str, seed: int, cut: Cut) -> Result:
    """The lab's, from a run which without a curve is not evaluated while it trains."""
    length = cut.steps or cast(AgentExperiment, load(name).build()).total_timesteps
    overrides = {"seed": seed, "device": cut.device, "threads": cut.threads, "total_timesteps": length}
    if cut.device == "cpu":
        overrides["agent.capture"] = "always"  # goes without what the user has compiled
    overrides |= {"evaluation.every": cut.every(length), "evaluation.video": False}
    if cut.points:
        overrides["evaluation.best_episodes"] = EPISODES
    settings = load(name).as_dict()["agent"]["init_args"]
    overrides |= {f"agent.{key}": value for key, value in learning_starts(settings, cut.steps).items()}
    with tempfile.TemporaryDirectory() as folder:
        run = lab.run(name, overrides, runs_dir=folder)
        curve = list(journalled(run.dir / "metrics.jsonl")) if cut.points else []
    mean = run.metrics["eval/return_mean"]
    return Result(nan if mean is None else mean, run.durations["train"], curve)


def journalled(path: Path) -> Iterator[Point]:
    """Read the points of a run's learning curve from its journal."""
    training = nan
    for line in path.read_text().splitlines():
        row = json.loads(line)
        training = row.get("rollout/return_mean", training)
        if "eval/return_low" in row:  # an evaluation on the way; the row of the final one has no interval
            yield Point(row["env_steps"], row["eval/return_mean"], training)


def learning_starts(settings: dict[str, Any], steps: int | None) -> dict[str, int]:
    """What to change for a run that is cut to `steps`."""
    late = steps is not None and settings.get("learning_starts", 0) > steps // 10
    return {"learning_starts": cast(int, steps) // 10} if late else {}


def standard_error(values: Sequence[float]) -> float:
    """Of the mean over seeds; NaN for one seed."""
    return statistics.stdev(values) / sqrt(len(values)) if len(values) > 1 else nan


def compare(name: str, seeds: Sequence[int], cut: Cut) -> dict[str, Any]:
    """Train both sides on all seeds, each pair in the other order than the last; print and return what came out."""
    sides = {"lab": ours, "sb3": theirs}
    found: dict[str, list[Result]] = {"lab": [], "sb3": []}
    for i, seed in enumerate(seeds):
        for side in ("sb3", "lab") if i % 2 else ("lab", "sb3"):
            found[side].append(sides[side](name, seed, cut))
            print(f"{name}, seed {seed}, {side}: {found[side][-1]}", flush=True)  # the other side may take hours
    row: dict[str, Any] = {"experiment": name, "seeds": list(seeds), "steps": cut.steps or "all"}
    for side, results in found.items():
        returns = [result.mean for result in results]
        row[side] = {
            "returns": returns,
            "mean": statistics.mean(returns),
            "standard_error": standard_error(returns),
            "seconds": statistics.median(result.seconds for result in results),
            "curves": [result.curve for result in results],
        }
    least = row["sb3"]["mean"] - np.nan_to_num(row["sb3"]["standard_error"])
    row["verdict"] = "reached" if row["lab"]["mean"] >= least else "missed"
    reference = load(name).common.reference
    row["published"] = reference.value if reference else None
    print(f"{name}: {row['verdict']} (seeds {' '.join(map(str, seeds))}; published {row['published']})")
    for side in found:
        a = row[side]
        each = " ".join(f"{x:8.1f}" for x in a["returns"])
        print(f"  {side}  {each}  mean {a['mean']:.1f} ± {a['standard_error']:.1f}, {a['seconds']:.0f} s of training")
        for curve in a["curves"] if cut.points else ():
            print("       " + ", ".join(f"{p.judged:.1f} ({p.training:.2f}) at {p.steps:,}" for p in curve))
    # JSON has no NaN
    print(json.dumps(json.loads(json.dumps(row), parse_constant=lambda _: None)), flush=True)
    return row


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks returns", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", choices=list(ZOO), help=f"of {', '.join(ZOO)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="train for fewer steps than the experiment says, on both sides")
    parser.add_argument("--points", type=int, default=0, help="of learning curves, at equal steps (default: none)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for torch (default: 1)")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    for name in options.names:
        compare(name, options.seeds, Cut(options.steps, options.points, options.device, options.threads))
