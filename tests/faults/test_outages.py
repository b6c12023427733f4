"""Weights & Biases may refuse, hang, return errors or die. The results stay the same, and delays are bounded."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.runs.summary import local_runs, read_summary
from lab.tracking import read_journal
from lab.tracking.sync import SyncError, sync, unsent
from tests.faults.harness import (
    copy_of_undisturbed,
    differences,
    lab_command,
    lab_process,
    run_killed,
    run_undisturbed,
    wait_for,
    words,
)
from tests.support.arrival import check_whole, expected, sent_lines
from tests.support.wandb_server import Trouble, WandbServer, impatience


class Failing(BaseHTTPRequestHandler):
    """Answers every request with status 500."""

    def do_POST(self) -> None:
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815  # the name is http.server's

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def server(kind: str) -> Iterator[str]:
    """A local address where nothing listens, nothing answers, or every answer has status 500."""
    if kind == "refusing":
        yield "http://127.0.0.1:9"
    elif kind == "hanging":
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            yield f"http://127.0.0.1:{silent.getsockname()[1]}"
    else:
        with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as failing:
            threading.Thread(target=failing.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{failing.server_port}"
            failing.shutdown()


def online(address: str) -> dict[str, str]:
    return {**os.environ, "WANDB_MODE": "online", "WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": address}


@pytest.mark.fault(11)
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refusing", "hanging", "answering 500"])
def test_unreachable_server_changes_nothing(kind: str) -> None:
    undisturbed = run_undisturbed("vae")
    with server(kind) as address:
        began = time.monotonic()
        code, said = lab_command(["run", *words("vae"), "--runs-dir", "runs"], env=online(address))
    assert code == 0, said
    assert time.monotonic() - began < 90
    (folder,) = Path("runs").glob("*/*")
    assert differences(undisturbed.dir, folder) == []
    assert (read_summary(folder).wandb or {})["mode"] == "offline"
    assert [run.dir.name for run in unsent(local_runs(Path("runs")))] == [folder.name]


def wandb_processes(of: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{of}/task").iterdir():
        with suppress(OSError):
            children = (task / "children").read_text().split()
            found += [int(c) for c in children if "wandb" in Path(f"/proc/{c}/cmdline").read_text()]
    return found


@pytest.mark.fault(11)
def test_wandb_dying_later_changes_nothing() -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("needs Linux, to find the process that is to die")
    undisturbed = copy_of_undisturbed("vae")
    offline = {**os.environ, "WANDB_MODE": "offline"}
    slow = "import time, lab.saving.saver as s\nreal = s.Saver.safe_point\n"
    slow += "def slow(*a, **k):\n    time.sleep(0.1)\n    real(*a, **k)\ns.Saver.safe_point = slow\n"
    process = lab_process(["run", *words("vae"), "--runs-dir", "runs"], slow, env=offline)
    wait_for(lambda: any(path.stat().st_size for path in Path("runs").rglob("metrics.jsonl")), process)
    wait_for(lambda: bool(wandb_processes(process.pid)), process)  # it starts beside the training
    victims = wandb_processes(process.pid)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Nothing is lost: the journal has every row" in err
    (folder,) = Path("runs").glob("*/*")
    assert differences(undisturbed.dir, folder) == []


# --- A resumed run on W&B: one id, and no row twice. ---


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the history rows of an offline run, as W&B prints them."""
    (run,) = folder.glob("*.wandb")
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run)],
        capture_output=True,
        text=True,
        check=True,
    )
    told = (json.loads(line) for line in done.stdout.splitlines())
    return [record["history"]["item"] for record in told if "history" in record]


def test_sync_sends_rows_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = run_killed("vae", 10)
    time.sleep(1.1)  # W&B names its folders by the second
    assert main(["resume", str(folder)]) == 0
    assert re.search(rf"lab sync \S*{folder.name}", capsys.readouterr().out)
    sessions = sorted((folder / "wandb").glob("offline-run-*"))
    assert len(sessions) == 2
    assert all(session.name.endswith(folder.name) for session in sessions), "the run keeps its id"

    time.sleep(1.1)
    sync(folder, mode="offline")
    (rebuilt,) = set((folder / "wandb").glob("offline-run-*")) - set(sessions)
    assert rebuilt.name.endswith(folder.name)
    sent = records(rebuilt)
    journal = list(read_journal(folder / "metrics.jsonl"))
    rows = [row for row in sent if "journal/row" in row]
    assert [row["journal/row"] for row in rows] == list(range(1, len(journal) + 1))
    for row, written in zip(rows, journal, strict=True):
        assert all(row[name] == value for name, value in written.items() if name not in ("time", "axis"))
    pictures = [row for row in sent if "journal/media" in row]
    assert len(pictures) == len(list(read_journal(folder / "media.jsonl"))) > 0


@pytest.mark.slow
def test_failed_sync_can_repeat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = run_undisturbed("vae", **{"trainer.max_epochs": 1})
    monkeypatch.delenv("WANDB_MODE")
    assert main(["sync", "--runs-dir", "undisturbed"]) == 2
    assert "there is no API key for Weights & Biases" in capsys.readouterr().err
    for name, value in online("http://127.0.0.1:9").items():
        if name.startswith("WANDB_"):
            monkeypatch.setenv(name, value)
    began = time.monotonic()
    with pytest.raises(SyncError, match="was not sent"):
        sync(run.dir)
    assert main(["sync", "--runs-dir", "undisturbed"]) == 1
    assert time.monotonic() - began < 90
    assert "was not sent" in capsys.readouterr().err
    assert [record.run_id for record in unsent(local_runs(Path("undisturbed")))] == [run.run_id]


@pytest.mark.fault(11)
@pytest.mark.parametrize("how", ["hang", pytest.param("500", marks=pytest.mark.slow)])
def test_dying_server_changes_nothing(server: WandbServer, how: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        undisturbed = run_undisturbed("vae")
    server.fail(how, only="file_stream|upload|Run$")
    with impatience(start=8):
        assert main(["run", *words("vae"), "--runs-dir", "runs"]) == 0
    (run,) = local_runs(Path("runs"))
    assert differences(undisturbed.dir, run.dir) == []
    assert (run.wandb or {})["problem"]
    assert [record.run_id for record in unsent([run])] == [run.run_id]
    server.recover()
    assert main(["sync", "--runs-dir", "runs"]) == 0
    check_whole(server, run.dir)


@pytest.mark.parametrize("lines", [0, pytest.param(1, marks=pytest.mark.slow)])  # the first come after 15 seconds
def test_killed_online_loses_nothing(server: WandbServer, lines: int) -> None:
    slow = "import time, lab.saving.saver as s\nreal = s.Saver.safe_point\n"
    slow += "def slow(*a, **k):\n    time.sleep(0.2)\n    real(*a, **k)\ns.Saver.safe_point = slow\n"
    longer = words("vae", **{"trainer.max_epochs": 3 + 9 * lines})
    process = lab_process(["run", *longer, "--runs-dir", "runs"], slow, start_new_session=True)
    arriving = (lambda: any(run.lines for run in server.runs.values())) if lines else (lambda: server.names()[3:])
    wait_for(arriving, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (run,) = local_runs(Path("runs"))
    there = server.runs[run.run_id]
    known = len(there.lines)
    assert lines <= known <= len(expected(run.dir))
    assert [record.run_id for record in unsent(local_runs(Path("runs")))] == [run.run_id]
    since = len(server.requests)
    assert main(["resume", "--runs-dir", "runs"]) == 0
    check_whole(server, run.dir)
    assert there.starts == 2
    assert sent_lines(server, since) == list(range(known, len(there.lines)))
