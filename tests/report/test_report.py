"""The content of a report: complete, correct and safe. How the page looks is in test_report_page.py."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lab import configuration as lab_config
from lab.cli.main import main
from lab.config.roles import Roles
from lab.report import media as media_module
from lab.report.display import figure, moment, span, took, when, with_reach
from lab.report.figures import reader
from lab.report.figures.bands import GRID, band
from lab.report.figures.charts import MOST_NUMBERS, Chart, charts_of, points_for, spec
from lab.report.figures.curves import Series, read_curves
from lab.report.figures.reader import read_all
from lab.report.figures.thinning import thin
from lab.report.material import tasks_of
from lab.report.media import media_of
from lab.report.page import selection
from lab.report.page.gallery import apology, gallery
from lab.report.page.page import MOST_BYTES, page, script_json
from lab.report.page.scores import pairs, score
from lab.report.repeat import overrides, repeats, resolved
from lab.report.review.findings import Finding
from lab.report.wandb.tables import verdicts
from lab.runs.folder import locked
from lab.runs.select import Run, choose
from lab.statistics import spread
from tests.support.recorded import BEGIN, PUBLISHED, learning, medium, picture, recorded

HOSTILE = "</script><img src=x onerror=alert(1)><!--\u2028"
FINDING = Finding("one seed only", "Two more would settle it.", ())


def rendered(runs: Path, *findings: Finding, group_by: tuple[str, ...] = ("experiment",)) -> str:
    return page(choose([], runs), findings, title="A title", command="lab report", group_by=group_by)


def numbers(packed: dict[str, str]) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(packed["bdata"]), "<f4")


def series(values: Any, at: Any = None, seconds: Any = None) -> Series:
    values = np.asarray(values, float)
    at = np.arange(len(values), dtype=float) if at is None else np.asarray(at, float)
    return Series("env_steps", at, at if seconds is None else np.asarray(seconds, float), values)


# Curves.


@pytest.mark.parametrize("n", [1, 2, 99, 1000, 10_000, 12_345])
def test_thinning_keeps_extremes(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    kept = thin(100, values)
    assert len(kept) <= max(100, 2)
    assert {0, n - 1, int(values.argmin()), int(values.argmax())} <= set(kept.tolist())
    width = -(-n // 49)
    for start in range(0, n, width) if n > 100 else ():
        stretch = values[start : start + width]
        assert {start + int(stretch.argmin()), start + int(stretch.argmax())} <= set(kept.tolist())


@pytest.mark.parametrize("place", [0, 1, 4_999, 7_777, 9_999])
def test_single_spike_stays_visible(tmp_path: Path, place: int) -> None:
    def rows(seed: int) -> list[dict[str, Any]]:
        high = {place: 1e6} if seed == 1 else {}
        return [
            {"time": BEGIN + i, "axis": "env_steps", "env_steps": i, "train/loss": high.get(i, 1.0)}
            for i in range(10_000)
        ]

    for seed in range(3):
        recorded(tmp_path, seed=seed, rows=rows(seed))
    runs = choose([], tmp_path)
    read = [read_curves(run.record.dir) for run in runs]
    (task,) = tasks_of(runs)
    ((chart,), _) = charts_of(task, read, {id(run): i for i, run in enumerate(runs)})
    drawn = spec(chart, read, points_for([chart] * 400))
    assert [numbers(line["y"]).max() for line in drawn["lines"]] == [1, 1e6, 1]
    assert all(len(numbers(line["y"])) < 1000 for line in drawn["lines"])
    for axis in ("steps", "time"):
        assert numbers(drawn["means"][0][axis]["y"]).max() == pytest.approx(1e6 / 3, rel=1e-3)
        assert numbers(drawn["means"][0][axis]["high"]).max() > 1e6


def test_many_curves_stay_bounded() -> None:
    seeds: Any = ((0, None, None, None),) * 200
    bands: Any = ((None, ()),) * 40
    charts = [Chart("", "", "", "", seeds, bands)] * 10
    points = points_for(charts)
    spent = sum(points * 3 * len(one.seeds) + 2 * points * 8 * len(one.bands) for one in charts)
    assert spent <= MOST_NUMBERS


def test_damaged_rows_are_counted(tmp_path: Path) -> None:
    folder = recorded(tmp_path, rows=[]).dir
    lines = [
        '{"time": 10.0, "axis": "epoch", "epoch": 2, "val/loss": 2.0, "val/text": "x"}',
        '{"time": 9.0, "axis": "epoch", "epoch": 1, "val/loss": 1, "val/text": null}',
        '{"time": 11.0, "axis": "epoch", "epoch": 3, "val/loss": null}',
        '{"time": 12.0, "axis": "global_step", "global_step": 5, "val/loss": 7.0}',
        '{"time": 12.0, "axis": "epoch", "epoch": "4", "val/loss": 3.0}',
        '{"time": 12.0, "axis": "epoch", "val/loss": 3.0}',
        '{"axis": "epoch", "epoch": 4, "val/loss": NaN}',
        "[1, 2]",
        "not json \x00",
        '{"time": 12.0, "axis": "epoch", "epoch": 4, "val/loss"',
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    found = read_curves(folder, 8.0)
    one = found.series["val/loss"]
    assert (one.axis, one.at.tolist(), one.values.tolist(), one.seconds.tolist()) == ("epoch", [1, 2], [1, 2], [1, 2])
    assert found.series["val/loss (global_step)"].values.tolist() == [7]
    assert "val/text" not in found.series
    assert found.damaged == 5
    assert found.not_finite == 3
    assert read_curves(tmp_path / "nowhere").series == {}


def test_processes_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, started = [recorded(tmp_path, seed=seed).dir for seed in range(3)], [BEGIN, None, 0.0]
    alone = read_all(folders, started)
    monkeypatch.setattr(reader, "WORTH_PROCESSES", 0)
    for one, other in zip(alone, read_all(folders, started), strict=True):
        assert one.rows == other.rows > 0
        assert one.series.keys() == other.series.keys()
        for name, found in one.series.items():
            assert np.array_equal(found.values, other.series[name].values)
            assert np.array_equal(found.seconds, other.series[name].seconds)


def test_killed_reader_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, started = [recorded(tmp_path, seed=seed).dir for seed in range(3)], [BEGIN, None, 0.0]
    monkeypatch.setattr(reader, "WORTH_PROCESSES", 0)
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert [one.rows for one in read_all(folders, started)] == [40, 40, 40]


def test_band_is_pointwise_interval() -> None:
    seeds = [series(np.random.default_rng(i).normal(size=50)) for i in range(5)]
    found = band(seeds)
    assert found is not None
    for i in range(50):
        expected = spread([one.values[i] for one in seeds])
        assert (found.mean[i], found.low[i], found.high[i]) == pytest.approx(
            (expected.mean, expected.low, expected.high)
        )


def test_band_has_same_seeds_everywhere() -> None:
    short, long = series([0, 10, 20], [10, 20, 30]), series([0, 100], [0, 100])
    found = band([short, long])
    assert found is not None
    assert found.at.tolist() == [10, 20, 30]
    assert found.mean.tolist() == [5, 15, 25]
    assert band([series([1, 2], [0, 1]), series([1, 2], [5, 6])]) is None
    many = [series(np.zeros(GRID), np.arange(GRID) + 0.1 * i) for i in range(3)]
    crowded = band(many)
    assert crowded is not None
    assert len(crowded.at) == GRID
    backwards = band([series([0, 1, 2], seconds=[0, 5, 3]), series([0, 1, 2], seconds=[0, 1, 4])], clock=True)
    assert backwards is not None
    assert (np.diff(backwards.at) > 0).all()


# Groups and figures.


def test_which_runs_count(tmp_path: Path) -> None:
    for seed in range(3):
        recorded(tmp_path, seed=seed)
    recorded(tmp_path, seed=1, metrics={"eval/return_mean": 1.0})
    recorded(tmp_path, seed=4, status="failed", metrics={}, error="it broke")
    recorded(tmp_path, seed=5, status="running")
    recorded(tmp_path, seed=6, fast_dev_run=True)
    recorded(tmp_path, seed=7, metrics={"eval/return_mean": None})
    (task,) = tasks_of(choose([], tmp_path))
    (group,) = task.groups
    assert [run.record.seed for run in group.counted] == [0, 1, 2]
    assert group.scores == [480, 1, 490], "of two runs of a seed the newer one counts"
    for reason in (
        "failed",
        "killed",
        "made with --fast-dev-run",
        "repeated with the same seed",
        "without a finite figure",
    ):
        assert f"1 run {reason}" in group.left_out
    found = score(group)
    assert found.spread is not None
    assert (found.spread.n, found.train, found.speed, found.unit) == (3, 60, 1000, "env steps/s")
    assert found.verdicts == {"met": 3}, "those of the runs that count"


def test_newest_published_figure_counts(tmp_path: Path) -> None:
    recorded(tmp_path, seed=7, reference=PUBLISHED | {"value": 400.0})
    recorded(tmp_path, seed=1, reference=PUBLISHED | {"value": 450.0})
    (task,) = tasks_of(choose([], tmp_path))
    (group,) = task.groups
    assert group.reference["value"] == 450
    assert "450 ± 1.5" in verdicts([task])
    assert "400 ± 1.5" not in verdicts([task])


def test_targets_and_baselines_are_shown(tmp_path: Path) -> None:
    target = {"metric": "eval/return_mean", "value": 484.0, "verdict": "missed", "reason": "too low", "why": "solved"}
    baselines = {"random <b>": {"eval/return_mean": 22.5}, "broken": {}}
    for seed in (0, 1):
        recorded(
            tmp_path, seed=seed, target=target, baselines=baselines, bounds={"all known": {"eval/return_mean": 500}}
        )
    recorded(tmp_path, "ppo-b")
    (task,) = tasks_of(choose([], tmp_path))
    assert [group.baselines for group in task.groups] == [{"random <b>": 22.5}, {}]
    assert "| 2 met | 2 | 484: 2 missed | random &#60;b&#62; 22.5, bound: all known 500 |" in verdicts([task])
    text = rendered(tmp_path)
    assert "random &lt;b&gt; 22.5" in text
    assert "random &lt;b&gt;: eval/return_mean 22.5" in text
    assert "<small>bound: all known 500</small>" in text
    assert "missed: too low" in text
    assert "484" in re.search(r'<p class="lead">Target.*', text)[0]  # type: ignore[index]
    (strip,) = [json.loads(one) for one in re.findall(r'id="data-strip-0">(.*?)</script>', text)]
    assert [row["target"] for row in strip["rows"]] == [484, None]


def test_only_comparable_groups_share_tasks(tmp_path: Path) -> None:
    recorded(tmp_path, "a")
    recorded(tmp_path, "b", metrics={"eval/return_mean": 1.0})
    recorded(tmp_path, "a", dataset={"name": "digits"})
    recorded(tmp_path, "c", reference={}, metrics={"test/fid": 3.0, "x": 1.0})
    recorded(tmp_path, "c", 1, reference={}, metrics={}, status="failed")
    recorded(tmp_path, "d", reference={}, metrics={"test/fid": 2.0})
    tasks = tasks_of(choose([], tmp_path))
    assert {task.title: [group.label for group in task.groups] for task in tasks} == {
        "CartPole-v1: eval/return_mean": ["a (CartPole-v1)", "b"],
        "digits: eval/return_mean": ["a (digits)"],
        "CartPole-v1: test/fid": ["c", "d"],
    }
    (pair,) = pairs(tasks[0])
    assert pair.improvement.probability == 1
    (pair,) = pairs(tasks[2])
    assert pair.improvement.probability == 0, "of a distance less is better"


def test_many_groups_face_the_best(tmp_path: Path) -> None:
    for i in range(10):
        recorded(tmp_path, f"a{i}", metrics={"eval/return_mean": float(i % 7)})
    (task,) = tasks_of(choose([], tmp_path))
    assert {pair.a.label for pair in pairs(task)} == {"a6"}
    assert len(pairs(task)) == 9


def test_groups_by_any_field(tmp_path: Path) -> None:
    for gamma in (0.9, 0.99):
        recorded(tmp_path, config={"agent": {"gamma": gamma}})
    (task,) = tasks_of(choose([], tmp_path), ["experiment", "agent.gamma"])
    assert [group.label for group in task.groups] == ["ppo-a, agent.gamma=0.9", "ppo-a, agent.gamma=0.99"]
    text = rendered(tmp_path)
    assert "2 different configs" in text
    assert "agent.gamma" in text


def test_words() -> None:
    def said(text: str) -> str:
        return text.replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "none")

    found = [said(figure(x)) for x in (None, 0, 500.0, 0.99412, 1234567.0, -73.506, 1e-9, 3e20)]
    assert found == ["none", "0", "500", "0.99412", "1,234,567", "-73.506", "1.0000e-09", "3.0000e+20"]
    assert with_reach(497.345, 4.61) == "497.3 ± 4.6"
    assert said(with_reach(-157.1, 115.2)) == "-157 ± 115"
    assert with_reach(500, 0) == "500 ± 0"
    assert said(span(-0.12345, 0.5)) == "-0.12 to 0.50"
    assert [said(took(x)) for x in (None, 3.21, 75, 7_500)] == ["none", "3.2 s", "1 min 15 s", "2 h 05 min"]
    assert when(moment("2026-01-01T12:00:00+0000")).startswith(("31 Dec 2025", "1 Jan 2026", "2 Jan 2026"))
    assert said(when(moment("nonsense"))) == "none"


# The command that repeats a run.


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("ppo-cartpole", ["--agent.gamma=0.9"], ["--agent.gamma=0.9"]),
        ("ppo-cartpole", ["--env.kwargs.sutton_barto_reward=true", "--agent.target_kl=0.02"], None),
        ("ppo-cartpole", ["--agent.encoder=Recurrent", "--checkpoint.steps=5000"], None),
        ("vae-mnist", ["--trainer.optimizer=SGD", "--trainer.optimizer.momentum=0.9", "--data.name=digits"], None),
    ],
)
def test_command_makes_same_config(name: str, words: list[str], expected: list[str] | None) -> None:
    own = resolved([name])[name]
    config = lab_config.load(name, [*words, "--seed=3"]).as_dict()
    found = overrides(config, own)
    assert found is not None
    assert expected is None or found == expected
    assert lab_config.load(name, [*found, "--seed=3"]).as_dict() == config


def test_every_run_has_a_command(tmp_path: Path) -> None:
    own = {"mine": {"experiment": "a.B", "agent": {"gamma": 0.99}, "seed": 0}}
    config = {"experiment": "a.B", "agent": {"gamma": "it's; rm -rf"}, "seed": 3}
    run = Run(recorded(tmp_path, "mine", config=config, fast_dev_run=True))
    assert repeats(run, own) == """lab run mine --seed 3 '--agent.gamma=it'"'"'s; rm -rf' --fast-dev-run"""
    stranger = Run(replace(run.record, mine=False))
    told = str(repeats(stranger, own))
    assert told.endswith("config.yaml --fast-dev-run"), "his settings are not handed to the reader as overrides"
    assert "rm -rf" not in told
    other = Run(recorded(tmp_path, "theirs", config=config))
    assert str(repeats(other, own)).endswith("config.yaml")
    (other.record.dir / "config.yaml").write_text("{")
    assert repeats(Run(other.record), own) is None


def test_run_name_imports_nothing(tmp_path: Path) -> None:
    Path("evil.yaml").write_text(yaml.safe_dump({"experiment": "evil.Experiment"}))
    Path("evil.py").write_text("raise RuntimeError('imported')")
    assert resolved(["evil.yaml", "../evil", "evil"]) == {}
    recorded(tmp_path, "evil.yaml", config={"experiment": "evil.Experiment", "name": "evil.yaml"})
    assert "evil.yaml" in rendered(tmp_path)


# Media.


def test_media_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(tmp_path))
    good = {"a.png": picture(tmp_path), "b.gif": picture(tmp_path, ".gif")}
    bad = {
        "text.png": b"no picture",
        "gif.png": picture(tmp_path, ".gif"),
        "drawing.svg": b"<svg onload='alert(1)'/>",
        "page.html": b"<b>",
        "film.mp4": b"no film at all",
    }
    folder = recorded(tmp_path / "runs", media=good | bad).dir
    (folder / "media" / "link.png").symlink_to(secret)
    outside = ["../../secret.png", str(secret), "link.png", "gone.png", "../media/a.png", "", ".", "a.png\x00.png"]
    rows = [json.dumps(medium("x", name)) for name in outside]
    with (folder / "media.jsonl").open("a") as file:
        file.write("\n".join([*rows, "damaged", '{"name": 1}', '["a"]', '{"cut": ']))
    left_out: Counter[str] = Counter()
    found = list(media_of(0, folder, left_out))
    assert [(one.path.name, one.mime) for one in found] == [("a.png", "image/png"), ("b.gif", "image/gif")]
    assert sum(left_out.values()) == len(bad) + len(outside) + 3
    monkeypatch.setattr(media_module, "LARGEST", 10)
    assert not list(media_of(0, folder, left_out))


def test_latest_media_come_first(tmp_path: Path) -> None:
    shots = {f"shot-{i}.png": picture(tmp_path, colour=i) for i in range(6)}
    first, second = (recorded(tmp_path / "runs", media=shots if i else {}).dir for i in (1, 1))
    for folder in (first, second):
        rows = [medium("samples", name, at) for at, name in enumerate(shots)]
        (folder / "media.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (second / "media" / "shot-5.png").write_bytes(picture(tmp_path, colour=99))
    media = [one for i, folder in enumerate((first, second)) for one in media_of(i, folder, Counter())]

    def shown(most: float) -> list[tuple[int, float]]:
        shots = gallery(media, [0, 0], most=int(most)).shots
        return [(shot.run, one.at) for shot in shots for one, _ in shot.frames]

    one = max(len(content) for content in shots.values()) * 4 / 3 + 40
    assert shown(one * 1.1) == [(0, 5)]
    assert shown(one * 2.1) == [(0, 4), (0, 5), (1, 4)], "the same picture twice takes its place once"
    assert shown(one * 3.1) == [(0, 4), (0, 5), (1, 4), (1, 5)]
    everything = gallery(media, [0, 0], most=10**6)
    assert [(shot.lead, len(shot.frames)) for shot in everything.shots] == [(True, 6), (False, 6)]
    assert [shot.lead for shot in gallery(media, [0, 1], most=10**6).shots] == [True, True]
    assert len(everything.contents) == 7
    assert not everything.left_out
    left_out = gallery(media, [0, 0], most=int(one * 1.1)).left_out
    assert [apology(left_out[run]).split(" beyond")[0] for run in (0, 1)] == ["5 files", "6 files"]


# The page.


class Elements(HTMLParser):
    """Counts elements, and collects their attributes and the content of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.data: dict[str, str] = {}
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.update(name for name, _ in attrs)
        kind = dict(attrs).get("type") if tag == "script" else None
        self.inside = dict(attrs).get("id") or "" if kind == "application/json" else ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data[self.inside] = self.data.get(self.inside, "") + data


