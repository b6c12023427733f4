"""`lab report --publish` with a stand-in of the W&B server: the report that arrives is read back."""

from __future__ import annotations

import html
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from lab.cli.main import main
from lab.console.plain import plain
from lab.errors import ConfigError
from lab.report.review.findings import Finding
from lab.report.wandb.markdown import escaped, fenced, link, table
from lab.report.wandb.publish import PublishError, publish
from lab.runs.select import choose
from lab.runs.summary import local_runs, read_summary
from lab.tracking.sync import unsent
from tests.support.arrival import check_whole
from tests.support.offline import offline
from tests.support.recorded import PUBLISHED
from tests.support.wandb_server import KEY, Trouble, WandbServer, impatience

HOSTILE = "</script><img src=x onerror=alert(1)> | [x](javascript:alert(2)) `c` **b** http://evil.example ``` $a$"
FINDING = Finding("one seed only", "Two more settle it: `lab run ppo-a --seeds 1-2`.", ("20260101-000000-s0-0000",))


def published(runs: Path, *findings: Finding, group_by: Sequence[str] = ("experiment",), title: str = "A title") -> str:
    return publish(choose([], runs), findings, title=title, group_by=group_by, say=lambda line: None)


def blocks(server: WandbServer, kind: str) -> list[dict[str, Any]]:
    """The blocks of one kind in the newest report."""
    return [block for block in server.views[-1]["spec"]["blocks"] if block["type"] == kind]


def run_sets(grid: dict[str, Any]) -> dict[str, list[str]]:
    """Run ids by the name of their run set."""
    found = {}
    for one in grid["metadata"]["runSets"]:
        (rule,) = one["filters"]["filters"]
        assert (rule["key"], rule["op"]) == ({"section": "run", "name": "name"}, "IN")
        found[one["name"]] = rule["value"]
    return found


