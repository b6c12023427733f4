"""Reads stories with questions, for `lab predict`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lab.data.files.text import decoded
from lab.data.inputs.given import Given
from lab.data.tokenizers.words import Words, words_of
from lab.errors import ConfigError, DataError, nearest

_SENTENCE = re.compile(r"[^.?\n]+\??")
"""Up to a full stop, a question mark or the end of a line."""


@dataclass(frozen=True)
class Questions:
    """Reads stories with questions as token ids, `(B, 1 + S, W)`: a question, then the sentences before it.

    A sentence ends with a full stop or its line, and a question with a question mark. Each question is about all
    sentences before it. An empty line begins a new story.

    Args:
        sentences: most of them that the model takes; of a longer story, the last ones are read.
        words: of the longest sentence that the model takes.
        tokenizer: of the stories that the model was trained on.
    """

    sentences: int
    words: int
    tokenizer: Words
    suffixes: ClassVar = (".txt",)

    def read(self, content: bytes, name: str) -> Given:
        """Return the questions of a file. Raises DataError where there is none or it is no text, ConfigError for words
        that the model does not know."""
        return self._given(decoded(content, name), name)

    def read_text(self, text: str) -> Given:
        """Return the questions of a text."""
        return self._given(text, "the text")

    def _given(self, text: str, name: str) -> Given:
        found, notes = [*self._questions(text, name)], list[str]()
        if not found:
            raise DataError(
                f"{name} has no question: expected sentences and then a question with a question mark, as in 'mary "
                "went to the garden. where is mary?'"
            )
        if longer := sum(len(story) > self.sentences for _, story in found):
            notes.append(
                f"{name}: {longer} of {len(found)} stories cut to the last {self.sentences} sentences, which is "
                "all that the model takes"
            )
        kept = [[asked, *story[-self.sentences :]] for asked, story in found]
        rows = torch.zeros(len(kept), max(map(len, kept)), self.words, dtype=torch.int64)
        for row, sentences in zip(rows, kept, strict=True):
            self._fill(row, sentences, name)
        labels = [{"question": asked} for asked, _ in found] if len(found) > 1 else [{}]
        return Given(rows, labels, notes)

    def _questions(self, text: str, name: str) -> Iterator[tuple[str, list[str]]]:
        """Yield each question with the sentences before it. Raises DataError where there are none."""
        for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
            story: list[str] = []
            for sentence in map(str.strip, _SENTENCE.findall(paragraph)):
                if sentence.endswith("?"):
                    if not story:
                        raise DataError(f"{name}: there is no sentence before the question {sentence!r}")
                    yield sentence, [*story]
                elif sentence:
                    story.append(sentence)

    def _fill(self, row: Tensor, sentences: Sequence[str], name: str) -> None:
        for place, sentence in enumerate(sentences):
            ids = self.tokenizer.encode(sentence)
            if len(ids) > self.words:
                raise ConfigError(
                    f"{name}: the model takes sentences of at most {self.words} words and signs, received {len(ids)} "
                    f"in {sentence!r}"
                )
            if Words.UNKNOWN in ids:
                known = self.tokenizer.known
                lacking = next(word for word in words_of(sentence) if word not in known)
                raise ConfigError(
                    f"{name}: {lacking!r} is none of the words of the stories that the model was trained on"
                    f"{nearest(lacking, known)}; known are {', '.join(sorted(known))}"
                )
            row[place, : len(ids)] = torch.tensor(ids)