def test_json_cannot_end_a_script() -> None:
    value = {HOSTILE: [HOSTILE, 1.5, None, True, "&amp; \ud800"]}
    text = script_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not {"<", ">", "&"} & set(text)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = HOSTILE + "\ud800'\" {{ 1 }} $x$"
    recorded(
        tmp_path,
        hostile,
        run_id=hostile,
        config={"experiment": hostile, hostile: {hostile: hostile}, "seed": 0},
        rows=[{"time": BEGIN, "axis": HOSTILE, HOSTILE: 1, f"{HOSTILE}/x": 2.0}],
        media={"a.png": picture(tmp_path)},
        metrics={hostile: 1.0},
        descriptions={hostile: hostile},
        reference={"metric": hostile, "value": 1, "dataset": hostile, "reason": hostile, "verdict": "missed", "n": 3},
        dataset={"name": hostile, "fallback": hostile, "sha256": hostile},
        versions={hostile: hostile},
        durations={hostile: 1.0},
        throughput={"value": 1e308, "unit": hostile},
        error=hostile,
        status="failed",
        device=hostile,
        git={"commit": hostile, "dirty": True},
        parent={"run_id": hostile, "checkpoint": 5},
        resume={"sessions": 2, "reason": hostile},
        wandb={"url": "javascript:alert(1)"},
    )  # fmt: skip
    text = rendered(tmp_path, Finding(hostile, hostile, (hostile,)))
    plain = rendered_plain(tmp_path / "plain")
    hostile_page, plain_page = Elements(), Elements()
    hostile_page.feed(text)
    plain_page.feed(plain)
    assert "onerror" not in hostile_page.attributes
    assert set(hostile_page.tags) <= set(plain_page.tags) | {"small"}
    assert hostile_page.tags["script"] == plain_page.tags["script"]
    for name, content in hostile_page.data.items():
        assert json.loads(content) is not None, name
    assert "</script><img" not in text


