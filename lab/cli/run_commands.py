"""What the `lab` commands do that train, resume, evaluate or send runs. Heavy imports happen inside, when needed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.commands import overrides_of, stderr, stdout
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.runs.summary import Summary


def run(options: argparse.Namespace, rest: list[str]) -> int:
    """Run an experiment to its end and print its panel; with --seeds several runs of it, and what they came to."""
    if options.seeds:
        from lab.cli.seeds_command import run_all

        return run_all(options, overrides_of(options, rest))
    for name in ("jobs", "fresh"):
        if getattr(options, name):
            raise ConfigError(f"--{name} is for several runs: `lab run {options.name} --seeds 0-4`")
    from dataclasses import asdict

    from lab.cli.views.panel import panel
    from lab.console.progress import console
    from lab.runner import run as run_experiment

    show = console.print if options.json else stdout().print
    summary = run_experiment(
        options.name,
        overrides_of(options, rest),
        runs_dir=options.runs_dir,
        fast_dev_run=options.fast_dev_run,
        announce=_announce,
    )
    show(panel(summary))
    if options.json:
        print(json.dumps(asdict(summary), allow_nan=False))
    return 0


def _announce(record: Summary) -> None:
    """Say, to the terminal or to the process that shows this run's progress, which run begins."""
    from lab.cli.views.panel import announcement
    from lab.console import progress

    progress.console.print(announcement(record))
    if progress.listener:
        progress.listener({"folder": record.run_dir})


def resume(options: argparse.Namespace, rest: list[str]) -> int:
    """Go on with a run and print its panel."""
    from dataclasses import asdict

    from lab.cli.views.panel import panel
    from lab.console.progress import console
    from lab.resuming import newest_unfinished
    from lab.resuming import resume as resume_run
    from lab.runs.summary import find_run, runs_folder

    if options.run.startswith("--"):  # argparse gives an override to the place of RUN where that is left out
        rest, options.run = [options.run, *rest], ""
    runs = runs_folder(options.runs_dir)
    folder = find_run(options.run, runs) if options.run else newest_unfinished(runs)
    summary = resume_run(
        folder,
        overrides_of(options, rest),
        force=options.force,
        announce=_announce,
    )
    (console.print if options.json else stdout().print)(panel(summary))
    if options.json:
        print(json.dumps(asdict(summary), allow_nan=False))
    return 0


def verify(options: argparse.Namespace, rest: list[str]) -> int:
    """Kill and resume an experiment, and say whether it ends as if nothing had happened."""
    import tempfile

    from lab.configuration import load
    from lab.resume.verify import verify as verify_experiment
    from lab.runs.summary import runs_folder
    from lab.system.signals import signals_as_exceptions

    words = overrides_of(options, rest)
    load(options.name, words)  # says what is wrong with them before anything is started
    if not options.kills.isdigit() or int(options.kills) < 1:
        raise ConfigError(f"--kills must be a number from 1 on, received {options.kills!r}")
    runs = runs_folder(options.runs_dir)
    runs.mkdir(parents=True, exist_ok=True)
    with signals_as_exceptions():
        found = verify_experiment(
            options.name,
            words,
            kills=int(options.kills),
            folder=Path(tempfile.mkdtemp(prefix=".verify-", dir=runs)),
            fast_dev_run=options.fast_dev_run,
            say=lambda line: print(f"lab: {line}", file=sys.stderr, flush=True),
        )
    exact, reason = (found.undisturbed.resume.get(key) for key in ("exact", "reason"))
    if found.differences:
        print(f"DIFFERENT after {found.kills} kills: {found.differences[0]}")
        print(f"{len(found.differences)} differences in all; both runs are kept in {found.folder}")
    elif not found.resumed:
        print(
            f"UNDECIDED: none of {found.kills} kills fell after a checkpoint, so that no run went on from one; give "
            "more --kills, or let it save more often with --checkpoint.steps"
        )
    else:
        print(f"EXACT after {found.kills} kills in {found.runs} run{'s' if found.runs > 1 else ''}")
    if not exact:
        print(f"the run itself says that it cannot be resumed exactly: {reason}")
    return 1 if found.differences or not found.resumed else 0


def doctor(options: argparse.Namespace, rest: list[str]) -> int:
    """Say where an experiment's time goes, and what was measured to make it faster."""
    from lab.cli.views.doctor import report
    from lab.doctor import diagnose

    try:
        seconds = float(options.seconds)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise ConfigError(f"--seconds must be a number of seconds above 0, received {options.seconds!r}")
    found = diagnose(
        options.name,
        overrides_of(options, rest),
        seconds=seconds,
        say=lambda line: print(f"lab: {line}", file=sys.stderr, flush=True),
    )
    stdout().print(report(found))
    return 0


