"""The user's own sentences with a tag at each word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lab.cli.main import main
from lab.data import Tagged
from lab.data.own.texts.tagged import read_tagged
from lab.data.spec import Tags
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")
EUROPE = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O

# sent_id = 2
Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
"""


def conll(*sentences: str) -> Path:
    path = Path("own.conll")
    path.write_text("\n\n".join("\n".join(one.split("; ")) for one in sentences))
    return path


def tags(*sentences: str) -> list[str]:
    """The tags of all sentences, read from a file, in the order of their first words."""
    found = read_tagged(conll(*sentences)).splits
    every = sorted((one for part in found for one in part), key=lambda one: one.words)
    return [" ".join(one.tags) for one in every]


def test_columns_comments_and_documents() -> None:
    Path("own.conll").write_text(EUROPE + "\nBRUSSELS NNP I-NP I-LOC\n\n\nok UH O O\n")
    loaded = read_tagged(Path("own.conll"))
    every = {one.words: one.tags for part in loaded.splits for one in part}
    assert every == {
        ("EU", "rejects", "German", "call"): ("B-ORG", "O", "B-MISC", "O"),
        ("Peter", "Blackburn"): ("B-PER", "I-PER"),
        ("BRUSSELS",): ("B-LOC",),
        ("ok",): ("O",),
    }
    assert loaded.notes == ["1 sentence of 4 are tested and 1 validated: a tenth of the different ones each, chosen by "
                            "a hash of them"]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("a B-x; b I-x; c B-x; d O", "B-x I-x B-x O"),
        ("a I-x; b I-x; c I-y; d O", "B-x I-x B-y O"),  # as CoNLL 2003 has it
        ("a B-x; b I-x; c E-x; d S-x", "B-x I-x I-x B-x"),
        ("a B-x; b L-x; c U-x; d O", "B-x I-x B-x O"),
        ("a B-new-york; b I-new-york; c O; d O", "B-new-york I-new-york O O"),
    ],
)
def test_schemes_become_one(given: str, wanted: str) -> None:
    assert tags(given, "x O; y O", "z O; z O")[0] == wanted


def test_copies_stay_in_one_part() -> None:
    sentences = [f"word{i % 40} O; said O; ada B-name" for i in range(120)]
    splits = read_tagged(conll(*sentences)).splits
    parts = [{one.words for one in part} for part in splits]
    assert [len(part) for part in parts] == [32, 4, 4]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert sum(map(len, splits)) == 120


@pytest.mark.parametrize(
    ("sentences", "sentence"),
    [
        (["a B-x; b"], r"own.conll, line 2: expected a word and its tag, received 'b' alone"),
        (["a NOUN"], r"own.conll, line 1: expected O, B-NAME or I-NAME in the last column, received 'NOUN'"),
        (["a B-x", "b O"], r"own.conll has 2 different sentences; expected at least 3"),
        ([""], r"^own\.conll is empty$"),
    ],
)
def test_other_files_are_refused(sentences: list[str], sentence: str) -> None:
    path = conll(*sentences)
    with pytest.raises(DataError, match=sentence):
        read_tagged(path)


def test_a_text_is_no_file_of_tags() -> None:
    Path("novel.txt").write_text("It was a dark night.")
    with pytest.raises(ConfigError, match=r"expected a \.conll file with a word and its tag in each line, but .* text"):
        Tagged(path="novel.txt").prepare()


def test_own_sentences_are_batches_of_words_and_tags() -> None:
    sentences = [f"Mr O; Lund{i} B-name; paid O; {i} B-amount; euros I-amount" for i in range(30)]
    data = Tagged(path=str(conll(*sentences)), batch_size=4)
    data.prepare()
    assert isinstance(data.spec.target, Tags)
    assert data.spec.target.names == ("O", "B-amount", "I-amount", "B-name")
    batch = next(iter(data.train(CPU, 0)))
    assert isinstance(batch.targets, torch.Tensor)
    assert batch.targets.tolist() == [[0, 3, 0, 1, 2]] * 4
    (tested,) = data.test(CPU)
    assert isinstance(tested.inputs, torch.Tensor)
    assert (tested.inputs[:, 1] == data.words.UNKNOWN).all(), "names that training lacks"


@pytest.mark.slow
def test_a_run_on_own_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    path = conll(*[f"Mr O; Lund{i} B-name; paid O; {i} B-amount; euros I-amount" for i in range(60)])
    assert main(["data", "show", str(path)]) == 0
    assert f"lab run tag-crf --data.path={path}" in capsys.readouterr().out
    assert main(["run", "tag-crf", f"--data.path={path}", "--fast-dev-run", "--threads=1"]) == 0