def test_figures_may_be_as_large_as_floats_are(tmp_path: Path) -> None:
    """Their deviation is infinite, which JSON has not."""
    for seed, value in enumerate([1e308, -1e308]):
        recorded(tmp_path, seed=seed, metrics={"eval/return_mean": value}, durations={"train": abs(value)})
    page = Elements()
    page.feed(rendered(tmp_path))
    assert page.data
    assert not any(re.search(r"\b(NaN|Infinity)\b|1e\+?308", content) for content in page.data.values())


def test_page_names_what_varies(tmp_path: Path) -> None:
    """Ten folds of one seed are not ten times `seed 0`, and neither are three learning rates."""
    roles = Roles(repeats=("seed", "data.fold")).as_dict()
    for fold in range(2):
        recorded(tmp_path, config={"experiment": "a.B", "data": {"fold": fold}}, roles=roles, media={"a.txt": b"x"})
        recorded(tmp_path, "rates", config={"experiment": "a.B", "rate": fold + 0.5}, roles=roles)
    folds, rates = tasks_of(choose([], tmp_path))[0].groups
    text = rendered(tmp_path, Finding("one", "Something.", tuple(run.record.run_id for run in folds.runs)))
    for fold, rate in enumerate((0.5, 1.5)):
        assert f"ppo-a, fold {fold}" in text
        assert f'<option value="fold {fold}">' in text
        assert f"rates, rate {rate}" in text
    assert re.search(r"""<span class="links">folds <a [^>]*>0</a> <a [^>]*>1</a></span>""", text)
    assert "seed 0" not in re.sub("(?s)<script.*?</script>", "", text)
    assert rates.unit == "rate"


