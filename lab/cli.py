"""The `lab` command. Imports nothing heavy until a command needs it: `lab --help` and `lab list` answer at once."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lab import commands, run_commands
from lab.errors import ConfigError, EnvironmentFailedError, Interrupted, LabError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 a check failed, 2 bad input, 3 diverged, 4 an
    environment failed, 5 no valid checkpoint, 128+n ended by signal n."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, rest = _parser().parse_known_args(words)
        if rest and options.command not in ("run", "show", "eval", "resume", "verify"):
            raise ConfigError(f"`lab {options.command}` does not take {rest[0]!r}")
        code: int = options.action(options, rest)
        sys.stdout.flush()
    except LabError as error:
        if isinstance(error, EnvironmentFailedError) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)  # the environment's own: where its author has to look
        _say(f"error: {error}")
        return error.exit_code
    except (Interrupted, KeyboardInterrupt) as error:
        _say("interrupted; what was recorded until here is kept, and `lab resume` goes on from the last checkpoint")
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
    sub = command("runs", commands.runs, "the runs on this machine")
    runs_dir(sub)
    as_json(sub, "as JSON")
    sub = command("eval", run_commands.eval_, "evaluate a run again, from its checkpoint", epilog=overrides)
    sub.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
    sub.add_argument(
        "run", metavar="RUN", help="a run folder, a run's id or its beginning, or an experiment (its newest run)"
    )
    runs_dir(sub)
    as_json(sub, "print the figures as the last line of stdout")
    sub = command("sync", run_commands.sync, "send offline runs to Weights & Biases; rows it has are not sent again")
    sub.add_argument("runs", metavar="RUN", nargs="*", help="as for `lab eval` (default: every run not sent yet)")
    runs_dir(sub)
    data = command("data", commands.data, "the data sets: list them, or fetch one")
    data.add_argument("what", choices=("list", "fetch"))
    data.add_argument("names", nargs="*", metavar="NAME", help="data sets to fetch (default: all)")
    as_json(data, "as JSON")
    return parser


def entry() -> None:
    """Run the command as a program. All is written by its end; a W&B that hangs may not hold up the exit."""
    code = main()
    sys.stderr.flush()
    follower = sys.modules.get("lab.tracking.wandb")
    if follower is not None and follower.hung.is_set():
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
