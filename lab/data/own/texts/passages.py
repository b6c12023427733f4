"""Texts of the user's own: a file, or the text files of a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch

from lab.data.files.text import decoded
from lab.data.inputs.given import Given
from lab.data.own.kinds import require_kind
from lab.errors import DataError, LabError
from lab.system.memory import require_memory

if TYPE_CHECKING:
    from lab.data.tokenizers.base import Tokenizer


TOKENS = 20  # bytes of memory for each character: the text, a list of token ids, and a tensor of them


class Written(NamedTuple):
    """A text, its hash, and what its user should know, one sentence each."""

    text: str
    sha256: str
    notes: tuple[str, ...] = ()


def read_text(path: Path) -> Written:
    """Read a file, or all `.txt` files of a folder, in the order of their names with an empty line between them.

    Line ends become `\\n`. Raises ConfigError where the path holds other data, DataError where there is no text, or
    where a file is not UTF-8.
    """
    require_kind(path, "text")
    if not path.is_dir():
        return Written(*_passage(path))
    every = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
    texts = [one for one in every if one.suffix.lower() == ".txt"]
    if not texts:
        raise DataError(f"{path} has no .txt files" + (f", but others, such as {every[0].name}" if every else ""))
    passages = [_passage(one) for one in texts]
    digest = hashlib.sha256("".join(sha256 for _, sha256 in passages).encode()).hexdigest()
    notes = [f"{path.name}: {len(texts)} files, read in the order of their names"]
    if len(every) > len(texts):
        notes.append(f"{path.name}: left out, since they do not end in .txt: {len(every) - len(texts)}")
    return Written("\n\n".join(text.strip("\n") for text, _ in passages), digest, tuple(notes))


@dataclass(frozen=True)
class Passage:
    """Reads the end of a text as token ids, `(1, T)`, T at most `block`.

    Args:
        block: most tokens that the model sees.
        tokenizer: of the text that it was trained on.
    """

    block: int
    tokenizer: Tokenizer
    suffixes: ClassVar = (".txt",)

    def read(self, content: bytes, name: str) -> Given:
        """Return the last tokens. Raises DataError where it is no text, or where the vocabulary lacks a part of it."""
        text = _unified(decoded(content, name))
        try:
            ids = self.tokenizer.encode(text)
        except LabError as error:
            raise DataError(f"{name}: {error}") from error
        left_out = len(ids) - self.block
        notes = []
        if left_out > 0:
            notes.append(
                f"{name}: the prediction follows its last {self.block} tokens, which is all that the model sees; the "
                f"{left_out:,} before are left out"
            )
        return Given(torch.tensor(ids[-self.block :])[None], [{}], notes)


def _passage(path: Path) -> tuple[str, str]:
    """Return the text of a file and its hash."""
    try:
        require_memory(TOKENS * path.stat().st_size, f"the characters of {path.name} need")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return _unified(decoded(content, path.name)), hashlib.sha256(content).hexdigest()


def _unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