def rendered_plain(runs: Path) -> str:
    runs.mkdir()
    rows = [{"time": BEGIN, "axis": "epoch", "epoch": 1, "val/x": 2.0}]
    recorded(runs, rows=rows, media={"a.png": picture(runs)}, error="x", status="failed", descriptions={})
    return rendered(runs, FINDING)


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    recorded(tmp_path, media={"a.gif": picture(tmp_path, ".gif")})
    found = Elements()
    text = rendered(tmp_path)
    found.feed(text)
    assert {"src", "href", "onclick", "style"} & set(found.attributes) <= {"href"}
    assert "default-src 'none'" in text
    assert "unsafe-eval" not in text
    assert "link" not in found.tags


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "running"}, "killed"),
        ({"status": "failed", "error": "the disk is full", "metrics": {}}, "the disk is full"),
        ({"status": "diverged", "metrics": {"eval/return_mean": None}}, "not finite"),
        ({"metrics": {}, "reference": {}, "rows": [], "durations": {}, "throughput": None}, "CartPole-v1"),
        ({"fast_dev_run": True}, "without 1 run made with --fast-dev-run"),
        ({"parent": {"run_id": "p", "checkpoint": 5000}}, "from p at step 5,000"),
        ({"resume": {"sessions": 3, "exact": False, "reason": "the clock"}}, "2 times, not exactly: the clock"),
        ({"git": {"commit": "f" * 40, "dirty": True}}, "with uncommitted changes"),
        ({"git": None, "started": "", "versions": {}}, "not in a repository"),
        ({"dataset": {"name": "digits", "fallback": "no network"}}, "because no network"),
    ],
)
def test_every_run_has_a_page(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    recorded(tmp_path, **changes)
    assert said in rendered(tmp_path)
    recorded(tmp_path, "another")
    assert said in rendered(tmp_path, FINDING)


def test_running_run_is_shown(tmp_path: Path) -> None:
    record = recorded(tmp_path, status="running", metrics={})
    with locked(record.dir):
        text = rendered(tmp_path)
    assert "1 running" in text
    assert "without 1 run still running" in text


def test_omissions_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"time": BEGIN, "axis": "epoch", "epoch": 1, **{f"train/{i}": 1.0 for i in range(400)}}]
    recorded(tmp_path, rows=rows, media={"a.svg": b"<svg/>"})
    text = rendered(tmp_path)
    assert "100 metrics beyond the limit left out" in text
    assert "150 further metrics left out" in text
    assert "1 file of a kind that the page cannot show" in text
    assert len(text) < MOST_BYTES


