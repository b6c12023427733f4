"""Byte pair encoding loses nothing, and follows from its training texts alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.base import MARKS
from lab.data.tokenizers.subwords import Subwords
from lab.errors import CheckpointError, ConfigError
from lab.saving.specs import spec_as_json, spec_from_json

TEXTS = ["the dog sees the small dog .", "A dog barks, and the dogs bark!", "the small ones bark"]
ODD = ["Größe ½ «so»  two spaces", "日本 🙂", "", "x"]


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.of(TEXTS, 290)


@pytest.mark.parametrize("text", [*TEXTS, *ODD])
def test_texts_come_back_in_lower_case(subwords: Subwords, text: str) -> None:
    assert subwords.decode(subwords.encode(text)) == text.lower()
    assert subwords.encode_all([text, "dog"])[0] == subwords.encode(text)


def test_frequent_words_are_one_token(subwords: Subwords) -> None:
    assert len(subwords.encode("the dog")) == 2
    assert len(subwords.encode("qzx")) == 4, "a space and three letters"


def test_marks_stand_for_no_text(subwords: Subwords) -> None:
    assert subwords.known[:3] == MARKS
    assert subwords.decode([1, *subwords.encode("dog"), 2, 0]) == "dog"
    assert 1 not in subwords.encode("<start>")


def test_same_texts_give_the_same_tokens(subwords: Subwords) -> None:
    assert Subwords.of(iter(TEXTS), 290) == subwords
    assert len(subwords) <= 290
    assert Subwords.of(TEXTS[::-1] * 2, 290).encode("the dog") != []


def test_bytes_need_their_room() -> None:
    with pytest.raises(ConfigError, match="needs at least 259 tokens, received 258"):
        Subwords.of(TEXTS, 258)


def test_saved_without_code(subwords: Subwords, tmp_path: Path) -> None:
    subwords.save(tmp_path / "there")
    written = json.loads((tmp_path / "there" / "tokenizer.json").read_text())
    assert Subwords(tuple(written["known"]), tuple(written["merges"])) == subwords


def test_spec_keeps_its_subwords(subwords: Subwords) -> None:
    spec = DataSpec(InputSpec((5,), "int64", vocab=len(subwords)), Tokens(len(subwords), 5, 0, subwords))
    form = spec_as_json(spec)
    assert form is not None
    assert spec_from_json(form) == spec
    form["target"]["tokenizer"]["merges"] = 3
    with pytest.raises(CheckpointError, match="merges of subwords is 3"):
        spec_from_json(form)


def test_foreign_merges_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not belong together"):
        Subwords((*MARKS, "a"), ("a b",)).encode("a")
