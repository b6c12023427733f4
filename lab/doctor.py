"""Where a run's time goes on this machine, and which settings make it faster: measured side by side, not guessed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from lab.configuration import Config, load
from lab.errors import ConfigError
from lab.experiment import Alternative, RunContext, Timing, Turn
from lab.runner import Job, prepare
from lab.system.cores import usable_cores
from lab.system.devices import select_device, use_threads
from lab.tracking import Journal, Trackers

TURNS = 5
"""Of each of two settings, in alternation: a machine that others use as well slows both of them alike."""

LEAST_TURNS = 3  # where a turn takes longer than it should
HOPELESS = 0.5  # of the speed: such a setting is not tried twice
WORTH_SAYING = 1.1
"""Gain from which on a setting is advised: what is less may as well be chance."""

BOTTLENECK = 0.4
"""Share of the time from which on one part alone holds a run back."""

DEVICES = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class Tried:
    """One setting beside the config as it stands.

    Args:
        alternative: the setting.
        before: median steps per second without it, in the same alternation.
        after: and with it.
        steady: whether it was the faster one in every pair of turns but at most one of five.
    """

    alternative: Alternative
    before: float
    after: float
    steady: bool

    @property
    def gain(self) -> float:
        """How many times as fast."""
        return self.after / self.before

    @property
    def advised(self) -> bool:
        """Whether the gain is large and steady enough to be no chance."""
        return self.steady and self.gain > WORTH_SAYING


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Args:
        name: of the experiment.
        device: it was timed on.
        threads: CPU threads it was given.
        step: what a step is: `env step`, `batch`.
        timing: of the config as it stands.
        parts: what the parts of the training loop are, in plain words.
        tried: the alternatives.
        load: average number of busy processes per CPU when all this began; None where the system does not say.
    """

    name: str
    device: str
    threads: int
    step: str
    timing: Timing
    parts: Mapping[str, str]
    tried: Sequence[Tried]
    load: float | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part in the time; they add up to 1."""
        total = sum(self.timing.seconds.values())
        return {part: spent / total for part, spent in self.timing.seconds.items()}

    @property
    def verdict(self) -> str:
        """What holds the run back, in plain words."""
        first, second, *_ = sorted(self.shares.items(), key=lambda item: -item[1])
        part, share = first
        if share < BOTTLENECK:
            return (
                f"Nothing alone holds it back: {part} ({self.parts[part]}) takes {share:.0%} of the time, "
                f"{second[0]} ({self.parts[second[0]]}) {second[1]:.0%}."
            )
        limit = f"{1 / (1 - share):.1f} times as fast" if share < 0.995 else "far faster"
        return (
            f"What holds it back is {part} ({self.parts[part]}), with {share:.0%} of the time: "
            f"if that took none, training would be {limit}."
        )


def diagnose(
    name: str, words: Sequence[str] = (), *, seconds: float = 5.0, say: Callable[[str], None] = lambda line: None
) -> Diagnosis:
    """Time the experiment `name` with the overrides `words` for some `seconds`, and as long each setting that may help.

    A turn is at least one whole round of training (a rollout and what is learnt from it; a batch), so that a slow
    experiment takes longer. Nothing is kept: the journal, whose writing belongs to the time, goes to a temporary
    folder. Raises LabErrors for what is wrong with the config, as `lab run` does.
    """
    config, busy = load(name, words), _load()
    threads_before = torch.get_num_threads()
    try:
        with _trial(config) as (job, turn):
            say(f"{config.common.name}: {seconds:g} s as it is")
            timing = _together([turn(seconds / TURNS) for _ in range(TURNS)])
            threads = torch.get_num_threads()
            tried = []
            for alternative in [*job.experiment.alternatives(), *_of_the_machine(job, threads)]:
                say(f"with {alternative.setting}")
                with suppress(ConfigError), _trial(load(name, [*words, f"--{alternative.setting}"])) as (_, other):
                    tried.append(_beside(turn, other, alternative, seconds))
    finally:
        torch.set_num_threads(threads_before)
    experiment = job.experiment
    return Diagnosis(
        config.common.name, job.device.type, threads, experiment.step, timing, experiment.parts, tried, busy
    )


@contextmanager
def _trial(config: Config) -> Iterator[tuple[Job, Turn]]:
    """What is to be timed, warm."""
    job = prepare(config, fast_dev_run=False)
    with tempfile.TemporaryDirectory(prefix="lab-doctor-") as folder:
        journal = Journal(Path(folder))
        context = RunContext(Path(folder), config.common.seed, job.device, Trackers([journal]))
        try:
            with job.experiment.trial(context) as turn:

                def with_threads(seconds: float) -> Timing:
                    use_threads(config.common.threads)  # the other one of two may have asked for another number
                    return turn(seconds)

                yield job, with_threads
        finally:
            journal.finish({})


def _beside(one: Turn, other: Turn, alternative: Alternative, seconds: float) -> Tried:
    """Time two settings in alternation, for so many seconds together."""
    rates: list[tuple[float, float]] = []
    until = perf_counter() + seconds
    while len(rates) < LEAST_TURNS or (len(rates) < TURNS and perf_counter() < until):
        rates.append((one(seconds / TURNS / 2).rate, other(seconds / TURNS / 2).rate))
        if len(rates) == 1 and rates[0][1] < HOPELESS * rates[0][0]:
            break
    before, after = (median(column) for column in zip(*rates, strict=True))
    slower = sum(b <= a for a, b in rates)
    return Tried(alternative, before, after, slower <= len(rates) // TURNS)


def _of_the_machine(job: Job, threads: int) -> list[Alternative]:
    """Other numbers of threads, and other devices that are there."""
    cores = usable_cores()
    found = [Alternative(f"threads={n}") for n in sorted({1, min(2, cores), cores} - {threads})]
    for device in DEVICES:
        with suppress(ConfigError):
            if select_device(device).type != job.device.type:  # type: ignore[arg-type]
                found.append(Alternative(f"device={device}"))
    return found


def _load() -> float | None:
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows has none
        return None


def _together(timings: Sequence[Timing]) -> Timing:
    parts = timings[0].seconds
    return Timing(sum(t.steps for t in timings), {part: sum(t.seconds[part] for t in timings) for part in parts})
