"""Makes an experiment use the embedded stand-in of its data set, which needs no download, and little of generated
data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lab.config.imports import import_class
from lab.data.catalog import entries

FEW = {"data.train_size": 100, "data.val_size": 20, "data.test_size": 60, "data.batch_size": 10}


def small(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for an experiment with data, given what its YAML says; none where nothing stands in."""
    data = config.get("data") or {}
    settings = inspect.signature(import_class(data["class_path"], "data")).parameters if data else {}
    if "collected" in settings:
        return {"data.collected": None}
    name = data.get("init_args", {}).get("name", settings["name"].default) if "name" in settings else None
    few = FEW if set(FEW) <= {f"data.{one}" for one in settings} else {}
    return few | ({"data.name": entries()[name].stand_in} if name in entries() and entries()[name].stand_in else {})