def panels(grid: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = grid["metadata"]["panelBankSectionConfig"]["panels"]
    return [panel["config"] for panel in found if panel["viewType"] == kind]


def text(block: dict[str, Any]) -> str:
    """All the text of a block."""
    if "children" in block and block["type"] != "markdown-block":
        return "".join(text(child) if "children" in child else child["text"] for child in block["children"])
    return str(block.get("content", block.get("text", "")))


def test_report_matches_the_page(server: WandbServer, tmp_path: Path) -> None:
    a = [offline(tmp_path, "ppo-a", seed).run_id for seed in (0, 1)]
    other = {**PUBLISHED, "value": 400.0}
    b = [offline(tmp_path, "ppo-b", seed, reference=other).run_id for seed in (0, 1)]
    address = published(tmp_path, FINDING)
    assert address == f"{server.url}/somebody/lab/reports/A-title--Vmlldzo1"
    for run in local_runs(tmp_path):
        check_whole(server, run.dir)

    (view,) = server.views
    assert (view["entityName"], view["projectName"], view["displayName"]) == ("somebody", "lab", "A title")
    assert [text(block) for block in blocks(server, "heading")] == [
        *("Findings", "one seed only (major)", "Verdicts", "CartPole-v1: eval/return_mean", "Runs", "To repeat them")
    ]
    told = "\n".join(text(block) for block in view["spec"]["blocks"])
    assert "4 runs in 2 groups: 4 completed" in told
    assert {"text": "lab run ppo-a --seeds 1-2", "inlineCode": True} in [
        child for block in blocks(server, "paragraph") for child in block["children"]
    ]
    links = [child["url"] for block in blocks(server, "paragraph") for child in block["children"] if "url" in child]
    assert links == [f"{server.url}/somebody/lab/runs/{a[0]}"]
    assert "| 482 ± 32 | 500 ± 1.5 | 2 met | 2 |" in told
    assert "| 482 ± 32 | 400 ± 1.5 | 2 met | 2 |" in told
    assert f"/config.yaml  # {a[0]}" in told

    curves, single = blocks(server, "panel-grid")
    assert run_sets(curves) == run_sets(single) == {"ppo-a": a, "ppo-b": b}
    for grid, grouping in ((curves, [{"section": "run", "name": "group"}]), (single, [])):
        for one in grid["metadata"]["runSets"]:
            assert one["grouping"] == grouping
            assert one["project"] == {"entityName": "somebody", "name": "lab", "id": "7"}
            (key,) = one["sort"]["keys"]
            assert key == {"key": {"section": "summary", "name": "eval/return_mean"}, "ascending": False}
    plots = {plot["metrics"][0]: plot for plot in panels(curves, "Run History Line Plot")}
    assert {name: plot["xAxis"] for name, plot in plots.items()} == {"train/loss": "env_steps", "val/loss": "epoch"}
    assert {(plot["groupAgg"], plot["groupArea"]) for plot in plots.values()} == {("mean", "stderr")}
    assert [panel["mediaKeys"] for panel in panels(single, "Media Browser")] == [["eval/film"]]
    assert [panel["targetKey"] for panel in panels(single, "Parameter Importance")] == ["eval/return_mean"]
    assert len(panels(single, "Run Comparer")) == 1


def test_groups_by_a_setting(server: WandbServer, tmp_path: Path) -> None:
    def config(gamma: float) -> dict[str, Any]:
        return {"agent": {"class_path": "agents.ppo.PPO", "init_args": {"gamma": gamma}}, "seed": 0}

    ids = {gamma: offline(tmp_path, seed=0, config=config(gamma)).run_id for gamma in (0.9, 0.99)}
    published(tmp_path, group_by=["agent.gamma", "agent"])
    curves, _ = blocks(server, "panel-grid")
    assert sorted(run_sets(curves).values()) == sorted([[run_id] for run_id in ids.values()])
    grouping = [key["name"] for key in curves["metadata"]["runSets"][0]["grouping"]]
    assert grouping == ["agent.value.init_args.gamma", "agent.value.class_path"]
    assert "| agent.gamma | 0.9 | 0.99 |" in "\n".join(text(block) for block in blocks(server, "markdown-block"))


def test_only_missing_runs_are_sent(server: WandbServer, tmp_path: Path) -> None:
    fast = offline(tmp_path, seed=0, fast_dev_run=True)
    off = offline(tmp_path, seed=1, wandb={"mode": "disabled", "url": None, "problem": None})
    damaged = offline(tmp_path, seed=2)
    (damaged.dir / "metrics.jsonl").write_text("{\n")
    published(tmp_path)
    assert set(server.runs) == {off.run_id}
    published(tmp_path)
    assert server.runs[off.run_id].starts == 1
    assert len(server.views) == 2
    assert run_sets(blocks(server, "panel-grid")[0]) == {"ppo-a": [off.run_id]}
    tables = "".join(text(block) for block in blocks(server, "markdown-block"))
    assert fast.run_id in tables
    assert damaged.run_id in tables


def test_sweep_run_keeps_its_name(server: WandbServer, tmp_path: Path) -> None:
    offline(tmp_path, wandb={"mode": "offline", "url": None, "problem": None, "id": "trial7", "sweep": "sweep1"})
    published(tmp_path)
    assert run_sets(blocks(server, "panel-grid")[0]) == {"ppo-a": ["trial7"]}
    assert (set(server.runs), server.runs["trial7"].sweep) == ({"trial7"}, "sweep1")


def test_hostile_names_stay_text(server: WandbServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = "javascript://x/somebody/lab/runs/a"
    evil = {"mode": "online", "url": url, "problem": None}
    settings = {HOSTILE: HOSTILE, "api_key": "given-away", "note": KEY}
    config = {"agent": {"class_path": HOSTILE, "init_args": settings}, "seed": 0}
    versions = {HOSTILE: HOSTILE}
    offline(tmp_path, HOSTILE.replace("/", "-"), 0, config=config, versions=versions, device=HOSTILE)
    offline(tmp_path, "ppo-a", 1, wandb=evil, git={"commit": HOSTILE, "dirty": False})
    published(tmp_path, Finding(HOSTILE, HOSTILE, (HOSTILE,)), title=f"{HOSTILE}\x1b[31m{'x' * 200}")
    view = server.views[0]
    assert len(view["displayName"]) == 128
    assert view["displayName"].isprintable()
    said = "".join(capfd.readouterr())
    assert "\x1b" not in said
    for secret in ("given-away", KEY):
        assert secret not in said + json.dumps(view)
    assert "javascript:" not in json.dumps(
        [block for block in blocks(server, "paragraph") if "url" in json.dumps(block)]
    )
    for block in blocks(server, "markdown-block"):
        shown = MarkdownIt("gfm-like", {"linkify": False}).render(block["content"])
        tags = set(re.findall(r"<(\w+)", shown))
        assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "a", "pre", "code", "p"}, shown
        for target in re.findall(r'href="([^"]*)"', shown):
            assert target.startswith(f"{server.url}/somebody/lab/runs/")


@pytest.mark.parametrize(
    "name", [HOSTILE, "a_b _c_ __d__", "1. x", "www.evil.example a@b.example x:y x: y", "a\n\nb\x00"]
)
def test_markdown_keeps_names_literal(name: str) -> None:
    one_line = plain(" ".join(name.split()))
    shown = (
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table(["a", "b"], [[escaped(name), "x"]]))
    )
    cells = re.findall(r"<td>(.*)</td>", shown)
    assert [html.unescape(cell) for cell in cells] == [one_line, "x"]
    assert not re.search(r"://|www\.|@", escaped(name)), "nothing becomes a link by itself"
    code = MarkdownIt("commonmark").render(fenced([name]))
    assert code.startswith("<pre><code")
    assert code.endswith("</code></pre>\n")
    assert link(name, "javascript:alert(1)") == escaped(name)


