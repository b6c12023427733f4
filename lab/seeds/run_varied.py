"""Several runs of one experiment: each an ordinary run in a process of its own, as many at once as there are cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from lab.config.files import setting
from lab.config.values import word
from lab.configuration import Config, load
from lab.console.notices import notice
from lab.errors import ConfigError, DivergedError, Interrupted
from lab.needs import pin
from lab.runner import find_needs
from lab.runs.folder import at_work
from lab.runs.summary import Summary, read_summary, runs_folder
from lab.seeds.children import POLL, Child, Children
from lab.seeds.existing import recorded
from lab.seeds.results import Outcome, Trial, Trials
from lab.seeds.scratch import log_name, pinned, scratch, tidy
from lab.seeds.vary import SEED, Settings, as_words, combinations
from lab.system.cores import usable_cores
from lab.system.devices import DEFAULT_THREADS, select_device
from lab.system.forking import ForkServer, can_fork
from lab.system.process import process_as_found
from lab.system.signals import Stop, signals_as_exceptions
from lab.tracking.redact import blanked, redact

BUSY = 1
"""Exit code for a run that another process is working on: it is not done."""

Overrides = Mapping[str, Any] | Sequence[str]
Watch = Callable[[Sequence[Child]], None]


@process_as_found()
def run_varied(
    name: str,
    overrides: Overrides = (),
    *,
    vary: Mapping[str, Sequence[Any]],
    runs_dir: str | Path | None = None,
    fast_dev_run: bool = False,
    jobs: int | None = None,
    fresh: bool = False,
    make_needed: bool = False,
    trust: bool | None = None,
    watch: Watch = lambda children: None,
) -> Trials:
    """Run the experiment `name` (or a YAML file) with each combination of settings; `lab run --vary` does the same.

    Args:
        name: the experiment or the file.
        overrides: settings of all runs.
        vary: values by dotted setting, as `{"seed": range(5), "data.fold": range(10)}`.
        runs_dir: folder of all runs.
        fast_dev_run: do a little of every stage.
        jobs: runs at once; None for as many as there are cores for, and one on a GPU.
        fresh: run all again. Otherwise a complete run with the same resolved config is not run again, and one that was
            killed or interrupted is resumed.
        make_needed: first run the experiments whose artifacts these runs need, where no completed run has them.
        trust: see `lab.runner.run`.
        watch: called again and again with the state of all runs.

    A run that fails does not stop the others. All runs use the config as it was at the beginning. No child process
    outlives this one.

    Raises ConfigError, before anything is started, for all that can be known to be wrong; Interrupted when a signal
    asks to end, after the runs have saved themselves. The same call then goes on.
    """
    chosen = combinations(vary)
    configs = _configs(str(name), overrides, chosen, trust)
    for line in dict.fromkeys(line for config in configs.values() for line in config.notes):
        notice(line)
    runs = runs_folder(runs_dir)
    for config in configs.values():
        pin(config, find_needs(config, runs, fast_dev_run=fast_dev_run, make_needed=make_needed, trust=trust))
    at_once = jobs or min(map(simultaneous, configs.values()))

    def already(one: Settings) -> Summary | None:
        config = configs[_key(one)]
        seed = one.get(SEED, config.common.seed)
        return recorded(config, runs, [seed], fast_dev_run=fast_dev_run, trust=trust).get(seed)

    before = [None if fresh else already(one) for one in chosen]
    place: Path | None = None
    children: list[Child] = []
    with signals_as_exceptions() as stop:
        try:
            with stop.deferred():  # no signal comes between the folder and its name
                place = scratch()
            files = {key: pinned(configs[key], place / f"config-{n}.yaml") for n, key in enumerate(configs)}
            more = ["--runs-dir", str(runs), "--json", *(["--fast-dev-run"] if fast_dev_run else [])]
            for one, there in zip(chosen, before, strict=True):
                log = place / log_name(one, len(children))
                start = ["run", str(files[_key(one)]), *more]
                children.append(_child(one, there, start, log, configs[_key(one)], trust=bool(trust)))
            todo = [child for child in children if child.words]
            first = str(next(iter(files.values())))
            with ForkServer(first) if len(todo) > 1 and can_fork() else nullcontext() as server:
                _carry_out(Children(children, at_once, server), watch, stop)
        finally:
            if place:
                tidy(place, [child.log for child in children if child.failed])
    return _together([_trial(child) for child in children], configs, fast_dev_run=fast_dev_run)


def run_seeds(
    name: str,
    overrides: Overrides = (),
    *,
    seeds: Sequence[int],
    runs_dir: str | Path | None = None,
    fast_dev_run: bool = False,
    jobs: int | None = None,
    fresh: bool = False,
    make_needed: bool = False,
    trust: bool | None = None,
    watch: Watch = lambda children: None,
) -> Trials:
    """Run the experiment with each of the seeds; `lab run --seeds` does the same. See `run_varied`."""
    return run_varied(
        name,
        overrides,
        vary={SEED: seeds},
        runs_dir=runs_dir,
        fast_dev_run=fast_dev_run,
        jobs=jobs,
        fresh=fresh,
        make_needed=make_needed,
        trust=trust,
        watch=watch,
    )


def simultaneous(config: Config) -> int:
    """Return how many runs of this config the machine has cores for; one on a GPU. Raises ConfigError for a device that
    is not there."""
    if select_device(config.common.device).type != "cpu":
        return 1
    return max(1, usable_cores() // (config.common.threads or DEFAULT_THREADS))


def _key(settings: Settings) -> str:
    """What the config of a run depends on, the seed aside."""
    return " ".join(as_words({name: value for name, value in settings.items() if name != SEED}))


def _configs(name: str, overrides: Overrides, chosen: Sequence[Settings], trust: bool | None) -> dict[str, Config]:
    """The configs of all runs, by `_key`."""
    found: dict[str, Config] = {}
    for settings in chosen:
        if (key := _key(settings)) not in found:
            more = {name: value for name, value in settings.items() if name != SEED}
            both = {**overrides, **more} if isinstance(overrides, Mapping) else [*overrides, *as_words(more)]
            found[key] = load(name, both, trust=trust)
    return found


def _child(
    settings: Settings, before: Summary | None, start: Sequence[str], log: Path, config: Config, *, trust: bool
) -> Child:
    """What is to be done for one run. `before` is the run that is there already, without the secrets of the config."""
    if before is None:
        return Child(settings, "ran", [*start, *as_words({k: v for k, v in settings.items() if k == SEED})], log)
    if before.status in ("completed", "diverged"):  # with the same config it would diverge again
        code = 0 if before.status == "completed" else DivergedError.exit_code
        return Child(settings, "there", (), log, before.dir, "ended", code)
    if at_work(before.dir):
        return Child(settings, "elsewhere", (), log, before.dir, "ended", BUSY)
    words = ["resume", str(before.dir), "--json", *(["--trust"] if trust else [])]
    values = config.as_dict()
    found = {name: setting(values, name) for name in blanked(redact(values))}  # None in a list, which has no names
    secrets = [f"--{name}={word(value)}" for name, value in found.items() if value is not None]
    return Child(settings, "resumed", words, log, before.dir, secrets=secrets)


def _carry_out(crew: Children, watch: Watch, stop: Stop) -> None:
    try:
        with stop.deferred():
            while crew.step():
                watch(crew.children)
                stop.raise_if_requested()
                time.sleep(POLL)
        watch(crew.children)
    except Interrupted as error:
        crew.end(error.exit_code - 128, lambda: watch(crew.children))
        raise
    finally:
        crew.kill()


def _trial(child: Child) -> Trial:
    run = None
    if child.folder:
        with suppress(ConfigError):
            run = read_summary(child.folder)
    log, said = (child.log, "\n".join(child.tail)) if child.failed else (None, "")
    return Trial(child.settings, child.how, child.code, round(child.seconds, 3), run, log, said)


def _together(trials: Sequence[Trial], configs: Mapping[str, Config], *, fast_dev_run: bool) -> Trials:
    """The runs in groups that differ only in settings that make repeats: seeds and folds."""
    repeats = {name for config in configs.values() for name in config.roles().repeats}
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        others = {name: value for name, value in trial.settings.items() if name not in repeats}
        alike.setdefault(" ".join(as_words(others)), []).append(trial)
    outcomes = []
    for members in alike.values():
        settings = {name: value for name, value in members[0].settings.items() if name not in repeats}
        config = configs[_key(dict(members[0].settings))]
        outcomes.append(Outcome(settings, members, config, fast_dev_run))
    config = next(iter(configs.values()))
    return Trials(config.common.name, tuple(trials[0].settings), trials, outcomes)
