"""Runs on the user's own data find them again, and say so where they are gone or others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import lab
from lab.errors import ConfigError
from lab.keys.ownership import is_own
from lab.runs.summary import Summary, read_summary
from tests.data.own.test_images import folder, save
from tests.faults.harness import Killed, killing

SETTINGS = {
    "data.batch_size": 4,
    "data.val_size": 0,
    "model.encoder": "MLP",
    "model.encoder.hidden": [4],
    "trainer.max_epochs": 1,
    "trainer.keep_best": None,
    "device": "cpu",
}


def trained(place: Path) -> Summary:
    return lab.run("cnn-mnist", SETTINGS | {"data.path": str(folder(place))})


def test_run_finds_its_data_again(tmp_path: Path) -> None:
    """From another folder, and where they were moved to; it refuses others, and names both hashes."""
    record = trained(tmp_path / "pets")
    assert (record.verdict, record.dataset["name"]) == ("not-comparable", "pets")
    assert str(tmp_path / "pets") in record.reference["reason"]
    assert lab.evaluate(record.dir).metrics == record.metrics
    shutil.move(tmp_path / "pets", tmp_path / "moved")
    with pytest.raises(ConfigError, match=r"are no longer at .*pets; say with --data\.path=PATH where they lie now"):
        lab.evaluate(record.dir)
    assert lab.evaluate(record.dir, [f"--data.path={tmp_path / 'moved'}"]).metrics == record.metrics
    longer = lab.resume(record.dir, [f"--data.path={tmp_path / 'moved'}", "--trainer.max_epochs=2"])
    assert longer.parent == {"run_id": record.run_id, "checkpoint": 4}
    assert read_summary(longer.dir).dataset["path"] == str(tmp_path / "moved")
    assert yaml.safe_load((longer.dir / "config.yaml").read_text())["data"]["init_args"]["path"] == str(
        tmp_path / "moved"
    )
    save(tmp_path / "moved" / "cats" / "new.png", seed=5)
    with pytest.raises(ConfigError, match=rf"trained on: their sha256 was {longer.dataset['sha256'][:16]}.* it is"):
        lab.evaluate(longer.dir)
    assert lab.load(longer.dir).names == ("cats", "dogs"), "what predicts needs no data"
    with pytest.raises(ConfigError, match=r"moved does not hold the data that .* was trained on"):
        lab.resume(longer.dir, ["--trainer.max_epochs=3"])


def test_kill_while_data_move_changes_no_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary and the config are two files: the summary fits both configs until the new one is there."""
    with killing(2), pytest.raises(Killed):
        trained(tmp_path / "pets")
    (run,) = Path("runs").absolute().glob("*/*")
    shutil.move(tmp_path / "pets", tmp_path / "moved")

    def die(*_: object, **__: object) -> None:
        raise Killed

    for function in ("recording.write_config", "resuming.cut_back"):  # before the config is written, and after it
        with monkeypatch.context() as patch:
            patch.setattr(f"lab.{function}", die)
            with pytest.raises(Killed):
                lab.resume(run, [f"--data.path={tmp_path / 'moved'}"])
        assert is_own(run), function
    assert lab.resume(run, [f"--data.path={tmp_path / 'moved'}"]).mine
    assert is_own(run)
    assert len(read_summary(run).configs) == 1