# The command.


def test_lab_report(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["report"]) == 2
    assert "there are no runs" in capsys.readouterr().err
    runs = tmp_path / "runs"
    for seed in range(3):
        recorded(runs, "ppo-a", seed)
    recorded(runs, "dqn-a", 7)
    monkeypatch.setenv("LAB_RUNS_DIR", str(runs))
    assert main(["report", "ppo-*", "--where", "seed<2", "--title", "Two <b>seeds</b>", "-o", "two.html"]) == 0
    assert capsys.readouterr().out.startswith("two.html: ")
    text = Path("two.html").read_text()
    assert "<h1>Two &lt;b&gt;seeds&lt;/b&gt;</h1>" in text
    assert "2 runs in 1 group" in text
    assert "lab report &#39;ppo-*&#39; --where &#39;seed&lt;2&#39;" in text
    assert [path.name for path in Path().iterdir()] == ["two.html"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "nowhere/x.html"], "there is no folder"),
        (["-o", "."], "is a folder"),
        (["-o", "x.pdf"], "ends in .html or .htm; received x.pdf"),
        (["--group-by", "agent.gama"], "no chosen run has a field 'agent.gama'"),
        (["--where", "seed>"], "expected"),
        (["--where", "seed>8"], "none of 1 runs has seed>8"),
        (["ppo-b"], "did you mean 'ppo-a'?"),
        (["--check", "--publish"], "exclude each other"),
    ],
)
def test_bad_requests_write_nothing(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(Path("runs").absolute())
    assert main(["report", *words]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["runs"]


def test_damaged_run_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Path("runs").absolute()
    recorded(runs)
    bad = recorded(runs, seed=1)
    (bad.dir / "summary.json").write_text("{")
    for words in ([], ["--check"]):
        assert main(["report", *words]) == (1 if words else 0)
        assert f"left out: {bad.dir}/summary.json is damaged" in capsys.readouterr().err
    text = Path("report.html").read_text()
    assert "1 run left out, because summary.json is damaged" in text
    assert f"{bad.dir.parent.name}/{bad.dir.name}" in text
    assert main(["report", "ppo-a", "--check"]) == 1
    assert "left out" not in capsys.readouterr().err, "it was not asked for"


def test_check_prints_findings(capsys: pytest.CaptureFixture[str]) -> None:
    recorded(Path("runs").absolute(), "ppo-\x1b[31ma", git={"commit": "0" * 40, "dirty": True})
    assert main(["report", "--check"]) == 1
    said = capsys.readouterr().out
    assert "finding" in said.splitlines()[-1]
    assert "\x1b" not in said
    assert not Path("report.html").exists()


def test_curves_are_read_once(tmp_path: Path) -> None:
    recorded(tmp_path, rows=learning(0, 7))
    (run,) = choose([], tmp_path)
    assert read_curves(run.record.dir).rows == 14


def test_a_page_of_many_runs_shows_some_of_them_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(10):
        for name in ("ppo-a", "ppo-b"):
            recorded(tmp_path, name, seed)
    whole = rendered(tmp_path)
    monkeypatch.setattr(selection, "MOST_RUNS", 6)
    last = choose(["ppo-b"], tmp_path)[-1].record.run_id
    text = rendered(tmp_path, Finding("one seed", "Something.", (last,)))
    assert (whole.count('class="run"'), text.count('class="run"')) == (20, 6)
    assert last in text
    assert "20 runs in 2 groups" in re.sub(r"\s+", " ", text)
    assert "the page shows 6 runs" in text
    means = re.compile(r'<td class="number strong" data-sort="([\d.]+)"')
    assert means.findall(text)[:2] == means.findall(whole)[:2] != [], "means are of all runs"


def test_pictures_and_experiments_say_what_they_are(tmp_path: Path) -> None:
    said = {"eval/episode": "an episode of the final policy", "best/episode": ""}
    settings = {"experiment": "x.Y", "description": "PPO <balances> a pole"}
    files = {"eval/episode": picture(tmp_path)}
    record = recorded(tmp_path / "runs", media={"a.png": files["eval/episode"]}, descriptions=said, config=settings)
    (record.dir / "media.jsonl").write_text(json.dumps(medium("eval/episode", "a.png")) + "\n")
    text = rendered(tmp_path / "runs")
    assert "An episode of the final policy." in text
    assert "PPO &lt;balances&gt; a pole" in text
