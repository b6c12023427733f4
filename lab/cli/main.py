"""The `lab` command. Imports nothing heavy until a command needs it: `lab --help` and `lab list` answer at once."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lab.cli import commands, report_commands, run_commands, runs_commands, runs_options
from lab.errors import ConfigError, EnvironmentFailedError, Interrupted, LabError

MOST_SEEDS = 1_000  # of one command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 a check failed, 2 bad input, 3 diverged, 4 an
    environment failed, 5 no valid checkpoint, 128+n ended by signal n."""
    words = runs_options.as_one_word(sys.argv[1:] if arguments is None else arguments)
    try:
        options, rest = _parser().parse_known_args(words)
        if rest and options.command not in ("run", "runs", "show", "doctor", "eval", "play", "resume", "verify"):
            raise ConfigError(f"`lab {options.command}` does not take {rest[0]!r}")
        code: int = options.action(options, rest)
        sys.stdout.flush()
    except LabError as error:
        if isinstance(error, EnvironmentFailedError) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)  # the environment's own: where its author has to look
        _say(f"error: {error}")
        return error.exit_code
    except (Interrupted, KeyboardInterrupt) as error:
        _say("interrupted; what was recorded is kept, and `lab resume` goes on from the last checkpoint, if any")
        return getattr(error, "exit_code", 130)
    except BrokenPipeError:  # `lab list | head -1`: whoever read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _say(text: str) -> None:
    with suppress(OSError):  # nobody listens any more
        print(f"lab: {text}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lab", description="Train, evaluate and compare the lab's experiments.", allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, action: Any, summary: str, **more: Any) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False, **more)
        sub.set_defaults(action=action)
        return sub

    def as_json(sub: argparse.ArgumentParser, what: str) -> None:
        sub.add_argument("--json", action="store_true", help=what)

    def runs_dir(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--runs-dir", metavar="DIR", help="folder of all runs (default: $LAB_RUNS_DIR, else ./runs)")

    overrides = "any other --a.b=value overrides that setting of the config; `lab show NAME` prints them all"
    as_json(command("list", commands.list_, "the experiments with their published references"), "as JSON")
    for name, action, summary in (
        ("run", run_commands.run, "run an experiment to its end"),
        ("show", commands.show, "print an experiment's resolved config"),
    ):
        sub = command(name, action, summary, epilog=overrides)
        sub.add_argument("name", metavar="NAME|FILE.yaml", help="an experiment of `lab list`, or a config file")
        sub.add_argument("--seed", metavar="N", help="seed of everything random in the run")
        sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
        if name == "run":
            sub.add_argument("--seeds", metavar="S", type=_seeds, help="several runs, as 0-4 or 0,1,2: what is missing")
            sub.add_argument("--jobs", metavar="N", type=_count, help="of them at once (default: as the cores allow)")
            sub.add_argument("--fresh", action="store_true", help="all of them anew, also those that are there")
            sub.add_argument("--fast-dev-run", action="store_true", help="touch every stage, in seconds")
            runs_dir(sub)
            as_json(sub, "print the summary as the last line of stdout")
    sub = command("resume", run_commands.resume, "go on with a run that was killed or interrupted", epilog=overrides)
    sub.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="",
        help="a run folder, a run's id or its beginning, or an experiment (default: the newest unfinished run)",
    )
    sub.add_argument("--force", action="store_true", help="with other settings (a new run) or versions (inexact)")
    runs_dir(sub)
    as_json(sub, "print the summary as the last line of stdout")
    sub = command("verify", run_commands.verify, "kill and resume an experiment, and compare", epilog=overrides)
    sub.add_argument("name", metavar="NAME|FILE.yaml", help="an experiment of `lab list`, or a config file")
    sub.add_argument("--kills", metavar="N", default="5", help="times to kill it at a random moment (default: 5)")
    sub.add_argument("--seed", metavar="N", help="seed of everything random in the run")
    sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
    sub.add_argument("--fast-dev-run", action="store_true", help="touch every stage, in seconds")
    runs_dir(sub)
    sub = command("doctor", run_commands.doctor, "where a run's time goes, and what makes it faster", epilog=overrides)
    sub.add_argument("name", metavar="NAME|FILE.yaml", help="an experiment of `lab list`, or a config file")
    sub.add_argument("--seconds", metavar="S", default="5", help="for each setting that is timed (default: 5)")
    sub.add_argument("--seed", metavar="N", help="seed of everything random in the run")
    sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
    sub = command("runs", runs_commands.runs, "the runs on this machine: look through them, or remove some")
    runs_options.add_options(sub, _count)
    runs_dir(sub)
    as_json(sub, "as JSON")
    named_any = "a run folder, a run's id or its beginning, an experiment, or a pattern like 'ppo-*'"
    named = "a run folder, a run's id or its beginning, or an experiment (its newest run)"

    def of_run(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("run", metavar="RUN", help=named)
        sub.add_argument("--checkpoint", choices=("final", "best"), help="of an agent (default: final)")
        sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
        runs_dir(sub)

    sub = command(
        "eval",
        run_commands.eval_,
        "evaluate a run again, from its checkpoint",
        epilog=f"With --episodes, --seeds or --checkpoint: a table of an agent's returns. {overrides}",
    )
    of_run(sub)
    sub.add_argument(
        "--episodes", metavar="N", type=_count, help="of an agent, on each seed (default: as in its config)"
    )
    sub.add_argument(
        "--seeds",
        metavar="S",
        type=_seeds,
        help="evaluation seeds of an agent, as 0-4 or 0,1,2 (default: the run's own, which repeats its episodes)",
    )
    as_json(sub, "print the figures as the last line of stdout")
    sub = command("play", run_commands.play, "watch a trained agent: in a window, or as a film", epilog=overrides)
    of_run(sub)
    sub.add_argument("--episodes", metavar="N", type=_count, help="episodes to show (default: 1)")
    sub.add_argument(
        "--seed",
        dest="first",
        metavar="S",
        type=_seed,
        default=0,
        help="the environment's seed in the first episode; each further one has the next seed (default: 0)",
    )
    sub.add_argument("-o", "--output", metavar="FILE", help="film it: .mp4 (needs the extra video) or .gif")
    sub.add_argument("--window", action="store_true", help="a window, or an error where there can be none")
    sub = command("export", run_commands.export, "write a trained agent as a file for another library")
    of_run(sub)
    sub.add_argument("--format", choices=("sb3",), default="sb3", help="sb3: for Stable-Baselines3 without the lab")
    sub.add_argument(
        "-o", "--output", metavar="FILE.zip", help="default: in the working directory, named after the run"
    )
    sub = command("sync", run_commands.sync, "send offline runs to Weights & Biases; rows it has are not sent again")
    sub.add_argument("runs", metavar="RUN", nargs="*", help="as for `lab eval` (default: every run not sent yet)")
    runs_dir(sub)
    sub = command("report", report_commands.report, "one page about runs: verdicts, curves, what a reviewer asks")
    sub.add_argument("runs", metavar="RUN", nargs="*", help=f"{named_any} (default: all)")
    sub.add_argument("--where", metavar="EXPR", help="only runs that have this, as 'eval/return_mean>400'")
    sub.add_argument(
        "--group-by",
        metavar="FIELD,...",
        help="runs alike in these fields are seeds of one thing (default: experiment)",
    )
    sub.add_argument("--title", metavar="T", help="the page's heading")
    sub.add_argument("-o", "--output", metavar="FILE.html", help="default: report.html in the working directory")
    sub.add_argument("--check", action="store_true", help="write nothing; print the findings, and exit 1 for any")
    sub.add_argument("--publish", action="store_true", help="make a Weights & Biases Report instead; prints its link")
    runs_dir(sub)
    data = command("data", commands.data, "the data sets: list them, or fetch one")
    data.add_argument("what", choices=("list", "fetch"))
    data.add_argument("names", nargs="*", metavar="NAME", help="data sets to fetch (default: all)")
    as_json(data, "as JSON")
    return parser


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, received {word!r}")
    return int(word)


def _seed(word: str) -> int:
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {2**32 - 1}, received {word!r}")
    return int(word)


def _seeds(word: str) -> list[int]:
    """`0-4`, `0,1,2` or `0-2,7` as a list, each seed once."""
    seeds: list[int] = []
    for part in word.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise argparse.ArgumentTypeError(f"expected seeds like 0-4 or 0,1,2, received {word!r}")
        more = range(_seed(first), _seed(last or first) + 1)
        if len(seeds) + len(more) > MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"expected at most {MOST_SEEDS:,} seeds, received {word!r}")
        seeds += more
    if len(set(seeds)) < max(len(seeds), 1):
        raise argparse.ArgumentTypeError(f"expected each seed once and at least one, received {word!r}")
    return seeds


def entry() -> None:
    """Run the command as a program. All is written by its end; a W&B that hangs may not hold up the exit."""
    code = main()
    sys.stderr.flush()
    follower = sys.modules.get("lab.tracking.wandb")
    if follower is not None and follower.hung.is_set():
        os._exit(code)
    sys.exit(code)
