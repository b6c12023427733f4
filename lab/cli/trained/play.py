"""`lab play`: watch a trained agent in a window, or film it."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import print_line
from lab.cli.using import trained, using
from lab.errors import ConfigError

SUMMARY = "watch a trained agent: in a window, or as a film"
TAKES_OVERRIDES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument("--episodes", metavar="N", type=shared.count, default=1, help="episodes to show (default: 1)")
    parser.add_argument(
        "--seed",
        dest="first",
        metavar="S",
        type=shared.seed,
        default=0,
        help="the environment's seed in the first episode; each further episode has the next seed (default: 0)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="film it: .mp4 (needs the extra video) or .gif")
    parser.add_argument("--window", action="store_true", help="open a window, or fail where there can be none")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.console.wording import near
    from lab.runs.folder import require_no_links

    if options.output and options.window:
        raise ConfigError("-o films, --window shows: choose one of them")
    record, agent = trained(options, "act", rest)
    if not options.output:
        require_no_links(record.dir)  # it may be somebody else's, and the film may go there
    from lab.capabilities import Episode, Showing

    def told(episode: Episode) -> None:
        print_line(f"seed {episode.seed}: return {episode.total:g} in {episode.length:,} steps", flush=True)

    checkpoint = f"{options.checkpoint}-" if options.checkpoint not in (None, "final") else ""
    try:
        with using(record, options):
            film = agent.play(
                Showing(
                    seeds=range(options.first, options.first + options.episodes),
                    otherwise=record.dir / "media" / f"play-{checkpoint}{options.first}",
                    output=Path(options.output) if options.output else None,
                    window=options.window,
                    told=told,
                )
            )
    except KeyboardInterrupt:
        return 130  # the usual way to close a window
    if film:
        print_line(f"film: {near(film.absolute())}")
    return 0
