"""Texts become token ids, and token ids texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.data.tokenizers.characters import Characters
from lab.data.tokenizers.words import Words, words_of
from lab.errors import ConfigError


def test_characters_come_back(tmp_path: Path) -> None:
    tokenizer = Characters.of("to be or not")
    assert tokenizer.decode(tokenizer.encode("not to be")) == "not to be"
    assert len(tokenizer) == 7
    tokenizer.save(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text())["known"] == " benort"
    with pytest.raises(ConfigError, match="the vocabulary has no 'q', 'u'; its 7 characters are ' benort'"):
        tokenizer.encode("quo")


def test_words_and_signs_are_tokens() -> None:
    assert words_of("It\N{RIGHT SINGLE QUOTATION MARK}s GOOD, isn't it?!") == [
        *("it's", "good", ",", "isn't", "it", "?", "!")
    ]
    assert words_of("rock-n-roll\x85 'quoted'") == ["rock", "-", "n", "-", "roll", "'", "quoted", "'"]


def test_frequent_words_are_known(tmp_path: Path) -> None:
    words = Words.of(["b a a", "c b a", "d"], fewest=2)
    assert words.known == ("a", "b")
    assert len(words) == 4
    assert words.encode("b x a") == [3, 1, 2]
    assert words.encode("") == [1], "a text has a word at least"
    assert words.decode([3, 1, 2, 0, 0]) == "b ? a"
    assert Words.of(["b a", "a b"]).known == ("a", "b"), "equals are in the order of their characters"
    words.save(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text())["known"] == ["a", "b"]
