"""A stand-in of the W&B server on the loopback interface: keeps what wandb 0.31 and wandb-workspaces 0.4 send, and can
answer 500, hang, cut connections off and lose answers.

What the clients ask was found by printing it. A history is kept as the real server keeps it, by line: a client that
sends some lines twice at the same offset overwrites them.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal
from urllib.parse import unquote, urlsplit

import pytest

KEY = "5t4nd1n" * 5 + "stand"
"""A key of 40 characters, like real ones."""
USER = "somebody"

Trouble = Literal["500", "hang", "cut", "lose", "404", "401"]
"""`cut` ends the connection unanswered, and forgets the request; `lose` does so after the request took effect."""


@dataclass
class Received:
    """A run on the server.

    Args:
        lines: of the history, by number.
        files: by name; what the last upload of each held.
    """

    id: str
    entity: str
    project: str
    group: str | None = None
    name: str | None = None
    sweep: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    starts: int = 0
    ended: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history in order. Raises AssertionError where a line is missing."""
        assert sorted(self.lines) == list(range(len(self.lines))), "the history has gaps"
        return [self.lines[i] for i in range(len(self.lines))]

    @property
    def settings(self) -> dict[str, Any]:
        """The config without the part that W&B adds."""
        return {name: entry["value"] for name, entry in self.config.items() if name != "_wandb"}


@dataclass(frozen=True)
class Request:
    """One request: its GraphQL operation, or its method and the first part of its path."""

    what: str
    body: bytes
    headers: str


