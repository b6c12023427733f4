"""Frequent words are tokens, and others are put together from parts: byte pair encoding."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from lab.console.wording import install
from lab.data.tokenizers.base import FILE, MARKS
from lab.errors import ConfigError
from lab.system.files import write_json
from lab.system.opening import parse_json


@dataclass(frozen=True)
class Subwords:
    """Byte pair encoding of texts in lower case (Sennrich et al. 2016), from bytes up (Radford et al. 2019), by the
    library `tokenizers`. As all bytes are tokens, no text is unknown. The first ids are `MARKS`.

    Args:
        known: the tokens, in the order of their ids. Letters in them stand for bytes, as GPT-2 has them; `Ġ` is a
            space.
        merges: pairs of tokens that become one, in the order in which they were learned, with a space in between.

    Raises ConfigError where the tokens are not those of the merges, or the library is not installed.
    """

    known: tuple[str, ...]
    merges: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], size: int) -> Self:
        """Return at most `size` tokens, learned from texts; the first merge is of the most frequent pair. Raises
        ConfigError where there is no room for all bytes."""
        trainers, alphabet = _library("trainers"), sorted(_library("pre_tokenizers").ByteLevel.alphabet())
        if size < (least := len(MARKS) + len(alphabet)):
            raise ConfigError(f"a vocabulary of subwords needs at least {least} tokens, received {size}")
        empty = _pieces(_library("models").BPE())
        special = {"special_tokens": [*MARKS], "initial_alphabet": alphabet}
        trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False, **special)
        empty.train_from_iterator((text.lower() for text in texts), trainer)
        ids = empty.get_vocab()
        known = sorted(ids, key=ids.__getitem__)
        pairs = parse_json(empty.to_str().encode())["model"]["merges"]  # there is no other way to them
        return cls(tuple(known), tuple(f"{left} {right}" for left, right in pairs))

    def __len__(self) -> int:
        return len(self.known)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self._pieces.encode(text.lower(), add_special_tokens=False).ids  # type: ignore[no-any-return]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        found = self._pieces.encode_batch([text.lower() for text in texts], add_special_tokens=False)
        return [one.ids for one in found]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids, without marks, and without the space before its first word."""
        text: str = self._pieces.decode([i for i in ids if i >= len(MARKS)])
        return text.removeprefix(" ")

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` into `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"schema": 1, "kind": "subwords", "known": [*self.known], "merges": [*self.merges]}
        write_json(folder / FILE, content)

    @cached_property
    def _pieces(self) -> Any:
        pairs = [tuple(merge.split(" ")) for merge in self.merges]
        try:
            model = _library("models").BPE({token: i for i, token in enumerate(self.known)}, pairs)
        except Exception as error:  # the library raises nothing more specific
            raise ConfigError(f"the tokens and merges do not belong together: {error}") from error
        return _pieces(model)


def _pieces(model: object) -> Any:
    """Return a tokenizer of the library's that splits a text at spaces and signs first, as GPT-2 does."""
    made = _library().Tokenizer(model)
    made.pre_tokenizer = _library("pre_tokenizers").ByteLevel(add_prefix_space=True)
    made.decoder = _library("decoders").ByteLevel()
    return made


def _library(part: str = "") -> Any:
    """Return the library, or a part of it. Raises ConfigError where it is not installed."""
    # Its threads would not keep to `--threads`, and it warns of processes that are forked after it has started them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return import_module(f"tokenizers.{part}" if part else "tokenizers")
    except ImportError as error:
        raise ConfigError(
            f"subwords need tokenizers, a package that is not installed; the extra text has it: {install('text')}"
        ) from error
