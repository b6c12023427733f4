"""The journal, secrets, and W&B in offline mode or failing."""

from __future__ import annotations

import gc
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lab.errors import ConfigError, SavingError
from lab.system.randomness import kept_randomness
from lab.tracking import Journal, Trackers, WandbFollower, read_journal
from lab.tracking.destination import chosen_mode, place_of
from lab.tracking.redact import BLANK, redact


def follower(tmp_path: Path, **config: Any) -> WandbFollower:
    return WandbFollower(tmp_path, name="test", run_id="a-run", config=config, mode=chosen_mode())


def records(folder: Path) -> str:
    """All records of the offline run in `folder`, as printed by W&B."""
    (run,) = folder.glob("wandb/offline-run-*/*.wandb")
    return subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_journal_rows_have_an_axis(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.log({"train/loss": 0.5, "train/kl": float("nan")}, axis="global_step", at=3)
    journal.log({"val/loss": float("inf")}, axis="epoch", at=1)
    journal.finish({})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"cut": ')
    rows = list(read_journal(tmp_path / "metrics.jsonl"))
    for row in rows:
        assert abs(row.pop("time") - time.time()) < 60
    assert rows == [
        {"axis": "global_step", "global_step": 3, "train/loss": 0.5, "train/kl": None},
        {"axis": "epoch", "epoch": 1, "val/loss": None},
    ]


def test_secrets_are_blanked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "hunter2hunter2")
    key = "0123456789abcdef" * 2 + "01234567"
    given = {
        "api_key": "abc",
        "nested": [{"password": "x", "tokens": 3}, key, f"--key={key}"],
        "address": "https://user:secret@example.org/x",
        "said": "the token is hunter2hunter2!",
        "lr": 0.1,
        "name": "vae",
        "tokenizer": "bpe",
        "path": f"/runs/{key}/encoder",
    }
    assert redact(given) == {
        "api_key": BLANK,
        "nested": [{"password": BLANK, "tokens": 3}, BLANK, f"--key={BLANK}"],
        "address": f"https://user:{BLANK}@example.org/x",
        "said": f"the token is {BLANK}!",
        "lr": 0.1,
        "name": "vae",
        "tokenizer": "bpe",
        "path": f"/runs/{key}/encoder",
    }


def test_mode_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    assert chosen_mode() == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert chosen_mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert chosen_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert chosen_mode() == "online"
    for said, meant in (("disabled", "disabled"), ("OFFLINE", "offline"), ("dryrun", "offline")):
        monkeypatch.setenv("WANDB_MODE", said)
        assert chosen_mode() == meant
    monkeypatch.setenv("WANDB_MODE", "offlien")
    with pytest.raises(ConfigError, match="did you mean 'offline'"):
        chosen_mode()


