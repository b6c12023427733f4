"""The spec of a run's data as JSON. With it, what was trained predicts when the data are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from lab.console.wording import shown
from lab.data.generated.expressions import Expressions
from lab.data.inputs.trees import Parses
from lab.data.own.columns import Column, Columns
from lab.data.own.ratings import Ids
from lab.data.own.steps import History
from lab.data.own.texts.documents import Documents
from lab.data.own.texts.lines import Lines
from lab.data.own.texts.passages import Passage
from lab.data.own.texts.questions import Questions
from lab.data.spec import Boxes, Classes, DataSpec, InputSpec, Masks, Tags, Tokens, Values
from lab.data.tokenizers.characters import Characters
from lab.data.tokenizers.names import Names
from lab.data.tokenizers.subwords import Subwords
from lab.data.tokenizers.words import Words
from lab.data.words.reader import Vocabulary
from lab.errors import CheckpointError

KINDS: dict[str, type] = {
    "data": DataSpec,
    "input": InputSpec,
    "classes": Classes,
    "values": Values,
    "tokens": Tokens,
    "tags": Tags,
    "masks": Masks,
    "boxes": Boxes,
    "characters": Characters,
    "names": Names,
    "words": Words,
    "subwords": Subwords,
    "text": Passage,
    "texts": Documents,
    "vocabulary": Vocabulary,
    "questions": Questions,
    "lines": Lines,
    "trees": Parses,
    "expressions": Expressions,
    "table": Columns,
    "column": Column,
    "series": History,
    "ratings": Ids,
}
"""What a spec may be made of, by its name in the file. No other class is named or imported by one."""
NAMES = {cls: name for name, cls in KINDS.items()}
PLAIN = (bool, int, float, str, type(None))
PROTOCOLS = {
    "Reader": Passage | Documents | Lines | Vocabulary | Questions | Parses | Expressions | Columns | History | Ids,
    "Tokenizer": Characters | Names | Words | Subwords,
}
"""What may stand for them in a file."""


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
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
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
    cls = KINDS[value["kind"]]
    made = cls(**{key: _read(part) for key, part in value.items() if key != "kind"})
    for name, hint in _hints(cls).items():  # or what uses it would fail with an error that says nothing
        if not _fits(getattr(made, name), hint):
            raise TypeError(f"{name} of {value['kind']} is {shown(getattr(made, name))}")
    if isinstance(made, Tokens) and made.tokenizer is not None and len(made.tokenizer) < made.vocab:
        raise ValueError(f"there are {made.vocab} tokens, and {len(made.tokenizer)} of them are known")
    if isinstance(made, DataSpec) and isinstance(made.reader, Documents | Lines | Vocabulary | Questions):
        form = made.input if isinstance(made.input, InputSpec) else made.input.get("source")
        vocab = form.vocab if form else None
        if vocab != len(made.reader.tokenizer):
            raise ValueError(f"the model takes {vocab} token ids, and texts are read as {len(made.reader.tokenizer)}")
    return made


@cache
def _hints(cls: type) -> dict[str, Any]:
    """Return the types of a class's fields."""
    found = get_type_hints(cls, localns=PROTOCOLS)
    return {one.name: found[one.name] for one in fields(cls)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of one of the types that fields of a spec have."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    return isinstance(value, (int, float) if hint is float else hint) and (type(value) is not bool or hint is bool)
