"""A text of the user's own is a file or a folder; what is too short says how long it has to be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lab.data import Text
from lab.data.own.texts.passages import Passage, read_text
from lab.data.tokenizers.characters import Characters
from lab.errors import ConfigError, DataError


def test_folder_is_one_text(tmp_path: Path) -> None:
    for name, text in (("b.txt", "second\r\n"), ("a.txt", "\ufefffirst\n\n"), (".c.txt", "hidden"), ("d.md", "other")):
        (tmp_path / name).write_bytes(text.encode())
    found = read_text(tmp_path)
    assert found.text == "first\n\nsecond"
    assert found.notes[1].endswith("left out, since they do not end in .txt: 1")
    before = found.sha256
    (tmp_path / "b.txt").write_text("another")
    assert read_text(tmp_path).sha256 != before
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"a\.txt is not UTF-8: line 1 has the byte 0xFF"):
        read_text(tmp_path)


def test_folder_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a text file, or a folder of \.txt files, but .* holds no files"):
        read_text(tmp_path)
    (tmp_path / "a.md").write_text("x")
    with pytest.raises(DataError, match=r"has no \.txt files, but others, such as a\.md"):
        read_text(tmp_path)


def test_text_of_one_character_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a" * 5_000)
    with pytest.raises(DataError, match=r"a\.txt has one character alone, 'a', so there is nothing to predict"):
        Text(path=str(tmp_path / "a.txt")).prepare()


def test_short_texts_say_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    for length, enough in ((142, False), (143, True)):
        path.write_text("ab" * (length // 2) + "a" * (length % 2))
        data = Text(path=str(path), val_size=0)
        if enough:
            data.prepare()
            assert data.info.name == "own.txt"
        else:
            with pytest.raises(ConfigError, match=r"need a text of at least 143 characters, .*own\.txt has 142"):
                data.prepare()


def test_end_of_a_text_is_read() -> None:
    passage = Passage(4, Characters("abc\n"))
    given = passage.read(b"aabca\r\n", "t.txt")
    assert isinstance(given.inputs, torch.Tensor)
    assert given.inputs.tolist() == [[1, 2, 0, 3]]
    assert "the 2 before are left out" in given.notes[0]
    assert passage.read(b"ab", "t.txt").inputs.shape == (1, 2)  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"t\.txt: the vocabulary has no 'x'"):
        passage.read(b"abx", "t.txt")
