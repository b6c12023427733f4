"""Several seeds of one experiment: each an ordinary run in a process of its own, as many at once as there are cores."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from lab.configuration import Config, load
from lab.console.progress import notice
from lab.data.base import DatasetInfo
from lab.errors import ConfigError, DivergedError, Interrupted
from lab.runs.folder import at_work
from lab.runs.reference import judge
from lab.runs.summary import Summary, read_summary, runs_folder
from lab.saving.surroundings import differences
from lab.seeds.children import POLL, Child, Children
from lab.seeds.existing import recorded
from lab.seeds.results import SeedRun, SeedRuns
from lab.system.cores import usable_cores
from lab.system.devices import DEFAULT_THREADS, select_device
from lab.system.signals import Stop, signals_as_exceptions

BUSY = 1
"""Exit code for a seed that another process is at work on: it is not done."""


def run_seeds(
    name: str,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    seeds: Sequence[int],
    runs_dir: str | Path | None = None,
    fast_dev_run: bool = False,
    jobs: int | None = None,
    fresh: bool = False,
    watch: Callable[[Sequence[Child]], None] = lambda children: None,
) -> SeedRuns:
    """Run the experiment `name` (or a YAML file) with each of the seeds; `lab run --seeds` does just this.

    A run of the same resolved config that is complete is not run again, and one that was killed or interrupted is
    resumed; with `fresh` all begin anew. `jobs` are at work at once: by default as many as there are cores for, and one
    on a GPU. One that fails does not stop the others. All of them see the config as it was at the beginning. `watch` is
    called again and again with how far they are.

    Raises ConfigError, before anything is started, for all that can be known to be wrong; Interrupted when a signal
    asks to end, once the runs have saved themselves: called again, this goes on. No child outlives this process.
    """
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        raise ConfigError(f"seeds must be different numbers from 0 to {2**32 - 1}, at least one; received {seeds}")
    config = load(str(name), overrides)
    for line in config.notes:
        notice(line)
    runs, at_once = runs_folder(runs_dir), jobs or simultaneous(config)
    before = {} if fresh else recorded(config, runs, seeds, fast_dev_run=fast_dev_run)
    place: Path | None = None
    children: list[Child] = []
    with signals_as_exceptions() as stop:
        try:
            with stop.deferred():  # no signal comes between the folder and its name
                place = _scratch()
            start = ["run", str(_pinned(config, place)), "--runs-dir", str(runs), "--json"]
            start += ["--fast-dev-run"] if fast_dev_run else []
            children = [_child(seed, before.get(seed), start, place) for seed in seeds]
            _carry_out(children, at_once, watch, stop)
        finally:
            if place:
                _tidy(place, [child.log for child in children if child.failed])
    return _together(config, [_result(child) for child in children], fast_dev_run=fast_dev_run)


def simultaneous(config: Config) -> int:
    """How many runs of this config the machine has cores for; one on a GPU. Raises ConfigError for a device that is
    not there."""
    if select_device(config.common.device).type != "cpu":
        return 1
    return max(1, usable_cores() // (config.common.threads or DEFAULT_THREADS))


def _scratch() -> Path:
    """Make a folder for the runs' logs, for this user's eyes alone."""
    try:
        return Path(tempfile.mkdtemp(prefix="lab-seeds-"))
    except OSError as error:
        raise ConfigError(
            f"cannot write to {tempfile.gettempdir()}: {error.strerror}; TMPDIR chooses another"
        ) from error


def _tidy(place: Path, keep: Collection[Path]) -> None:
    """Remove what nobody was told of, and the folder where that was all."""
    for path in place.iterdir():
        if path not in keep:
            path.unlink()
    if not any(place.iterdir()):
        place.rmdir()


def _pinned(config: Config, place: Path) -> Path:
    """Write the resolved config for the children: the file that the user named may change while they wait.

    Raises ConfigError where the config cannot be repeated from a file.
    """
    path = place / "config.yaml"
    path.write_text(yaml.safe_dump(config.as_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
    if lost := list(differences(config.as_dict(), load(str(path)).as_dict())):
        raise ConfigError(f"this config does not come back from a file: {'; '.join(lost)}; run each seed by itself")
    return path


def _child(seed: int, before: Summary | None, start: Sequence[str], place: Path) -> Child:
    """What is to be done for a seed, `before` being its run that is there."""
    log = place / f"seed-{seed}.log"
    if before is None:
        return Child(seed, "ran", [*start, "--seed", str(seed)], log)
    if before.status in ("completed", "diverged"):  # by the same config it would diverge again
        code = 0 if before.status == "completed" else DivergedError.exit_code
        return Child(seed, "there", (), log, before.dir, "ended", code)
    if at_work(before.dir):
        return Child(seed, "elsewhere", (), log, before.dir, "ended", BUSY)
    return Child(seed, "resumed", ["resume", str(before.dir), "--json"], log, before.dir)


def _carry_out(children: Sequence[Child], at_once: int, watch: Callable[[Sequence[Child]], None], stop: Stop) -> None:
    crew = Children(children, at_once)
    try:
        with stop.deferred():
            while crew.step():
                watch(children)
                stop.raise_if_requested()
                time.sleep(POLL)
        watch(children)
    except Interrupted as error:
        crew.end(error.exit_code - 128, lambda: watch(children))
        raise
    finally:
        crew.kill()


def _result(child: Child) -> SeedRun:
    run = None
    if child.folder:
        with suppress(ConfigError):
            run = read_summary(child.folder)
    log, said = (child.log, "\n".join(child.tail)) if child.failed else (None, "")
    return SeedRun(child.seed, child.how, child.code, round(child.seconds, 3), run, log, said)


def _together(config: Config, results: Sequence[SeedRun], *, fast_dev_run: bool) -> SeedRuns:
    """The verdict on the mean of the seeds, by the rules for a single run."""
    reference = config.common.reference
    named = [name for one in results if one.run for name in one.run.metrics]
    metric = reference.metric if reference else (named[0] if named else "")
    found = SeedRuns(config.common.name, metric, results, asdict(reference) if reference else {})
    ended = [one.run for one in results if one.run and one.seed in found.values]
    odd = next((run for run in ended if run.verdict == "not-comparable"), None)
    used = ended[0].dataset if ended else {"name": reference.dataset if reference else ""}
    verdict, reason = judge(
        reference,
        {metric: found.spread.mean if found.spread else None},
        dataset=DatasetInfo(str(used.get("name")), used.get("sha256"), used.get("fallback")),
        settings=config.as_dict(),
        fast_dev_run=fast_dev_run,
    )
    if odd:
        verdict, reason = "not-comparable", f"seed {odd.seed}: {odd.reference.get('reason')}"
    return replace(found, published=found.published | {"verdict": verdict, "reason": reason})
