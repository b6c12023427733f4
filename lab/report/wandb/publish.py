"""Publishing a W&B Report: missing runs are sent first, then the report is made from the same parts as the page."""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlsplit

from lab.console.notices import console
from lab.console.plain import plain
from lab.console.wording import install
from lab.errors import ConfigError, LabError
from lab.report.review.findings import Finding
from lab.runs.folder import at_work
from lab.runs.select import Run, is_own_run
from lab.runs.summary import Summary, read_summary
from lab.tracking.destination import Place, others_id, place_of, quiet, require_key
from lab.tracking.redact import redact
from lab.tracking.sync import send, unsent
from lab.tracking.wandb import hung
from lab.tracking.wandb_client import own_settings

SECONDS = 90  # for W&B to accept the report
LONGEST_TITLE = 128  # limit of W&B


class PublishError(LabError):
    """W&B did not accept the report. The runs that were sent stay there, and the same command continues."""


def publish(
    runs: Sequence[Run],
    findings: Sequence[Finding],
    *,
    title: str,
    group_by: Sequence[str],
    say: Callable[[str], None] = lambda line: console.print(f"lab: {line}", soft_wrap=True),
) -> str:
    """Make a W&B Report about the runs and return its address.

    Args:
        runs: at least one. Runs that W&B lacks are sent, also where W&B was disabled during training. Fast-dev runs,
            damaged runs, those still running, and those of somebody else that were not sent by name are only in the
            tables.
        findings: at its beginning.
        title: of the report.
        group_by: fields whose values make a group: a run set of its own.
        say: is told about progress.

    Raises ConfigError without the extra or a key, before anything is sent; PublishError when W&B does not accept it.
    """
    if find_spec("wandb_workspaces") is None:
        raise ConfigError(f"publishing needs the extra reports: {install('reports')}")
    require_key()
    records = [run.record for run in runs]
    lacking = list(unsent(filter(is_own_run, records), turned_off=True))
    refused, _ = send([record.dir for record in lacking], say=say, sent=lambda address: None)
    if refused:
        raise PublishError(
            f"{refused} of {len(lacking)} runs could not be sent to Weights & Biases, so there is no report yet; the "
            "same command sends the rest"
        )
    from lab.report.wandb.blocks import contents

    others_first = sorted(map(_newest, records), key=is_own_run)  # they may have the ids of the user's own
    places = {record.run_id: place for record in others_first if (place := _place(record))}
    if not places:
        raise ConfigError(
            "none of these runs can be sent to Weights & Biases: they are fast-dev runs, damaged, still running, or "
            "not signed as yours"
        )
    blocks = contents(runs, findings, group_by=group_by, places=places)
    entity, project = Counter((place.entity, place.project) for place in places.values()).most_common(1)[0][0]
    title = plain(title)[:LONGEST_TITLE]
    say(f"making the report in {entity}/{project}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        quiet(folder)
        with own_settings():
            return _within(SECONDS, lambda: _save(blocks, entity, project, title))


def _newest(record: Summary) -> Summary:
    """The record on disk: the run may have been sent since it was read."""
    return record if at_work(record.dir) else read_summary(record.dir)


def _place(record: Summary) -> Place | None:
    """Where the run is on W&B. What somebody else's summary says of it is believed only where this user sent it: else
    it would decide in which project the report is made."""
    place = place_of((record.wandb or {}).get("url"))
    return place if place and (is_own_run(record) or place.id == others_id(record.run_id)) else None


def _save(blocks: list[Any], entity: str, project: str, title: str) -> str:
    from wandb_workspaces.reports import v2 as wr

    report = wr.Report(project=project, entity=entity, title=title, blocks=blocks, width="fluid").save()
    base = urlsplit(report.url)
    slug = re.sub(r"[^\w]+", "-", title).strip("-")
    return f"{base.scheme}://{base.netloc}/{quote(f'{entity}/{project}/reports/{slug}--{report.id}', safe='/-=')}"


def _within(seconds: float, work: Callable[[], str]) -> str:
    """Return the result of `work`, unless it takes longer: W&B's client would retry for hours."""
    done: Future[str] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=run, name="publish", daemon=True).start()
    try:
        return done.result(seconds)
    except Exception as error:
        if not done.done():
            hung.set()
            _abandon()
        reason = f"{type(error).__name__}: {error}".splitlines()[0] if done.done() else "it does not answer"
        raise PublishError(_refused(reason)) from error


def _abandon() -> None:
    """End W&B's client: its next attempt could make a report that nobody knows of."""
    stop = threading.Thread(target=sys.modules["wandb"].teardown, daemon=True)
    stop.start()
    stop.join(5)


def _refused(problem: str) -> str:
    return (
        f"Weights & Biases did not accept the report: {redact(problem)[:300]}; the runs stay there, and the same "
        "command tries again"
    )
