"""`lab eval`: evaluate a run again from its checkpoint, or an agent over any number of episodes."""

from __future__ import annotations

import argparse

from lab.cli import options as shared
from lab.cli.output import loading, print_json, results, say
from lab.cli.using import Chosen, chosen, trained_by, using

SUMMARY = "evaluate a run again, from its checkpoint"
TAKES_OVERRIDES = True
EPILOG = "For an agent, --episodes, --seeds and --checkpoint print a table of its returns."


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument(
        "--episodes", metavar="N", type=shared.count, help="episodes of an agent per seed (default: as in its config)"
    )
    parser.add_argument(
        "--seeds",
        metavar="S",
        type=shared.seeds,
        help="evaluation seeds of an agent, as 0-4 or 0,1,2 (default: that of the run's figures, which repeats them)",
    )
    shared.as_json(parser, "print the figures as the last line of stdout")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    run = chosen(options)
    recorded, checkpoint = run
    if options.episodes or options.seeds or (options.checkpoint and "act" in recorded.can):
        return _play_episodes(run, options, rest)
    loading(options.run)
    from lab.cli.views.evaluation import comparison
    from lab.evaluation import evaluate_run

    again = evaluate_run(recorded, rest, checkpoint=checkpoint, trust=options.trust)
    other = "other settings than the run's own" if rest else ""
    if not other and checkpoint != "final":
        other = f"the checkpoint {checkpoint}"
    results(options).print(comparison(recorded, again, other))
    same = recorded.agrees(again)
    if options.json:
        print_json({"run_id": again.run_id, "metrics": again.metrics, "same": same})
    return 0 if same or other else 1


def _play_episodes(run: Chosen, options: argparse.Namespace, rest: list[str]) -> int:
    """Play deterministic episodes from each of the seeds, and print their returns as a table."""
    from dataclasses import asdict

    from lab.cli.views.evaluation import returns_table
    from lab.console.plain import plain
    from lab.console.wording import near, word
    from lab.statistics import spread

    record, checkpoint = run
    agent = trained_by(run, options, "act", rest)
    episodes = {}
    for seed in options.seeds or [getattr(agent, "judged_seed", record.seed)]:
        say(f"evaluation seed {seed}")
        with using(record, options):
            episodes[seed] = agent.episodes(seed, options.episodes)
    together = spread([one.total for played in episodes.values() for one in played])
    spreads = {seed: spread([one.total for one in played]) for seed, played in episodes.items()}
    worst = min((one for played in episodes.values() for one in played), key=lambda one: one.total)
    show = results(options).print
    show(returns_table(record, checkpoint, spreads, together, worst))
    other = "" if checkpoint == "final" else f" --checkpoint {word(checkpoint)}"
    show(plain(f"to watch it: lab play {word(near(record.dir))} --seed {worst.seed}{other}"), soft_wrap=True)
    if options.json:
        found = {
            "run_id": record.run_id,
            "checkpoint": checkpoint,
            "seeds": {str(seed): asdict(one) for seed, one in spreads.items()},
            "all": asdict(together),
            "episodes": {str(seed): [one._asdict() for one in played] for seed, played in episodes.items()},
        }
        print_json(found)
    return 0
