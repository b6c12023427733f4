"""Runs that are built from artifacts of other runs: found, made, copied, and recorded on both sides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import lab
from lab.encoders.files import load_encoder
from lab.errors import ConfigError
from lab.runs.summary import Summary, read_summary

MAKER = {"experiment": "tests.support.toys.Maker"}
TAKER = {"experiment": "tests.support.toys.Taker", "table": {"run": "maker", "name": "table"}}


@pytest.fixture(autouse=True)
def configs() -> None:
    for name, config in (("maker", MAKER), ("taker", TAKER)):
        Path(f"{name}.yaml").write_text(yaml.safe_dump(config))


def made(**overrides: object) -> Summary:
    return lab.run("maker.yaml", overrides)


def test_the_newest_completed_run_is_used() -> None:
    made(seed=1)
    second = made(seed=2)
    taker = lab.run("taker.yaml")
    assert taker.metrics["toy/sum"] != pytest.approx(5, abs=1e-9)
    assert taker.needs == [{"setting": "table", "name": "table", "run_id": second.run_id, "experiment": "maker"}]


def test_both_runs_record_the_lineage() -> None:
    maker = made()
    taker = lab.run("taker.yaml")
    (line,) = (maker.dir / "used_by.jsonl").read_text().splitlines()
    assert json.loads(line) == {"run_id": taker.run_id, "experiment": "taker", "name": "table"}
    assert yaml.safe_load((taker.dir / "config.yaml").read_text())["table"]["run"] == maker.run_id


def test_missing_artifacts_name_the_command() -> None:
    with pytest.raises(
        ConfigError, match=r"table needs the artifact 'table' of a completed run of maker.*`lab run maker`"
    ):
        lab.run("taker.yaml")
    assert not Path("runs").exists()


def test_make_needed_makes_them() -> None:
    Path("maker.yaml").rename("other.yaml")
    with pytest.raises(ConfigError, match="unknown experiment 'maker'"):
        lab.run("taker.yaml", make_needed=True)
    Path("other.yaml").rename("maker.yaml")
    taker = lab.run("taker.yaml", {"table.run": "maker.yaml"}, make_needed=True)
    assert [run.name for run in map(read_summary, sorted(Path("runs").glob("*/*")))] == ["maker", "taker"]
    assert taker.needs[0]["experiment"] == "maker"


def test_a_path_will_do() -> None:
    maker = made()
    taker = lab.run("taker.yaml", {"table": str(maker.dir / "artifacts" / "table")})
    assert taker.needs[0]["run_id"] == maker.run_id


def test_the_folder_alone_is_enough() -> None:
    maker = made()
    taker = lab.run("taker.yaml")
    shutil.rmtree(maker.dir)
    assert lab.evaluate(taker.dir).metrics == taker.metrics
    longer = lab.resume(taker.dir, {"steps": 20})
    assert longer.metrics["toy/sum"] > taker.metrics["toy/sum"]  # type: ignore[operator]


def test_a_run_without_the_artifact_is_named() -> None:
    maker = made()
    shutil.rmtree(maker.dir / "artifacts")
    with pytest.raises(ConfigError, match=f"the run {maker.run_id} has no artifact 'table'"):
        lab.run("taker.yaml", {"table.run": maker.run_id})


def test_unfinished_runs_do_not_count() -> None:
    made()
    for path in Path("runs").rglob("summary.json"):
        path.write_text(path.read_text().replace('"completed"', '"interrupted"'))
    with pytest.raises(ConfigError, match="there is none in"):
        lab.run("taker.yaml")


SMALL = {"data.name": "digits", "trainer.max_epochs": 1, "device": "cpu"}


def test_an_encoder_is_taken_from_a_run() -> None:
    source = lab.run("cnn-mnist", {**SMALL, "model.encoder": "MLP", "model.encoder.hidden": [16]})
    overrides = {"model.encoder": "Pretrained", "model.encoder.path.run": "cnn-mnist", "model.encoder.freeze": True}
    run = lab.run(
        "vae-mnist", {**SMALL, "trainer.max_steps": 4, "model.nll_samples": 5, "model.fid_samples": None, **overrides}
    )
    assert run.needs[0]["run_id"] == source.run_id
    before, after = (load_encoder(one.dir / "artifacts" / "encoder").state_dict() for one in (source, run))
    assert all(torch.equal(before[name], after[name]) for name in before)
    shutil.rmtree(source.dir)
    assert lab.evaluate(run.dir).metrics == run.metrics


def test_links_in_artifacts_are_left_behind() -> None:
    maker, secret = made(), Path("secret.txt")
    secret.write_text("mine")
    (maker.dir / "artifacts" / "table" / "link.txt").symlink_to(secret.absolute())
    taker = lab.run("taker.yaml")
    assert sorted(path.name for path in (taker.dir / "needs" / "table").iterdir()) == ["manifest.json", "table.json"]


def test_a_run_that_is_not_complete_is_named() -> None:
    maker = made()
    summary = maker.dir / "summary.json"
    summary.write_text(summary.read_text().replace('"completed"', '"interrupted"'))
    for name in (maker.run_id, str(maker.dir)):
        with pytest.raises(ConfigError, match="is not complete"):
            lab.run("taker.yaml", {"table.run": name}, make_needed=True)
