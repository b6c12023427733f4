"""Sentences as trees in brackets, as inputs of a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lab.data.files.bracketed import Bracketed, parse_tree
from lab.data.files.text import decoded
from lab.data.inputs.given import Given, padded
from lab.data.inputs.texts import unknown_words
from lab.data.tokenizers.words import Words
from lab.errors import DataError


@dataclass(frozen=True)
class Parses:
    """Reads sentences as trees in brackets, one on each line. Labels in them are not looked at.

    Args:
        length: most nodes that the model takes.
        tokenizer: of the words. An inner node has the id after its last one.
    """

    length: int
    tokenizer: Words
    suffixes: ClassVar = (".txt",)

    def read(self, content: bytes, name: str) -> Given:
        """Return the trees of a text. Raises DataError where a line is none, or is too long."""
        lines = [(place, line) for place, line in enumerate(decoded(content, name).split("\n"), 1) if line.strip()]
        read = [self._parsed(line, f"{name}, line {place}: ") for place, line in lines]
        return self._given(read, [{"line": place} for place, _ in lines], name)

    def read_text(self, text: str) -> Given:
        """Return one tree."""
        return self._given([self._parsed(text, "")], [{}], "the text")

    def tokens(self, tree: Bracketed) -> Tensor:
        """Return the token ids of the nodes of a tree, `(n,)`."""
        inner = len(self.tokenizer)
        return torch.tensor([inner if word is None else self.tokenizer.id_of(word) for word in tree.words])

    def _parsed(self, text: str, where: str) -> Bracketed:
        try:
            tree = parse_tree(text)
        except DataError as error:
            raise DataError(f"{where}{error}") from None
        if len(tree.words) > self.length:
            raise DataError(f"{where}the model takes at most {self.length} nodes, received {len(tree.words)}")
        return tree

    def _given(self, read: Sequence[Bracketed], labels: Sequence[dict[str, int]], name: str) -> Given:
        tokens, mask = padded([self.tokens(tree) for tree in read])
        parents, _ = padded([torch.tensor(tree.parents) for tree in read])
        words = [[word for word in tree.words if word is not None] for tree in read]
        notes = unknown_words(words, labels, self.tokenizer, name)
        return Given({"tokens": tokens, "parents": parents}, labels, notes, mask={"tokens": mask, "parents": mask})