def test_offline_run_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    one = follower(tmp_path, api_key="do-not-tell", lr=0.25)
    Image.new("RGB", (4, 4)).save(tmp_path / "picture.png")
    one.log({"train/loss": 1.5}, axis="global_step", at=10)
    one.log({"val/loss": 2.5}, axis="epoch", at=1)
    one.media("samples/grid", tmp_path / "picture.png", axis="epoch", at=1)
    one.finish({"status": "completed", "metrics": {"test/nll": 90.0}, "reference": {"verdict": "met"}})
    assert one.problem is None
    assert os.environ["WANDB_MODE"] == "offline"
    told = records(tmp_path)
    assert "do-not-tell" not in told
    for expected in ("train/*", "global_step", "val/*", "samples/grid", "test/nll", "0.25", "verdict"):
        assert expected in told, expected
    (raw,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert b"do-not-tell" not in raw.read_bytes()


def drawn_next() -> tuple[float, ...]:
    """The next numbers of the global generators, which stay where they are."""
    with kept_randomness():
        return random.random(), float(np.random.random()), float(torch.rand(()))


def test_start_disturbs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    before = drawn_next()
    launch = "wandb.sdk.launch" in sys.modules
    one = follower(tmp_path)
    one.finish({"status": "completed"})
    assert one.problem is None
    assert drawn_next() == before, "it starts beside the training, which may draw at the same time"
    assert launch or "wandb.sdk.launch" not in sys.modules, "half of the time of a start"


def test_run_continues_without_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setitem(sys.modules, "wandb", None)
    both = Trackers([Journal(tmp_path), one := follower(tmp_path)])
    one.thread.join(10)
    both.log({"train/loss": 1.0}, axis="global_step", at=1)
    both.finish({"status": "completed"})
    assert one.problem is not None
    assert "Nothing is lost" in capsys.readouterr().err
    assert len(list(read_journal(tmp_path / "metrics.jsonl"))) == 1


def test_run_survives_wandb_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    both = Trackers([Journal(tmp_path), one := follower(tmp_path)])
    one.log({"train/loss": 1.0}, axis="global_step", at=0)
    deadline = time.monotonic() + 20
    while not one.handed_on and time.monotonic() < deadline:
        time.sleep(0.01)
    children = Path(f"/proc/{os.getpid()}/task/{one.thread.native_id}/children")
    if not children.exists():
        pytest.skip("needs Linux to find the process to kill")
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        for child in (task / "children").read_text().split():
            if "wandb" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), signal.SIGKILL)
    processes = [one for one in gc.get_objects() if type(one) is subprocess.Popen and "wandb" in str(one.args)]
    for process in processes:
        process.wait(10)  # W&B's client does not wait for a process that died
    for step in range(2000):
        both.log({"train/loss": 1.0}, axis="global_step", at=step)
        if one.problem:
            break
        time.sleep(0.002)
    both.finish({"status": "completed"})
    assert one.problem is not None
    rows = list(read_journal(tmp_path / "metrics.jsonl"))
    assert rows[-1]["global_step"] == len(rows) - 1


def test_all_trackers_receive_the_same(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Recorder:
        def log(self, metrics: Any, *, axis: str, at: int) -> None:
            seen.append((dict(metrics), axis, at))

        def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
            seen.append((name, path.name, axis, at))

        def finish(self, summary: Any) -> None:
            seen.append(json.loads(json.dumps(summary)))

    both = Trackers([Recorder(), Recorder()])
    both.log({"a/b": 1.0}, axis="epoch", at=1)
    both.media("a/c", tmp_path / "x.png", axis="epoch", at=1)
    both.finish({"status": "completed"})
    assert seen[0::2] == seen[1::2]
    assert len(seen) == 6


@pytest.mark.parametrize("what", ["removed", "moved", "made again"])
def test_removed_folder_is_noticed(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(folder)
    journal.log({"loss": 1.0}, axis="epoch", at=1)
    assert journal.position()["metrics.jsonl"] > 0
    if what == "moved":
        folder.rename(tmp_path / "elsewhere")
    else:
        shutil.rmtree(folder)
    if what == "made again":
        folder.mkdir()
        Journal(folder).finish({})
    with pytest.raises(SavingError, match="has been removed or moved while the run was at work"):
        journal.position()
    journal.finish({})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WANDB_BASE_URL", "api.wandb.ai", "must be an address such as https://api.wandb.ai, received 'api.wandb.ai'"),
        ("WANDB_BASE_URL", "https://", "must be an address"),
        ("WANDB_PROJECT", "my/project", "must be a name without '/', received 'my/project'"),
        ("WANDB_PROJECT", "x" * 129, "must have at most 128 letters, received 129"),
        ("WANDB_ENTITY", "me:you\n", "must be a name without"),
        ("WANDB_API_KEY", "two words", "must be a key without spaces"),
    ],
)
def test_a_mistaken_variable_is_named(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name} {re.escape(said)}") as error:
        chosen_mode()
    assert "two words" not in str(error.value), "a key is not printed"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert chosen_mode() == "disabled"


@pytest.mark.parametrize("mode", ["online", "offline", ""])
def test_half_an_address_is_named(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_BASE_URL", "http://[::bad")
    with pytest.raises(ConfigError, match=r"WANDB_BASE_URL must be an address .* received 'http://\[::bad'"):
        chosen_mode()
    assert place_of("http://[::bad/a/b/runs/c") is None
