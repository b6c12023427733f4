"""What an encoder was trained on beside the form of its inputs, and whether that is what another model gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from lab.console.wording import shown, some
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.base import fingerprint
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.encoders.base import Encoder


@dataclass(frozen=True)
class TrainedOn:
    """What the weights of an encoder rely on.

    Args:
        prepared: how its inputs were prepared, such as `standardised by the training data`; None where it saw them as
            they are in the data.
        columns: names of the numbers in a row of a table; empty where they are not known.
        vocabulary: hash of what its token ids stand for; None where it sees none, or where that is not known.
    """

    prepared: str | None = None
    columns: tuple[str, ...] = ()
    vocabulary: str | None = None

    @classmethod
    def of(cls, encoder: Encoder, spec: DataSpec, prepared: str | None) -> Self:
        """Return what an encoder relies on that a model trains on data of such a spec."""
        form = encoder.spec
        parts = form.values() if isinstance(form, dict) else [form]
        columns = tuple(getattr(spec.reader, "features", ()))
        its_rows = isinstance(form, InputSpec) and form.shape[-1:] == (len(columns),)
        tokenizer = getattr(spec.reader, "tokenizer", None)
        if tokenizer is None and isinstance(spec.target, Tokens):
            tokenizer = spec.target.tokenizer
        words = fingerprint(tokenizer) if tokenizer is not None and any(part.vocab for part in parts) else None
        return cls(prepared, columns if its_rows else (), words)

    @classmethod
    def read(cls, values: Any) -> Self | None:
        """Return what `vars` of another one were in a file; None where it has no such entry, as earlier files have
        none. Raises ValueError where they are no such values."""
        if values is None:
            return None
        if isinstance(values, dict):
            prepared, columns, vocabulary = (values.get(name) for name in ("prepared", "columns", "vocabulary"))
            known = [one for one in (prepared, vocabulary) if one is not None]
            if isinstance(columns, list) and all(isinstance(one, str) for one in (*columns, *known)):
                return cls(prepared, tuple(columns), vocabulary)
        raise ValueError(f"trained_on is {shown(values)}")


def carried(encoder: Encoder, here: TrainedOn, settings: Mapping[str | None, str]) -> Sequence[str]:
    """Return what is unlike the training of an encoder, or of those inside it, that other models have trained, one
    sentence each.

    Args:
        encoder: of a new model.
        here: what that model gives it.
        settings: which setting of the model prepares inputs so, by the words for it; None for as they are.

    Raises ConfigError where token ids stand for other texts.
    """
    notes = dict[str, None]()
    for part in encoder.modules():
        before = getattr(part, "trained_on", None)
        if not isinstance(before, TrainedOn):
            continue
        if before.vocabulary and here.vocabulary and before.vocabulary != here.vocabulary:
            raise ConfigError(
                "the pretrained encoder was trained with another vocabulary, in which the same token ids stand for "
                "other texts: train it on texts with this vocabulary, or use an encoder that was not trained before"
            )
        if before.columns and here.columns and before.columns != here.columns:
            notes[
                f"the pretrained encoder was trained on {_named(before)}, and gets {_named(here)} in their places"
            ] = None
        if before.prepared != here.prepared:
            mend = f"; {settings[before.prepared]} prepares them as then" if before.prepared in settings else ""
            was, now = (_prepared(one.prepared) for one in (before, here))
            notes[f"the pretrained encoder was trained on inputs {was}, and gets them {now}{mend}"] = None
    return [*notes]


def _named(one: TrainedOn) -> str:
    return f"the columns {some([shown(name) for name in one.columns])}"


def _prepared(how: str | None) -> str:
    return "as they are in the data" if how is None else shown(how)
