"""Online runs and `lab sync`, against a local imitation of the W&B server: every row arrives exactly once."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.errors import ConfigError
from lab.runs.summary import local_runs, read_summary
from lab.tracking import destination
from lab.tracking.journal import METRICS
from lab.tracking.sync import SyncError, sync, unsent
from tests.faults.harness import words
from tests.support.arrival import axes, check_whole, sent_lines
from tests.support.offline import offline
from tests.support.wandb_server import KEY, Trouble, WandbServer, impatience


def test_offline_run_arrives_complete(server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = offline(tmp_path, seed=3).dir
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 0
    run = check_whole(server, folder)
    assert capsys.readouterr().out.split() == [f"{server.url}/somebody/lab/runs/{run.id}"]
    assert (run.group, run.name, run.project, run.starts) == ("ppo-a", run.id, "lab", 1)
    assert run.settings["agent"]["class_path"] == "agents.ppo.PPO"
    assert axes(run) == {"train/*": "env_steps", "eval/*": "env_steps", "val/*": "epoch"}
    assert list(unsent(local_runs(tmp_path))) == []
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 0
    assert "each run was sent already" in capsys.readouterr().out
    assert run.starts == 1


def test_online_run_arrives_complete(server: WandbServer) -> None:
    assert main(["run", *words("vae"), "--runs-dir", "runs"]) == 0
    (run,) = local_runs(Path("runs"))
    assert run.wandb == {"mode": "online", "url": f"{server.url}/somebody/lab/runs/{run.run_id}", "problem": None}
    there = check_whole(server, run.dir)
    assert set(axes(there).items()) >= {("train/*", "global_step"), ("val/*", "epoch"), ("pictures/*", "epoch")}
    assert there.settings["model"]["init_args"]["latent_dim"] == 50
    started = json.loads(next(one.body for one in server.requests if one.what == "UpsertBucket"))["variables"]
    assert (started["host"], started["program"]) == (None, "lab"), "nothing about the machine is sent"
    assert "POST sdk" not in server.names(), "timings of W&B's own calls are not sent"
    assert list(unsent(local_runs(Path("runs")))) == []


@pytest.mark.parametrize("there", [0, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 9)), 4, 10])
def test_known_rows_are_not_resent(server: WandbServer, tmp_path: Path, there: int) -> None:
    folder = offline(tmp_path).dir
    sync(folder)
    run = server.runs[read_summary(folder).run_id]
    run.lines = {
        number: line for number, line in run.lines.items() if number < there
    }  # its summary is ahead of its rows
    run.files.clear()
    since = len(server.requests)
    sync(folder)
    check_whole(server, folder)
    assert sent_lines(server, since) == list(range(there, 10))


FAILURES = [("500", "file_stream"), ("hang", "file_stream"), ("cut", "file_stream"), ("404", "file_stream")]
FAILURES += [("500", "PUT upload"), ("500", "."), ("hang", "."), ("401", ".")]
OFTEN = FAILURES[1::3]
"""Those that `make test` tries."""


@pytest.mark.parametrize(
    ("how", "only"), [pytest.param(*one, marks=() if one in OFTEN else pytest.mark.slow) for one in FAILURES]
)
def test_failing_server_loses_nothing(
    server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: Trouble, only: str
) -> None:
    folder = offline(tmp_path).dir
    server.fail(how, only=only)
    began = time.monotonic()
    with impatience():
        assert main(["sync", "--runs-dir", str(tmp_path)]) == 1
    assert time.monotonic() - began < 60
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "was not sent: " in said[1]
    assert [run.dir for run in unsent(local_runs(tmp_path))] == [folder], "it does not count as sent"
    server.recover()
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 0
    check_whole(server, folder)


def test_lost_answers_cause_no_duplicates(server: WandbServer, tmp_path: Path) -> None:
    folder = offline(tmp_path).dir
    server.fail("lose", only="file_stream", after=1, times=1)
    with suppress(SyncError), impatience():  # unless the client's own second attempt succeeds in time
        sync(folder)
    assert server.runs[read_summary(folder).run_id].lines, "the server received the rows themselves"
    sync(folder)
    check_whole(server, folder)


def test_two_failures_skip_the_rest(server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [offline(tmp_path, seed=seed) for seed in range(4)]
    server.fail("404")
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 1
    assert "does not accept runs now; skipping the remaining 2" in capsys.readouterr().err
    assert server.names() == ["RunResumeStatus"] * 2
    server.fail("404", times=1)
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 1
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 0
    for run in runs:
        check_whole(server, run.dir)


def test_secrets_are_never_sent(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hunter2hunter2")
    told = {"agent": {"api_key": "given-away", "note": f"with {KEY} and hunter2hunter2"}}
    runs = [offline(tmp_path, config=told), offline(tmp_path, config=told)]
    server.fail("401", after=12)
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 1
    for run in runs:
        (run.dir / "config.yaml").unlink()  # the test itself wrote them there
    said = "".join(capfd.readouterr()).encode()
    logs = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    requests = b"".join(request.body for request in server.requests)
    assert b"[redacted]" in requests
    for secret in (KEY, "given-away", "hunter2hunter2"):
        for where in (said, logs, requests):
            assert secret.encode() not in where, secret


def test_wrong_name_precedes_missing_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_key() -> None:
        raise ConfigError("there is no key")

    monkeypatch.setattr(destination, "require_key", no_key)
    assert main(["sync", "nosuch", "--runs-dir", str(tmp_path)]) == 2
    assert "no run 'nosuch'" in capsys.readouterr().err
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 2
    assert "there is no key" in capsys.readouterr().err


def test_damaged_run_is_skipped(server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken, sound = offline(tmp_path), offline(tmp_path)
    with (broken.dir / METRICS).open("a") as file:
        file.write('{"half\n')
    assert main(["sync", "--runs-dir", str(tmp_path)]) == 1
    assert f"the journal in {broken.dir} cannot be read" in capsys.readouterr().err
    assert set(server.runs) == {sound.run_id}
    check_whole(server, sound.dir)


def test_links_out_are_not_sent(server: WandbServer, tmp_path: Path) -> None:
    folder = offline(tmp_path).dir
    (tmp_path / "private.png").write_bytes((folder / "media" / "eval-film-2.png").read_bytes())
    (folder / "media" / "eval-film-2.png").unlink()
    (folder / "media" / "eval-film-2.png").symlink_to(tmp_path / "private.png")
    with pytest.raises(ConfigError, match=r"eval-film-2\.png is a link"):
        sync(folder)
    assert not server.runs
