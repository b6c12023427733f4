"""Measures where the time of a run goes on this machine, and which settings make it faster."""

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
from lab.job import Job, prepare
from lab.needs import Need, needs_of
from lab.runs.summary import runs_folder
from lab.system.cores import usable_cores
from lab.system.devices import select_device, use_threads
from lab.system.process import process_as_found
from lab.tracking import Journal, Trackers

TURNS = 5
"""Measurements of each of two settings. They alternate, so that other load on the machine slows both equally."""

LEAST_TURNS = 3  # if a turn takes longer than planned
HOPELESS = 0.5  # a setting that is slower than this share of the speed is not measured again
WORTH_SAYING = 1.1
"""Smallest gain for which a setting is advised. Smaller gains may be noise."""

BOTTLENECK = 0.4
"""Smallest share of the time for which one part is called the bottleneck."""

DEVICES = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class Tried:
    """The measurement of one setting beside the unchanged config.

    Args:
        alternative: the setting.
        before: median steps per second without it.
        after: median steps per second with it.
        steady: whether it was faster in every pair of turns, with at most one exception in five.
    """

    alternative: Alternative
    before: float
    after: float
    steady: bool

    @property
    def gain(self) -> float:
        """Speed with the setting divided by speed without it."""
        return self.after / self.before

    @property
    def advised(self) -> bool:
        """Whether the gain is large and steady enough not to be noise."""
        return self.steady and self.gain > WORTH_SAYING


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`.

    Args:
        name: of the experiment.
        device: on which it was timed.
        threads: number of CPU threads.
        step: what a step is: `env step`, `batch`.
        timing: of the unchanged config.
        parts: descriptions of the parts of the training loop.
        tried: measurements of other settings.
        hints: on what else may make it faster.
        load: average number of busy processes per CPU before the measurement; None if the system does not report it.
    """

    name: str
    device: str
    threads: int
    step: str
    timing: Timing
    parts: Mapping[str, str]
    tried: Sequence[Tried]
    hints: Sequence[str] = ()
    load: float | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part of the time. The shares add up to 1."""
        total = sum(self.timing.seconds.values())
        return {part: spent / total for part, spent in self.timing.seconds.items()}

    @property
    def verdict(self) -> str:
        """A sentence that names the bottleneck, if there is one."""
        first, second, *_ = sorted(self.shares.items(), key=lambda item: -item[1])
        part, share = first
        if share < BOTTLENECK:
            return (
                f"There is no single bottleneck: {part} ({self.parts[part]}) takes {share:.0%} of the time, "
                f"{second[0]} ({self.parts[second[0]]}) {second[1]:.0%}."
            )
        limit = f"{1 / (1 - share):.1f} times as fast" if share < 0.995 else "far faster"
        return (
            f"The bottleneck is {part} ({self.parts[part]}), with {share:.0%} of the time: "
            f"if it took no time, training would be {limit}."
        )


@process_as_found()
def diagnose(
    name: str,
    words: Sequence[str] = (),
    *,
    seconds: float = 5.0,
    runs_dir: str | Path | None = None,
    trust: bool | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Diagnosis:
    """Time the experiment `name` with the overrides `words` for `seconds`, and each setting that may help for as long.
    Artifacts of other runs are taken from the runs folder `runs_dir`. A setting that cannot be tried is named by `say`.

    A turn is at least one round of training (a rollout and the updates on it, or a batch), so a slow experiment takes
    longer. Nothing is kept: the journal is written, because that is part of the time, but into a temporary folder.
    Raises LabErrors for an invalid config, as `lab run` does.
    """
    config, busy = load(name, words, trust=trust), _load()
    needs = needs_of(config, runs_folder(runs_dir), trust=trust)
    threads_before = torch.get_num_threads()
    try:
        with timed(config, needs=needs) as (job, turn):
            say(f"{config.common.name}: {seconds:g} s as it is")
            timing = _together([turn(seconds / TURNS) for _ in range(TURNS)])
            threads = torch.get_num_threads()
            tried = []
            for alternative in [*job.experiment.alternatives(), *_of_the_machine(job, threads)]:
                say(f"with {alternative.setting}")
                try:
                    changed = load(name, [*words, f"--{alternative.setting}"], trust=trust)
                    with timed(changed, needs=needs) as (_, other):
                        tried.append(beside(turn, other, alternative, seconds))
                except ConfigError as error:
                    say(f"{alternative.setting} could not be tried: {error}")
    finally:
        torch.set_num_threads(threads_before)
    experiment, known = job.experiment, config.common.name
    hints = experiment.hints(known)
    return Diagnosis(
        known, job.device.type, threads, experiment.step, timing, experiment.parts, tried, hints, load=busy
    )


@contextmanager
def timed(
    config: Config, adapt: Callable[[Job], None] = lambda job: None, *, needs: Sequence[Need] = ()
) -> Iterator[tuple[Job, Turn]]:
    """Yield a prepared experiment and the function that times it, after a warm-up; `adapt` may change it before.

    `needs` are the artifacts of other runs that the config needs."""
    job = prepare(config, needs, fast_dev_run=False)
    adapt(job)
    with tempfile.TemporaryDirectory(prefix="lab-doctor-") as folder:
        journal = Journal(Path(folder))
        context = RunContext(Path(folder), config.common.seed, job.device, Trackers([journal]))
        try:
            with job.experiment.trial(context) as turn:

                def with_threads(seconds: float) -> Timing:
                    use_threads(config.common.threads)  # the other setting may have changed it
                    return turn(seconds)

                yield job, with_threads
        finally:
            journal.finish({})


def beside(one: Turn, other: Turn, alternative: Alternative, seconds: float) -> Tried:
    """Time two settings in alternation, for `seconds` in all."""
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
    """Return other numbers of threads, and other available devices."""
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
    except (AttributeError, OSError):  # not available on Windows
        return None


def _together(timings: Sequence[Timing]) -> Timing:
    parts = timings[0].seconds
    return Timing(sum(t.steps for t in timings), {part: sum(t.seconds[part] for t in timings) for part in parts})