def eval_(options: argparse.Namespace, rest: list[str]) -> int:
    """Evaluate a run again and print both sets of figures; or an agent over any number of episodes."""
    from lab.runs.summary import find_run, runs_folder

    folder = find_run(options.run, runs_folder(options.runs_dir))
    words = overrides_of(options, rest)
    if options.episodes or options.seeds or options.checkpoint:
        return _judge(options, folder, words)

    from lab.cli.views.panel import comparison
    from lab.evaluation import evaluate
    from lab.runs.summary import read_summary

    recorded, again = read_summary(folder), evaluate(folder, words)
    (stderr() if options.json else stdout()).print(comparison(recorded, again, changed=bool(words)))
    same = recorded.metrics == again.metrics
    if options.json:
        print(json.dumps({"run_id": again.run_id, "metrics": again.metrics, "same": same}, allow_nan=False))
    return 0 if same or words else 1


def _judge(options: argparse.Namespace, folder: Path, words: list[str]) -> int:
    """Deterministic episodes on each of the seeds given, as a table."""
    from dataclasses import asdict

    from lab.cli.views.panel import judgement
    from lab.console.wording import near
    from lab.evaluation import Title, trained_agent
    from lab.statistics import spread

    title: Title = options.checkpoint or "final"
    what = "--episodes, --seeds and --checkpoint are for agents"
    record, agent = trained_agent(folder, words, title=title, what=what)
    episodes = {}
    for seed in options.seeds or [record.seed]:
        print(f"lab: evaluation seed {seed}", file=sys.stderr, flush=True)
        episodes[seed] = agent.judge(seed, options.episodes)
    together = spread([one.total for played in episodes.values() for one in played])
    spreads = {seed: spread([one.total for one in played]) for seed, played in episodes.items()}
    worst = min((one for played in episodes.values() for one in played), key=lambda one: one.total)
    show = (stderr() if options.json else stdout()).print
    show(judgement(record, title, spreads, together, worst))
    best = " --checkpoint best" if title == "best" else ""
    show(f"to watch it: lab play {near(record.dir)} --seed {worst.seed}{best}", soft_wrap=True, markup=False)
    if options.json:
        told = {
            "run_id": record.run_id,
            "checkpoint": title,
            "seeds": {str(seed): asdict(one) for seed, one in spreads.items()},
            "all": asdict(together),
            "episodes": {str(seed): [one._asdict() for one in played] for seed, played in episodes.items()},
        }
        print(json.dumps(told, allow_nan=False))
    return 0


def play(options: argparse.Namespace, rest: list[str]) -> int:
    """Show a trained agent at work."""
    from lab.capabilities import Episode
    from lab.console.wording import near
    from lab.evaluation import Title, trained_agent
    from lab.runs.summary import find_run, runs_folder

    if options.output and options.window:
        raise ConfigError("-o films, --window shows: choose one of them")
    folder = find_run(options.run, runs_folder(options.runs_dir))
    words = overrides_of(options, rest)
    title: Title = options.checkpoint or "final"
    _, agent = trained_agent(folder, words, title=title, what="only agents can be played")

    def told(episode: Episode) -> None:
        print(f"seed {episode.seed}: return {episode.total:g} in {episode.length:,} steps", flush=True)

    name = f"play-{options.first}" if title == "final" else f"play-{title}-{options.first}"
    try:
        film = agent.play(
            range(options.first, options.first + (options.episodes or 1)),
            output=Path(options.output) if options.output else None,
            window=options.window,
            otherwise=folder / "media" / name,
            told=told,
        )
    except KeyboardInterrupt:
        return 130  # the usual way to leave a window
    if film:
        print(f"film: {near(film.absolute())}")
    return 0


def export(options: argparse.Namespace, rest: list[str]) -> int:
    """Write a trained agent as a file for another library."""
    from lab.console.wording import near
    from lab.evaluation import Title, trained_agent
    from lab.runs.summary import find_run, runs_folder

    folder = find_run(options.run, runs_folder(options.runs_dir))
    title: Title = options.checkpoint or "final"
    record, agent = trained_agent(
        folder, overrides_of(options, rest), title=title, what="only agents can be exported to Stable-Baselines3"
    )
    path = Path(options.output or f"{record.name}-{record.run_id}.zip").absolute()
    if path.suffix != ".zip":
        raise ConfigError(f"Stable-Baselines3 reads files that end in .zip, received {options.output}")
    notes = agent.export(path)
    print(f"{near(path)}: what acts is the {title} checkpoint of {record.run_id}")
    for note in notes:
        print(f"note: {note}")
    return 0


def sync(options: argparse.Namespace, rest: list[str]) -> int:
    """Send offline runs to W&B."""
    from lab.runs.summary import find_run, local_runs, runs_folder
    from lab.tracking.destination import require_key
    from lab.tracking.sync import send, unsent

    runs = runs_folder(options.runs_dir)
    named = [find_run(name, runs) for name in options.runs]
    require_key()
    folders = named or [record.dir for record in unsent(local_runs(runs))]
    failures = send(folders, say=lambda line: print(f"lab: {line}", file=sys.stderr, flush=True), sent=print)
    if not folders:
        print(f"every run in {runs} has been sent, or was never meant to be")
    return 1 if any(failures) else 0
