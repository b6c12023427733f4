"""What `make gpu` does: its steps in their order, with their time limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BRIEF = {"evaluation.episodes": 10, "evaluation.best_episodes": 2, "evaluation.every": 100_000}
IMAGES = {"model.fid_samples": 256, "trainer.pictures_every": 100}

TRAINED: Mapping[str, tuple[Mapping[str, int], Mapping[str, Any]]] = {
    "ppo-cartpole": ({"cuda": 20_480, "cpu": 2_048}, BRIEF),
    "dqn-cartpole": ({"cuda": 10_240, "cpu": 2_048}, BRIEF),
    "cnn-mnist": ({"cuda": 800, "cpu": 12}, {}),
    "vae-mnist": ({"cuda": 900, "cpu": 12}, {**IMAGES, "model.nll_samples": 5}),
    "gan-mnist": ({"cuda": 400, "cpu": 12}, IMAGES),
    "gpt-shakespeare": ({"cuda": 600, "cpu": 12}, {"trainer.pictures_every_steps": 10_000}),
    "ddpm-mnist": ({"cuda": 400, "cpu": 6}, IMAGES),
}
"""What is trained for a short time: steps on each device, and other settings. How well it learns is not measured."""
REHEARSED = {"Images": {"data.name": "digits"}, "Text": {"data.name": "topics"}}
"""In a rehearsal, which does not download: by the class of the data."""
UNJUDGED = ("vae-mnist", "ddpm-mnist")
"""In a rehearsal, without a judge of samples, whose training takes a slow core minutes; gan-mnist has it."""
JUDGE = 40
"""Seconds more for a training with a judge of samples. The first one on these data trains it, on any device by one
thread of the CPU, which takes about 20 s; the others find it in the user's cache folder."""
RESUMED = ("ppo-cartpole", "dqn-cartpole", "cnn-mnist", "gan-mnist")
"""One of each kind of training: on-policy, from replay, with one optimizer, with several that the model steps."""
GRAPHED = ("ppo-cartpole", "dqn-cartpole")


@dataclass(frozen=True)
class Step:
    """A process.

    Args:
        name: unique.
        words: of the command, after the interpreter.
        limit: seconds after which it is ended.
        measured: whether it takes `--figures FILE` and writes JSON there.
        environment: variables.
    """

    name: str
    words: Sequence[str]
    limit: float
    measured: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


def steps(device: str) -> list[Step]:
    """Return all steps for a device."""

    slack = 1 if device == "cuda" else 6  # a rehearsal may have a slow core, which others use too

    def work(task: str, limit: float, *words: str) -> Step:
        name = " ".join([task, *(word for word in words if "=" not in word), *(w for w in words if "precision" in w)])
        return Step(name, ["-m", "benchmarks.gpu.work", task, *words, "--device", device], slack * limit)

    def train(name: str) -> Step:
        return work("train", 60 + (JUDGE if "model.fid_samples" in TRAINED[name][1] else 0), name)

    # A test that hangs fails and says where, before the whole step is ended.
    limits = [f"--timeout={slack * 40}", f"--session-timeout={slack * 130}"]
    tests = ["-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", "--durations=5", *limits, "tests/gpu"]
    return [
        work("about", 60),
        Step("tests", tests, slack * 150, measured=False, environment={"GPU_TESTS": device}),
        *(train(name) for name in TRAINED),
        work("train", 60, "cnn-mnist", "trainer.precision=bf16-mixed"),
        *(work("graphs", 60, name) for name in GRAPHED),
        *(work("resume", 75, name) for name in RESUMED),
    ]
