"""Compares what the W&B server received of a run with its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.runs.summary import read_summary
from lab.system.files import sha256
from lab.tracking.journal import METRICS, read_in_order
from tests.support.wandb_server import Received, WandbServer


def expected(folder: Path) -> list[dict[str, Any]]:
    """Return the history that the journal implies: media by their hash, and NaN as W&B writes it."""
    counts, rows = {"journal/row": 0, "journal/media": 0}, []
    for file, row in read_in_order(folder):
        counter = "journal/row" if file == METRICS else "journal/media"
        counts[counter] += 1
        values = {name: "NaN" if value is None else value for name, value in row.items() if "/" in name}
        if file != METRICS:
            values = {row["name"]: sha256(folder / "media" / row["file"])}
        rows.append({**values, row["axis"]: row[row["axis"]], counter: counts[counter]})
    return rows


def arrived(run: Received) -> list[dict[str, Any]]:
    """Return the history that the server has."""
    rows = []
    for line in run.rows:
        row = {name: value for name, value in line.items() if not name.startswith("_")}
        for name, value in row.items():
            if isinstance(value, dict):
                assert len(run.files[value["path"]]) == value["size"], "the picture itself has arrived"
                row[name] = value["sha256"]
        rows.append(row)
    return rows


def check_whole(server: WandbServer, folder: Path) -> Received:
    run = server.runs[read_summary(folder).run_id]
    assert arrived(run) == expected(folder)
    assert run.ended
    final = read_summary(folder)
    assert {name: run.summary[name] for name in final.metrics} == final.metrics
    assert run.summary["status"] == final.status
    return run


def axes(run: Received) -> dict[str, str]:
    """Return the axis on which W&B draws each group of metrics."""
    defined = run.config["_wandb"]["value"]["m"]
    return {entry["2"]: defined[entry["5"] - 1]["1"] for entry in defined if "5" in entry}


def sent_lines(server: WandbServer, since: int) -> list[int]:
    """Return the numbers of the history's lines in the requests from `since` on."""
    bodies = [json.loads(request.body) for request in server.requests[since:] if request.what == "file_stream"]
    chunks = [body["files"]["wandb-history.jsonl"] for body in bodies if "wandb-history.jsonl" in body.get("files", {})]
    return [number for chunk in chunks for number, _ in enumerate(chunk["content"], start=chunk["offset"])]