class WandbServer:
    """`with WandbServer() as server:` answers at `server.url` until the block ends."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.runs: dict[str, Received] = {}
        self.views: list[dict[str, Any]] = []
        self.sweeps: dict[str, dict[str, Any]] = {}
        self.trials: list[dict[str, Any]] = []
        """Trials that an agent is given one after the other. Then it is told to exit."""
        self.projects: set[str] = set()
        self.requests: list[Request] = []
        self.trouble: tuple[Trouble, float, int, re.Pattern[str]] | None = None
        self.closing = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"server_state": self}))
        self.http.daemon_threads = True
        self.http.handle_error = lambda *what: None  # type: ignore[method-assign]  # clients that were killed
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> WandbServer:
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that a client needs."""
        return {"WANDB_MODE": "online", "WANDB_API_KEY": KEY, "WANDB_BASE_URL": self.url}

    def fail(self, how: Trouble, *, times: float = float("inf"), after: int = 0, only: str = "") -> None:
        """Fail in this way the next `times` requests whose name `only` matches, once `after` of them were answered."""
        with self.lock:
            self.trouble = (how, times, after, re.compile(only))

    def recover(self) -> None:
        """Answer again."""
        with self.lock:
            self.trouble = None

    def names(self) -> list[str]:
        """All requests in order."""
        with self.lock:
            return [request.what for request in self.requests]

    def received(self, request: Request) -> Trouble | None:
        """Record the request; return the fault to apply to it."""
        with self.lock:
            self.requests.append(request)
            if self.trouble is None or not self.trouble[3].search(request.what):
                return None
            how, times, after, only = self.trouble
            if after:
                self.trouble = (how, times, after - 1, only)
                return None
            self.trouble = (how, times - 1, 0, only) if times > 1 else None
            return how

    # --- GraphQL, by the operation's name ---

    def answer(self, operation: str, variables: dict[str, Any]) -> Any:
        name = "on_" + re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()  # upsertView: on_upsert_view
        handler: Callable[[dict[str, Any]], Any] | None = getattr(self, name, None)
        if handler is None:
            return {"errors": [{"message": f"the stand-in does not know {operation}"}]}
        with self.lock:
            return {"data": handler(variables)}

    def on_server_features_query(self, given: dict[str, Any]) -> Any:
        return {"serverInfo": {"features": []}}

    def on_viewer(self, given: dict[str, Any]) -> Any:
        teams: dict[str, Any] = {"edges": []}
        user = {"id": "VXNlcg==", "entity": USER, "username": USER, "email": f"{USER}@example.org", "flags": "{}"}
        return {"viewer": {**user, "name": USER, "admin": False, "deletedAt": None, "teams": teams, "apiKeys": teams}}

    on_get_viewer = on_get_default_entity = on_viewer

    def on_run_resume_status(self, given: dict[str, Any]) -> Any:
        run = self.runs.get(given["name"])
        model = {"id": "TW9kZWw=", "name": given["project"], "entity": {"id": "RQ==", "name": given["entity"] or USER}}
        return (
            {"model": {**model, "bucket": run and self._bucket(run)}}
            if given["project"] in self.projects
            else {"model": None}
        )

    def _bucket(self, run: Received) -> dict[str, Any]:
        tail = [json.dumps(run.lines[max(run.lines)])] if run.lines else []
        return {
            "id": f"run-{run.id}",
            "name": run.id,
            "displayName": run.name,
            "description": "",
            "sweepName": run.sweep,
            "project": {"id": "UA==", "name": run.project, "entity": {"id": "RQ==", "name": run.entity}},
            "config": json.dumps(run.config),
            "summaryMetrics": json.dumps(run.summary),
            "historyLineCount": len(run.lines),
            "historyTail": json.dumps(tail),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "tags": [],
            "notes": None,
            "wandbConfig": json.dumps({"t": 1}),
        }

    def on_upsert_bucket(self, given: dict[str, Any]) -> Any:
        project, entity = given["project"] or "uncategorized", given["entity"] or USER
        self.projects.add(project)
        new = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], Received(given["name"], entity, project))
        run.group, run.name = given["groupName"] or run.group, given["displayName"] or run.name or run.id
        run.sweep = given["sweep"] or run.sweep
        run.config |= json.loads(given["config"] or "{}")
        run.summary |= json.loads(given["summaryMetrics"] or "{}")
        run.starts += bool(given["displayName"] or new)
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": new}}

    def on_create_run_files(self, given: dict[str, Any]) -> Any:
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def on_run(self, given: dict[str, Any]) -> Any:
        run = self.runs.get(given["name"])
        if run is None:
            return {"project": None}
        keys = {"lastStep": len(run.lines) - 1, "keys": {}, "sets": []}
        own: dict[str, Any] = {"state": "finished" if run.ended else "running", "group": run.group, "historyKeys": keys}
        return {
            "project": {
                "internalId": "7",
                "run": {
                    **self._bucket(run),
                    **own,
                    "user": {"name": USER, "username": USER},
                    "createdAt": "2026-01-01T00:00:00Z",
                },
            }
        }

    def on_run_stopped_status(self, given: dict[str, Any]) -> Any:
        return {"project": {"run": {"stopped": False}}}

    def on_project_internal_id(self, given: dict[str, Any]) -> Any:
        there = given["projectName"] in self.projects
        return {"project": {"id": "UA==", "internalId": "7"} if there else None}

    def on_get_projects(self, given: dict[str, Any]) -> Any:
        about = {"__typename": "Project", "entityName": given["entity"], "createdAt": "2026-01-01T00:00:00Z"}
        nodes = [
            {**about, "id": f"P{name}", "name": name, "isBenchmark": False, "user": None} for name in self.projects
        ]
        end = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": end, "edges": [{"node": node} for node in nodes]}}

    def on_create_project(self, given: dict[str, Any]) -> Any:
        name = given["input"]["name"]
        self.projects.add(name)
        made = {
            "id": f"P{name}",
            "name": name,
            "entityName": USER,
            "description": "",
            "access": "USER_READ",
            "views": "{}",
        }
        return {"result": {"project": made, "model": made, "inserted": True}}

    def on_upsert_view(self, given: dict[str, Any]) -> Any:
        self.views.append({**given, "spec": json.loads(given["spec"])})
        project = {"id": "UA==", "name": given["projectName"], "entityName": given["entityName"]}
        kept = {key: given[key] for key in ("type", "name", "displayName", "description", "spec")}
        view = {**kept, "id": f"Vmlldzo{len(self.views)}", "project": project, "updatedAt": "2026-01-01T00:00:00Z"}
        return {"upsertView": {"view": view, "inserted": True}}

    # --- Sweeps: an agent registers, and is given one trial after the other ---

    def on_upsert_sweep(self, given: dict[str, Any]) -> Any:
        name = f"sweep{len(self.sweeps) + 1}"
        project = given["projectName"] or "uncategorized"
        self.projects.add(project)
        self.sweeps[name] = {"name": name, "project": project, "config": given["config"]}
        about = {"id": "UA==", "name": project, "entity": {"id": "RQ==", "name": USER}}
        return {"upsertSweep": {"sweep": {"name": name, "project": about}, "configValidationWarnings": []}}

    def on_sweep_with_runs(self, given: dict[str, Any]) -> Any:
        sweep = self.sweeps.get(given["sweep"])
        return {"project": {"sweep": sweep and {"id": f"S{sweep['name']}", **sweep, "runs": {"edges": []}}}}

    def on_create_agent(self, given: dict[str, Any]) -> Any:
        self.agent_of = given["sweep"]
        return {"createAgent": {"agent": {"id": "agent1"}}}

    def on_heartbeat(self, given: dict[str, Any]) -> Any:
        commands: list[dict[str, Any]] = []
        if not json.loads(given["runState"]):
            if self.trials:
                args = {name: {"value": value} for name, value in self.trials.pop(0).items()}
                run = f"trial{len(self.runs) + 1}"
                commands = [{"type": "run", "run_id": run, "program": None, "args": args}]
            else:
                commands = [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}}

    # --- Files ---

    def stream(self, run_id: str, body: dict[str, Any]) -> None:
        """Take lines of the history, each at its number, and the newest summary."""
        with self.lock:
            run = self.runs[run_id]
            for name, chunk in (body.get("files") or {}).items():
                if name == "wandb-history.jsonl":
                    for number, line in enumerate(chunk["content"], start=chunk["offset"]):
                        run.lines[number] = json.loads(line, parse_constant=str)  # W&B writes NaN as NaN
                elif name == "wandb-summary.json":
                    run.summary = json.loads(chunk["content"][-1], parse_constant=str)
            run.ended = run.ended or bool(body.get("complete"))

    def take(self, run_id: str, name: str, content: bytes) -> None:
        """Take an uploaded file."""
        with self.lock:
            self.runs[run_id].files[name] = content


