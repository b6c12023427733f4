"""`lab report`: one page about runs, a check of them, or a W&B Report."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import options as shared
from lab.cli.output import print_line, print_lines, say, stdout, writing
from lab.errors import ConfigError
from lab.system.files import at_home
from lab.system.lazy import uncollected

if TYPE_CHECKING:
    from lab.runs.select import Run

SUMMARY = "write one page about runs: verdicts, curves, and what a reviewer would ask"
DEFAULT_FILE = "report.html"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="*", help=f"{shared.RUNS} (default: all)")
    parser.add_argument("--where", metavar="EXPR", help="only runs for which this holds, as 'eval/return_mean>400'")
    parser.add_argument(
        "--group-by",
        metavar="FIELD,...",
        help="runs with the same values in these fields are seeds of one thing (default: experiment)",
    )
    parser.add_argument("--title", metavar="T", help="heading of the page")
    parser.add_argument("-o", "--output", metavar="FILE.html", help="default: report.html in the working directory")
    parser.add_argument("--check", action="store_true", help="write nothing; print the findings, exit 1 for any")
    parser.add_argument("--publish", action="store_true", help="make a Weights & Biases Report instead; print its link")
    shared.runs_dir(parser)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    if sum(map(bool, (options.check, options.publish, options.output))) > 1:
        raise ConfigError("--check, --publish and -o exclude each other: choose one")
    path = at_home(options.output or DEFAULT_FILE).absolute()
    if not (options.check or options.publish):
        _writable(path)
    fields = ["experiment"] if options.group_by is None else shared.listed(options.group_by, "--group-by")
    with uncollected():
        runs, damaged = _chosen(options, fields)
        try:
            return _report(options, runs, damaged, fields, path)
        finally:
            if runs[0].cache:
                runs[0].cache.save()


def _report(options: argparse.Namespace, runs: list[Run], damaged: list[Path], fields: list[str], path: Path) -> int:
    title = options.title or _title(options)
    if options.check:
        return _check(runs, fields)
    if options.publish:
        from lab.report.review.review import review
        from lab.report.wandb.publish import publish

        print_line(publish(runs, review(runs, fields), title=title, group_by=fields, say=say))
        return 0
    _page(runs, damaged, fields, title, _command(options), path)
    return 0


def _check(runs: list[Run], fields: list[str]) -> int:
    """Print the findings; return 1 where there are any."""
    from lab.report.review.findings import lines
    from lab.report.review.review import review

    findings = review(runs, fields)
    print_lines("\n".join(lines(findings, stdout().width)))
    return 1 if findings else 0


def _page(runs: list[Run], damaged: list[Path], fields: list[str], title: str, command: str, path: Path) -> None:
    """Write the page and print where it lies."""
    from lab.report.figures.reader import reading
    from lab.report.page.selection import MOST_RUNS

    # Processes of their own read the curves while this one imports and reviews; of many runs the page shows only some.
    curves = reading(runs) if len(runs) <= MOST_RUNS else None
    from lab.console.wording import count, near, size
    from lab.report.page.page import page
    from lab.report.review.review import review
    from lab.system.files import write_atomic

    findings = review(runs, fields)
    content = page(runs, findings, title=title, command=command, group_by=fields, damaged=damaged, curves_of=curves)
    written = content.encode("utf-8", "replace")  # names may hold half of a surrogate pair
    with writing(path):
        write_atomic(path, written)
    print_line(f"{near(path)}: {size(len(written))}, {count(len(runs), 'run')}, {count(len(findings), 'finding')}")


def _chosen(options: argparse.Namespace, fields: list[str]) -> tuple[list[Run], list[Path]]:
    """Return the runs that were asked for, and the folders of damaged ones, which are left out and named on stderr.
    Raises ConfigError for no runs."""
    from lab.runs.fields import check
    from lab.runs.query import parse, where
    from lab.runs.select import choose, damaged
    from lab.runs.summary import runs_folder, scan

    folder = runs_folder(options.runs_dir)
    if options.where is not None:
        parse(options.where)  # a mistake in it is refused before anything is read
    scanned = list(scan(folder))
    there = choose(options.runs, folder, scanned=scanned)
    left_out = damaged(options.runs, folder, scanned)
    for one in left_out:
        say(f"left out: {one / 'summary.json'} is damaged, or not the summary of a run")
    runs = there if options.where is None else where(options.where, there)
    if there and not runs:
        raise ConfigError(f"none of {len(there)} runs has {options.where}")
    if not runs:
        raise ConfigError(f"there are no runs in {folder} to report on; `lab run NAME` makes one")
    check(fields, runs)
    return runs, left_out


def _title(options: argparse.Namespace) -> str:
    names = list(dict.fromkeys(options.runs))
    return f"Report on {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}" if names else "Report on all runs"


def _command(options: argparse.Namespace) -> str:
    """Return the command that makes the page again."""
    words = ["lab", "report", *options.runs]
    for flag, value in (
        ("--where", options.where),
        ("--group-by", options.group_by),
        ("--title", options.title),
        ("--runs-dir", options.runs_dir),
        ("-o", options.output),
    ):
        words += [flag, value] if value else []
    return shlex.join(words)


def _writable(path: Path) -> None:
    """Refuse a place where the file cannot be written, before minutes of work."""
    if path.suffix.lower() not in (".html", ".htm") and not path.is_dir():
        raise ConfigError(f"the page is HTML, and its file ends in .html or .htm; received {path.name}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it: -o {path / DEFAULT_FILE}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} into")
