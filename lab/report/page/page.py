"""The HTML page of a report: one file with templates, scripts and Plotly, which loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from importlib import resources
from pathlib import Path
from statistics import mean
from typing import Any, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lab.console.notices import notice
from lab.console.wording import count
from lab.published.results import repeated
from lab.report import display
from lab.report.figures.bands import HOW
from lab.report.figures.charts import charts_of, points_for, spec
from lab.report.figures.curves import Curves
from lab.report.figures.reader import reading
from lab.report.material import short, tasks_of
from lab.report.media import media_of
from lab.report.page import scores
from lab.report.page.differences import between_groups, between_runs, settings_of
from lab.report.page.gallery import apology, gallery, meaning
from lab.report.page.runs import common_versions, view
from lab.report.page.sections import FindingView, Section, colours, index, strip
from lab.report.page.selection import single_runs
from lab.report.page.system import cost, shares
from lab.report.repeat import repeats, resolved
from lab.report.review.findings import Finding
from lab.runs.readings import number
from lab.runs.select import Run
from lab.runs.summary import Status, versions

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("theme.js", "tables.js", "filter.js", "media.js", "charts.js", "plots.js", "plotly.js")
"""In the order in which they run."""
MOST_BYTES = 19_000_000  # of the page; media take what the rest leaves
A_RUN = 6_000  # bytes of page without curves and media
HELPERS = ("figure", "within", "with_reach", "span", "took", "rate")
WORDS = {"met", "missed", "not-comparable", "none", *get_args(Status), "killed", "fast-dev"}


def page(
    runs: Sequence[Run],
    findings: Sequence[Finding],
    *,
    title: str,
    command: str,
    group_by: Sequence[str] = ("experiment",),
    curves_of: Future[dict[int, Curves]] | None = None,
    damaged: Sequence[Path] = (),
) -> str:
    """Return the report on at least one run as HTML that loads nothing from the network.

    Args:
        runs: in any order.
        findings: at the top of the page.
        title: the page's heading.
        command: that makes the page again.
        group_by: fields whose values make a group.
        curves_of: what `reading(runs)` returned, if it was started before; None starts it here.
        damaged: folders of runs that were asked for and cannot be read.
    """
    every = runs
    tasks = tasks_of(every, group_by)
    groups = [group for task in tasks for group in task.groups]
    runs = single_runs(tasks, findings)
    curves_of = curves_of or reading(runs)
    places = {id(run): place for place, run in enumerate(runs)}
    # Of many runs the config file repeats each: resolving experiments imports PyTorch.
    own = resolved(run.record.name for run in runs) if len(runs) == len(every) else {}
    settings = {id(run): settings_of(run) for run in runs}
    read = curves_of.result()
    curves = [read[id(run)] for run in runs]
    for one in curves:
        if one.unread:
            notice(one.unread)
    views = [
        view(place, run, tasks, curves=curves[place], command=repeats(run, own), settings=settings[id(run)])
        for place, run in enumerate(runs)
    ]

    drawn = [charts_of(task, curves, places) for task in tasks]
    points = points_for([chart for charts, _ in drawn for chart in charts])
    scored = [[scores.score(group) for group in task.groups] for task in tasks]
    own_curves = [[curves[places[id(run)]] for run in group.runs if id(run) in places] for group in groups]
    time = [found for group, its in zip(groups, own_curves, strict=True) if (found := shares(group, its))]
    data: dict[str, Any] = {chart.key: spec(chart, curves, points) for charts, _ in drawn for chart in charts}
    data |= {f"strip-{task.index}": strip(task, found, places) for task, found in zip(tasks, scored, strict=True)}
    data["shares"] = [{"group": one.group.index, "parts": one.parts} for one in time]
    data["index"] = index(tasks, views)
    scripts = {name: script_json(value) for name, value in data.items()}
    code = {name: plotly() if name == "plotly.js" else _text(name) for name in SCRIPTS}

    refused: list[Counter[str]] = [Counter() for _ in runs]
    media = [one for place, run in enumerate(runs) for one in media_of(place, run.record.dir, refused[place])]
    room = MOST_BYTES - sum(map(len, [*scripts.values(), *code.values()])) - A_RUN * len(runs)
    shown = gallery(media, [one.group.index for one in views], most=max(room, 0))
    scripts |= {f"media-{key}": script_json(uri) for key, uri in shown.contents.items()}
    sections = [
        Section(
            task,
            found,
            scores.pairs(task),
            *charts,
            shots := [one for one in shown.shots if views[one.run].task is task],
            list(dict.fromkeys(views[one.run].name for one in sorted(shots, key=lambda shot: shot.run))),
            apology(sum((refused[i] + shown.left_out[i] for i, v in enumerate(views) if v.task is task), Counter())),
            [one.dataset for one in tasks].count(task.dataset) > 1,
        )
        for task, found, charts in zip(tasks, scored, drawn, strict=True)
    ]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            command=command,
            made=display.when(display.now()),
            version=versions().get("deep-learning-lab", ""),
            findings=[FindingView.of(finding, views) for finding in findings],
            tasks=sections,
            groups=groups,
            damaged=damaged,
            runs=views,
            every=every,
            how=HOW,
            between_groups=[(task, differing) for task in tasks if (differing := between_groups(task, settings))],
            between_runs=[(group, differing) for group in groups if (differing := between_runs(group, settings))],
            published=repeated(runs) if len(runs) == len(every) else [],
            costs=[cost(run) for run in runs],
            shares=time,
            versions=common_versions(runs),
            statuses=Counter(run.status for run in every),
            verdicts=Counter(run.record.verdict for run in every),
            trained=sum(number(run.record.durations.get("train")) or 0.0 for run in every),
            stages=list(dict.fromkeys(name for run in runs for name in run.record.durations)),
            place_of=lambda run: places[id(run)],
            described=lambda group: short(str(group.runs[0].config.get("description") or "")),
            meaning=lambda name, shots: meaning(name, [runs[one.run] for one in shots]),
            with_published=_published,
            with_target=any(one.group.target for found in scored for one in found),
            mean=mean,
            colours=colours(tasks),
            known_words=WORDS,
            css=Markup(_text("page.css")),  # noqa: S704  our own file
            code={name: Markup(text) for name, text in code.items()},  # noqa: S704  our own files, and Plotly's
            hashes=" ".join(f"'sha256-{_hash(text)}'" for text in code.values()),
            data=scripts,
            number=number,
            count=count,
            **{name: getattr(display, name) for name in HELPERS},
        )
    )


def script_json(value: Any) -> Markup:
    """Return JSON for a script element, in ASCII. Nothing in it can end the element or begin a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for bad in "<>&":
        text = text.replace(bad, f"\\u{ord(bad):04x}")
    return Markup(text)  # noqa: S704  escaped just above


def plotly() -> str:
    """Return Plotly's script from its Python package."""
    script = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _published(reference: Mapping[str, Any]) -> str:
    """The published figure with its spread."""
    value, spread = (number(reference.get(name)) for name in ("value", "spread"))
    return display.figure(value) if spread is None else f"{display.figure(value)} ± {display.figure(spread)}"


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
