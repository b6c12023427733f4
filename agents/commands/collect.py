"""`lab collect`: episodes of an environment as a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from agents.recording.recipe import Recipe
from lab.cli import options as shared
from lab.cli.output import loading, print_json, print_line, say

__all__ = ["EPILOG", "SUMMARY", "Recipe", "add_options", "run"]

SUMMARY = "record episodes of an environment as a data set"
EPILOG = "The same options and versions give the same bytes. Nothing is written before all steps are there."

SIZE = "64x64"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "env", metavar="ENV", help="a Gymnasium id, or an experiment for its environment with its wrappers"
    )
    parser.add_argument(
        "--policy",
        metavar="random|RUN",
        default="random",
        help=f"random actions, or the likeliest actions of a trained agent: {shared.RUN} (default: random)",
    )
    parser.add_argument("-n", "--steps", metavar="N", type=_steps, default=20_000, help="steps in all (default: 20000)")
    parser.add_argument(
        "--pixels",
        metavar="HxW",
        nargs="?",
        const=SIZE,
        help=f"keep grey pictures of this height and width in place of the observations ({SIZE} without a size)",
    )
    parser.add_argument(
        "--seed", metavar="S", type=shared.seed, default=0, help="seed of the episodes and actions (default: 0)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="the data set (default: a folder in the data folder, named after these)",
    )
    shared.runs_dir(parser)
    shared.trust(parser)
    shared.as_json(parser, "print the description of the data set")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.console.wording import count, near, word
    from lab.data.catalog import data_dir
    from lab.runs.summary import runs_folder
    from lab.system.files import at_home

    recipe = Recipe(options.env, options.policy, options.steps, options.seed, options.pixels)
    folder = at_home(options.output) if options.output else data_dir() / recipe.name
    loading("collect")
    from lab.cli.output import stderr
    from lab.data.own.episodes import require_free

    require_free(folder)
    try:
        told = recipe.make(folder, runs_folder(options.runs_dir), trust=options.trust)
    except KeyboardInterrupt:
        say("interrupted; nothing was written")
        return 130
    if options.json:
        print_json(told)
    else:
        print_line(f"{near(folder.absolute())}: {count(told['count'], 'step')} in {count(told['episodes'], 'episode')}")
    place = word(near(Path(folder).absolute()))
    stderr().print(f"`lab data show {place}` shows what is in it, and what can be trained on it", soft_wrap=True)
    return 0


def _steps(word: str) -> int:
    """Read a number from 1 to a billion."""
    if not word.isdecimal() or len(word) > 10 or not 1 <= int(word) <= 10**9:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {10**9:,}, received {word!r}")
    return int(word)
