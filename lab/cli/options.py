"""Options that several commands share, and the readers of their values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from lab.errors import ConfigError

SHARED = ("--seed", "--device", "--fast-dev-run", "--runs-dir", "--json", "--config")
"""Options that people know from other commands: a command that does not take one of them says so."""

MOST_SEEDS = 1_000  # of one command
MOST = 1_000_000  # episodes, samples, runs of one command
RUN = "a run folder, a run's id or the beginning of it, or an experiment (its newest run)"
RUNS = "a run folder, a run's id or the beginning of it, an experiment, or a pattern such as 'ppo-*'"


def experiment(parser: argparse.ArgumentParser) -> None:
    """NAME, --seed, --device and --trust."""
    parser.add_argument("name", metavar="NAME|FILE.yaml", help="an experiment of `lab list`, or a config file")
    parser.add_argument("--seed", metavar="N", help="seed of everything random in the run")
    device(parser)
    trust(parser)


def of_run(parser: argparse.ArgumentParser) -> None:
    """RUN, --checkpoint, --device, --runs-dir and --trust."""
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument(
        "--checkpoint", metavar="NAME", help="final, best or last, as the run has them (default: final)"
    )
    device(parser)
    runs_dir(parser)
    trust(parser)


def device(parser: argparse.ArgumentParser) -> None:
    """--device."""
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")


def trust(parser: argparse.ArgumentParser) -> None:
    """--trust: True, or None to go by the signature."""
    parser.add_argument(
        "--trust",
        action="store_const",
        const=True,
        help="take somebody else's run or config for your own this once: it may run any code that is installed",
    )


def fast_dev_run(parser: argparse.ArgumentParser) -> None:
    """--fast-dev-run."""
    parser.add_argument("--fast-dev-run", action="store_true", help="do a little of every stage, in seconds")


def runs_dir(parser: argparse.ArgumentParser) -> None:
    """--runs-dir."""
    parser.add_argument("--runs-dir", metavar="DIR", help="folder of all runs (default: $LAB_RUNS_DIR, else ./runs)")


def as_json(parser: argparse.ArgumentParser, what: str = "print JSON") -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help=what)


def require_named(words: Sequence[str]) -> None:
    """Raise ConfigError where an INPUT is empty, or no file, no folder, no word or sentence and not standard input, or
    where the latter is there twice. Whether the model takes words or sentences is not known yet."""
    for word in words:
        if not word.strip():
            raise ConfigError("an INPUT is empty; expected a file, a folder, a text or -")
        said = len(word.split()) > 1 or word.replace("'", "").isalpha()
        if word != "-" and not said and not os.path.exists(word):
            raise ConfigError(f"there is no file {word}")
    if words.count("-") > 1:
        raise ConfigError("standard input, -, can be read once")


def listed(names: str, flag: str) -> list[str]:
    """Read names of fields with commas between them. Raises ConfigError for none."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise ConfigError(f"{flag} needs names of fields, received {names!r}")
    return found


def count(word: str) -> int:
    """Read a number from 1 to `MOST`."""
    if not word.isdecimal() or len(word) > 20 or not 1 <= int(word) <= MOST:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MOST:,}, received {word!r}")
    return int(word)


def seed(word: str) -> int:
    """Read a number from 0 to 2**32 - 1."""
    if not word.isdecimal() or len(word) > 10 or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {2**32 - 1}, received {word!r}")
    return int(word)


def seeds(word: str) -> list[int]:
    """Read `0-4`, `0,1,2` or `0-2,7` as a list in which each seed appears once."""
    found: list[int] = []
    for part in word.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise argparse.ArgumentTypeError(f"expected seeds like 0-4 or 0,1,2, received {word!r}")
        more = range(seed(first), seed(last or first) + 1)
        if not more:
            raise argparse.ArgumentTypeError(
                f"expected the smaller seed first, as in {last}-{first}, received {part!r}"
            )
        if len(found) + len(more) > MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"expected at most {MOST_SEEDS:,} seeds, received {word!r}")
        found += more
    if len(set(found)) < max(len(found), 1):
        raise argparse.ArgumentTypeError(f"expected each seed once and at least one, received {word!r}")
    return found
