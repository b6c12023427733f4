"""What the HTML page shows, as the blocks of a W&B Report. Needs the extra `reports`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from wandb_workspaces import expr
from wandb_workspaces.reports import v2 as wr

from lab.console.wording import count
from lab.report import display
from lab.report.figures.charts import Chart, charts_of
from lab.report.figures.reader import read_all
from lab.report.material import Task, tasks_of
from lab.report.media import media_of
from lab.report.page import scores
from lab.report.review.findings import Finding
from lab.report.wandb import tables as tables
from lab.runs.select import Run
from lab.tracking.destination import Place

MOST_PLOTS = 30  # of one task
BANDS = (
    "Means are over runs, with their 95 % interval by Student's t. In the plots below, lines are means over the runs "
    "of a run set, and bands one standard error of that mean: W&B draws no 95 % interval."
)


def contents(
    runs: Sequence[Run], findings: Sequence[Finding], *, group_by: Sequence[str], places: Mapping[str, Place]
) -> list[Any]:
    """Return the blocks of a report on at least one run. `places` are by run id; a run without one is in the tables,
    but in no run set."""
    tasks = tasks_of(runs, group_by)
    ordered = [run for task in tasks for group in task.groups for run in group.runs]
    return [
        wr.P(_made(ordered, tasks)),
        wr.TableOfContents(),
        *_findings(findings, places),
        wr.H2("Verdicts"),
        wr.MarkdownBlock(tables.verdicts(tasks)),
        wr.P(BANDS),
        *(block for task in tasks for block in _task(task, group_by, places)),
        *_settings(tasks),
        wr.H2("Runs"),
        wr.MarkdownBlock(tables.runs(tasks, places)),
        wr.MarkdownBlock(tables.versions(ordered)),
        wr.H2("To repeat them"),
        wr.MarkdownBlock(tables.commands(ordered)),
    ]


def _made(runs: Sequence[Run], tasks: Sequence[Task]) -> str:
    groups = sum(len(task.groups) for task in tasks)
    statuses = ", ".join(f"{n} {status}" for status, n in Counter(run.status for run in runs).items())
    return (
        f"{count(len(runs), 'run')} in {count(groups, 'group')}: {statuses}. Made "
        f"{display.when(display.now())} by the lab {metadata.version('deep-learning-lab')} with lab report --publish."
    )


def _findings(findings: Sequence[Finding], places: Mapping[str, Place]) -> Iterator[Any]:
    yield wr.H2("Findings")
    if not findings:
        yield wr.P("No findings.")
    for finding in findings:
        yield wr.H3(f"{finding.title} ({finding.weight})")
        # Commands stand in backticks.
        parts = [wr.InlineCode(part) if i % 2 else part for i, part in enumerate(finding.text.split("`"))]
        yield wr.P([part for part in parts if part])
        about: list[Any] = ["Runs: "]
        for run_id in finding.runs[:10]:
            known = places.get(run_id)
            about += [wr.Link(run_id, known.address) if known else run_id, ", "]
        more = len(finding.runs) - 10
        if finding.runs:
            yield wr.P([*about[:-1], f" and {more} more" if more > 0 else ""])


def _task(task: Task, group_by: Sequence[str], places: Mapping[str, Place]) -> Iterator[Any]:
    """Curves, where run sets are grouped and each is one line; then what shows single runs."""
    runs = [run for group in task.groups for run in group.runs]
    curves = read_all([run.record.dir for run in runs], [None] * len(runs))
    charts, _ = charts_of(task, curves, {id(run): place for place, run in enumerate(runs)})
    grouped, single = (_run_sets(task, places, keys) for keys in (_grouping(group_by, runs), []))
    if not grouped:
        return
    yield wr.H2(task.title)
    if compared := scores.pairs(task):
        yield wr.MarkdownBlock(tables.pairs(compared))
    if charts:
        yield wr.PanelGrid(runsets=grouped, panels=[_plot(chart) for chart in charts[:MOST_PLOTS]])
    names = dict.fromkeys(one.name for run in runs for one in media_of(0, run.record.dir, Counter()))
    panels: list[Any] = [wr.MediaBrowser(title=name, media_keys=[name], layout=_wide()) for name in names]
    if task.metric:
        panels.append(wr.ParameterImportancePlot(with_respect_to=task.metric, layout=_wide()))
    yield wr.PanelGrid(runsets=single, panels=[*panels, wr.RunComparer(diff_only="split", layout=_wide())])


def _plot(chart: Chart) -> Any:
    axis = chart.seeds[0][3].axis
    return wr.LinePlot(
        title=chart.metric,
        x=axis,
        y=[chart.metric.removesuffix(f" ({axis})")],
        title_x=axis,
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
        smoothing_type="none",
        max_runs_to_show=100,
    )


def _wide() -> Any:
    return wr.Layout(w=12, h=8)


def _run_sets(task: Task, places: Mapping[str, Place], grouping: list[str]) -> list[Any]:
    """One for each group, of exactly its runs; W&B wants one for each project that they are in."""
    found = []
    order = wr.SummaryMetric(task.metric) if task.metric else "CreatedTimestamp"
    for group in task.groups:
        by_project: dict[tuple[str, str], list[str]] = {}
        for run in group.runs:
            if place := places.get(run.record.run_id):
                by_project.setdefault((place.entity, place.project), []).append(place.id)
        for (entity, project), ids in by_project.items():
            found.append(
                wr.Runset(
                    entity=entity,
                    project=project,
                    name=group.label if len(by_project) == 1 else f"{group.label} ({project})",
                    filters=expr.And(expr.Metric("ID").isin(ids)),
                    groupby=grouping,
                    order=[wr.OrderBy(order, ascending=task.direction[0] == "min")],
                )
            )
    return found


def _grouping(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """What W&B calls the fields that groups are made by; the experiment, which it calls group, for want of any."""
    found = ["run.group" if name == "experiment" else _setting(name, runs) for name in names]
    return [name for name in found if name] or ["run.group"]


def _setting(name: str, runs: Sequence[Run]) -> str | None:
    """The place of a setting in W&B's config, where `init_args` are not passed through in silence."""
    for run in runs:
        value, parts = run.config, ["config"]
        for part in name.removeprefix("config.").split("."):
            if part not in value and part in value.get("init_args", {}):
                parts, value = [*parts, "init_args"], value["init_args"]
            if part not in value:
                break
            parts, value = [*parts, part], value[part] if isinstance(value[part], dict) else {}
        else:
            return ".".join([*parts, "class_path"] if "class_path" in value else parts)
    return None


def _settings(tasks: Sequence[Task]) -> Iterator[Any]:
    found = list(tables.settings(tasks))
    if found:
        yield wr.H2("Settings that differ")
    for title, table in found:
        yield wr.H3(title)
        yield wr.MarkdownBlock(table)