@contextmanager
def impatience(start: float = 2) -> Iterator[None]:
    """Inside the block W&B gives up on a server within seconds; it waits `start` seconds for an answer."""
    from lab.report.wandb import publish
    from lab.tracking import wandb

    with pytest.MonkeyPatch.context() as patch:
        for name, seconds in {"START_TIMEOUT": start, "FINISH_TIMEOUT": 1, "CONFIRMATIONS": (0.0, 0.2)}.items():
            patch.setattr(wandb, name, seconds)
        patch.setattr(publish, "SECONDS", 2)
        yield


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ClassVar[WandbServer]

    def do_POST(self) -> None:
        state, body, path = self.server_state, self._body(), urlsplit(self.path).path
        parts = [unquote(part) for part in path.strip("/").split("/")]
        what, asked = f"{self.command} {parts[0]}", {}
        if path == "/graphql":
            asked = json.loads(body)
            what = re.findall(r"^\s*(?:query|mutation)\s+(\w+)", asked["query"], re.MULTILINE)[0]
        elif parts[-1] == "file_stream":
            what = "file_stream"
        trouble = state.received(Request(what, body, str(self.headers)))
        if trouble == "hang":
            state.closing.wait()
        if trouble in ("hang", "cut"):
            return self._cut()
        if trouble and trouble.isdigit():
            return self._send({"error": f"the stand-in was told to answer {trouble}"}, int(trouble))
        if what != "PUT upload" and not self._knows_the_key() and parts[0] != "sdk":
            return self._send({"error": "wrong API key"}, 401)
        reply: Any = {}
        if asked:
            reply = state.answer(what, asked.get("variables") or {})
        elif what == "file_stream":
            state.stream(parts[3], json.loads(body))
        elif what == "PUT upload":
            state.take(parts[1], "/".join(parts[2:]), body)
        if trouble == "lose":
            return self._cut()
        return self._send(reply)

    do_GET = do_PUT = do_POST  # noqa: N815  # the names are http.server's

    def _body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _knows_the_key(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given or "").decode() == f"api:{KEY}"

    def _send(self, reply: Any, code: int = 200) -> None:
        content = json.dumps(reply).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass
