"""The spec of a run's data as JSON. With it, what was trained predicts when the data are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lab.data.own.columns import Column, Columns
from lab.data.own.passages import Passage
from lab.data.own.ratings import Ids
from lab.data.own.steps import History
from lab.data.sets.tokenizers import Characters
from lab.data.spec import Classes, DataSpec, InputSpec, Tokens, Values
from lab.errors import CheckpointError

KINDS: dict[str, type] = {
    "data": DataSpec,
    "input": InputSpec,
    "classes": Classes,
    "values": Values,
    "tokens": Tokens,
    "characters": Characters,
    "text": Passage,
    "table": Columns,
    "column": Column,
    "series": History,
    "ratings": Ids,
}
"""What a spec may be made of, by its name in the file. No other class is named or imported by one."""
NAMES = {cls: name for name, cls in KINDS.items()}
PLAIN = (bool, int, float, str, type(None))


def spec_as_json(spec: DataSpec) -> dict[str, Any] | None:
    """Return a spec as JSON values; None where it holds an object of another class, such as a reader of the user's."""
    try:
        found: dict[str, Any] = _written(spec)
    except KeyError:
        return None
    return found


def spec_from_json(values: Any) -> DataSpec:
    """Return the spec that `spec_as_json` wrote. Raises CheckpointError where it is none."""
    try:
        spec = _read(values)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"the form of the data cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(spec, DataSpec):
        raise CheckpointError(f"the form of the data cannot be read: it is {type(spec).__name__}")
    return spec


def _written(value: Any) -> Any:
    """Return a value of a spec as JSON. Raises KeyError for a class that is not in KINDS."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, tuple | list):
        return [*map(_written, value)]
    if isinstance(value, Mapping):
        return {"parts": {key: _written(part) for key, part in value.items()}}
    kind = NAMES[type(value)]
    return {"kind": kind, **{one.name: _written(getattr(value, one.name)) for one in fields(value)}}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_read, value))
    if not isinstance(value, dict):
        return value
    if "parts" in value:
        return {key: _read(part) for key, part in value["parts"].items()}
    return KINDS[value["kind"]](**{key: _read(part) for key, part in value.items() if key != "kind"})