def test_missing_key_sends_nothing(server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "wandb_workspaces", None)
        with pytest.raises(ConfigError, match=r"pip install 'deep-learning-lab\[reports\]', in a checkout"):
            published(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(
        ConfigError, match="there is no API key for Weights & Biases; run `wandb login` or set WANDB_API_KEY"
    ):
        published(tmp_path)
    assert server.names() == []


def test_nothing_that_can_be_published(server: WandbServer, tmp_path: Path) -> None:
    offline(tmp_path, fast_dev_run=True)
    with pytest.raises(ConfigError, match="fast-dev runs, damaged, still running, or not signed as yours"):
        published(tmp_path)


FAILURES = [("500", "upsertView"), ("hang", "upsertView"), ("cut", "upsertView"), ("500", "RunResumeStatus")]
FAILURES += [("404", "ProjectInternalId"), ("hang", "GetProjects")]
OFTEN = FAILURES[:1] + FAILURES[3:4]
"""Those that `make test` tries: before and after the runs have been sent."""


@pytest.mark.parametrize(
    ("how", "only"), [pytest.param(*one, marks=() if one in OFTEN else pytest.mark.slow) for one in FAILURES]
)
def test_a_server_that_fails(server: WandbServer, tmp_path: Path, how: Trouble, only: str) -> None:
    folder = offline(tmp_path).dir
    server.fail(how, only=only)
    began = time.monotonic()
    with impatience(), pytest.raises(PublishError) as failed:
        published(tmp_path)
    assert time.monotonic() - began < 60
    assert "\n" not in str(failed.value)
    assert KEY not in str(failed.value)
    assert server.views == []
    sent = [run.dir for run in unsent(local_runs(tmp_path))] == []
    assert sent == (only != "RunResumeStatus"), "what was sent stays"
    server.recover()
    published(tmp_path)
    check_whole(server, folder)
    assert server.runs[read_summary(folder).run_id].starts == 1
    assert len(server.views) == 1


def test_the_command(server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offline(tmp_path)
    assert main(["report", "--publish", "--runs-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{server.url}/somebody/lab/reports/")
