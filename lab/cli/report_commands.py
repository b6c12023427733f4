"""What `lab report` does: the page, the check, or a W&B Report. Heavy imports happen inside, when needed."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.runs_options import listed
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.runs.select import Run

DEFAULT_FILE = "report.html"


def report(options: argparse.Namespace, rest: list[str]) -> int:
    """Write a page about the chosen runs; or only check them, or publish the report on W&B."""
    if sum(map(bool, (options.check, options.publish, options.output))) > 1:
        raise ConfigError("--check, --publish and -o exclude each other: choose one")
    path = Path(options.output or DEFAULT_FILE).expanduser().absolute()
    if not (options.check or options.publish):
        _writable(path)
    fields = ["experiment"] if options.group_by is None else listed(options.group_by, "--group-by")
    runs, damaged = _chosen(options, fields)

    title = options.title or _title(options)
    if options.check:
        return _check(runs, fields)
    if options.publish:
        from lab.report.review.review import review
        from lab.report.wandb.publish import publish

        print(publish(runs, review(runs, fields), title=title, group_by=fields))
        return 0
    _page(runs, damaged, fields, title, _command(options), path)
    return 0


def _check(runs: list[Run], fields: list[str]) -> int:
    """Print the findings in plain words; 1 where there are any."""
    from lab.report.review.findings import lines
    from lab.report.review.review import review

    findings = review(runs, fields)
    print(*lines(findings), sep="\n")
    return 1 if findings else 0


def _page(runs: list[Run], damaged: list[Path], fields: list[str], title: str, command: str, path: Path) -> None:
    """Write the page, and say where it lies."""
    from lab.console.wording import near
    from lab.report.figures.reader import reading
    from lab.system.files import write_atomic

    curves = reading(runs)  # in processes of their own, while we import and review
    from lab.console.wording import count, size
    from lab.report.page.page import page
    from lab.report.review.review import review

    findings = review(runs, fields)
    content = page(runs, findings, title=title, command=command, group_by=fields, damaged=damaged, curves_of=curves)
    written = content.encode("utf-8", "replace")  # half of a surrogate pair, in somebody else's names
    try:
        write_atomic(path, written)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    print(f"{near(path)}: {size(len(written))}, {count(len(runs), 'run')}, {count(len(findings), 'finding')}")


def _chosen(options: argparse.Namespace, fields: list[str]) -> tuple[list[Run], list[Path]]:
    """The runs that were asked for, and the folders of those left out as damaged, which are named on stderr. Raises
    ConfigError for no runs."""
    from lab.runs.fields import check
    from lab.runs.query import parse, where
    from lab.runs.select import choose, damaged
    from lab.runs.summary import runs_folder

    folder = runs_folder(options.runs_dir)
    if options.where is not None:
        parse(options.where)  # before anything is read: a slip is said at once
    there = choose(options.runs, folder)
    ruins = damaged(options.runs, folder)
    for one in ruins:
        print(f"lab: left out: {one / 'summary.json'} is damaged, or no summary of a run", file=sys.stderr, flush=True)
    runs = there if options.where is None else where(options.where, there)
    if there and not runs:
        raise ConfigError(f"none of {len(there)} runs has {options.where}")
    if not runs:
        raise ConfigError(f"there are no runs in {folder} to report on; `lab run NAME` makes one")
    check(fields, runs)
    return runs, ruins


def _title(options: argparse.Namespace) -> str:
    names = list(dict.fromkeys(options.runs))
    return f"Report on {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}" if names else "Report on all runs"


def _command(options: argparse.Namespace) -> str:
    """What was typed, so that typing it makes the page again."""
    words = ["lab", "report", *options.runs]
    if options.where:
        words += ["--where", options.where]
    if options.group_by:
        words += ["--group-by", options.group_by]
    if options.title:
        words += ["--title", options.title]
    if options.runs_dir:
        words += ["--runs-dir", options.runs_dir]
    return shlex.join([*words, "-o", options.output] if options.output else words)


def _writable(path: Path) -> None:
    """Say what is wrong with the file's place before minutes of work."""
    if path.suffix.lower() not in (".html", ".htm") and not path.is_dir():
        raise ConfigError(f"the page is HTML, and its file ends in .html or .htm; received {path.name}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it: -o {path / DEFAULT_FILE}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} into")
