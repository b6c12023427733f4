"""Pairs of sentences: their batches, their vocabulary, and what stands in for them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lab.data import Translations
from lab.data.base import Batches
from lab.data.catalog import lookup
from lab.data.download import UnavailableError
from lab.data.parallel import translations
from lab.data.parallel.languages import ADJECTIVES, NOUNS, PLURAL, VERBS, languages
from lab.data.parallel.pairs import Pairs, read_pairs
from lab.data.parallel.translations import load_multi30k
from lab.data.tokenizers.base import END, PAD, START
from lab.errors import ConfigError, DataError
from tests.conftest import REAL_DATA

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> Translations:
    made = Translations(name="languages", vocab=300, batch_size=64)
    made.prepare()
    return made


def pairs_of(data: Translations, batches: Batches) -> list[tuple[str, str]]:
    found = []
    for batch in batches:
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.targets, Tensor)
        sides = (batch.inputs["source"].tolist(), batch.targets.tolist())
        found += [(data.subwords.decode(a), data.subwords.decode(b)) for a, b in zip(*sides, strict=True)]
    return found


def test_targets_follow_what_is_written(data: Translations) -> None:
    for batch in data.train(CPU, 0):
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.mask, dict)
        assert isinstance(batch.targets, Tensor)
        written, real = batch.inputs["written"], batch.mask["written"]
        assert torch.equal(written[:, 0], torch.full((len(batch),), START))
        assert torch.equal(real, batch.targets != PAD)
        assert batch.weight == real.sum()
        for row, target, source, inside in zip(
            written, batch.targets, batch.inputs["source"], batch.mask["source"], strict=True
        ):
            length = int((target != PAD).sum())
            assert torch.equal(row[1:length], target[: length - 1])
            assert target[length - 1] == END
            assert source[inside][-1] == END


def test_splits_are_those_of_the_loader(data: Translations) -> None:
    train, validation, test = languages().splits
    assert pairs_of(data, data.test(CPU)) == [*test]
    assert pairs_of(data, data.validation(CPU) or data.test(CPU)) == [*validation]
    assert sorted(pairs_of(data, data.train(CPU, 0))) == sorted(train)
    assert pairs_of(data, data.unchanged(CPU)) == [*train]


def test_vocabulary_is_of_the_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of validation and test alone are put together from letters."""
    rare = [("alone alone", "apart apart")] * 9
    monkeypatch.setitem(
        translations.LOADERS, "languages", lambda: Pairs(([("ta belu", "the dog")] * 9, rare, rare), "")
    )
    made = Translations(name="languages")
    made.prepare()
    known = set(made.subwords.known)
    assert {"Ġbelu", "Ġdog"} <= known
    assert not {"Ġal", "Ġap", "ne", "rt"} & known
    assert pairs_of(made, made.test(CPU)) == rare


def test_long_pairs_are_left_out_of_training() -> None:
    made = Translations(name="languages", longest=10)
    made.prepare()
    lengths = [len(made.subwords.encode(side)) for pair in languages().splits[0] for side in pair]
    longer = sum(max(pair) > 10 for pair in zip(lengths[::2], lengths[1::2], strict=True))
    assert longer
    assert sum(map(len, made.train(CPU, 0))) == 1_000 - longer
    assert sum(map(len, made.test(CPU))) == 100
    assert f"{longer} pairs" in made.notes[-1]
    with pytest.raises(DataError, match="no training pair has at most 1 tokens"):
        Translations(name="languages", longest=1).prepare()


def test_no_sentence_is_on_two_sides() -> None:
    sides = [{source for source, _ in split} for split in languages().splits]
    assert [*map(len, sides)] == [1_000, 100, 100]
    assert len(set().union(*sides)) == 1_200
    assert "nobody speaks it" in lookup("languages").title


def test_languages_follow_their_rules() -> None:
    """Every adjective and noun is translated, in its number; the verb ends the source, and follows the subject."""
    for source, target in (pair for split in languages().splits for pair in split):
        *words, verb, stop = source.split()
        said = target.split()
        assert stop == said[-1] == "."
        does = VERBS[verb.removesuffix("a")]
        assert ({"carries": "carry"}.get(does, does[:-1]) if verb.endswith("a") else does) in said
        for word in words:
            stem, several = word.removesuffix("im"), word.endswith("im")
            if stem in ADJECTIVES:
                assert ADJECTIVES[stem] in said
            elif stem in NOUNS:
                name = NOUNS[stem]
                assert (PLURAL.get(name, f"{name}s") if several else name) in said


def test_missing_sentences_are_replaced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object, **__: object) -> dict[str, Path]:
        raise UnavailableError("multi30k could not be downloaded (no connection)")

    monkeypatch.setattr(translations, "fetch", unavailable)
    made = Translations()
    made.prepare()
    assert made.info.name == "languages"
    assert made.info.fallback
    assert "nobody speaks it" in capsys.readouterr().err


def test_lines_end_at_line_feeds_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other signs that end a line elsewhere stand inside of captions."""
    files = {}
    for split in translations.SPLITS:
        for language in ("de", "en"):
            name = f"{split}.{language}.gz"
            files[name] = tmp_path / name
            files[name].write_bytes(gzip.compress(f"{language} eins\x85 \u2028zwei\n{language}\n".encode()))
    monkeypatch.setattr(translations, "fetch", lambda *_, **__: files)
    pairs = load_multi30k().splits[0]
    assert pairs == [("de eins\x85 \u2028zwei", "en eins\x85 \u2028zwei"), ("de", "en")]


def test_own_pairs_are_divided_by_their_source(tmp_path: Path) -> None:
    rows = [f"satz {i % 40}\tsentence {i}" for i in range(80)]
    (tmp_path / "mine.tsv").write_text("\n".join(["source\ttarget", *rows]))
    found = read_pairs(tmp_path / "mine.tsv")
    assert [*map(len, found.splits)] == [64, 8, 8]
    sides = [{source for source, _ in split} for split in found.splits]
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
    assert "8 pairs of 80 are tested and 8 validated" in found.notes[-1]
    made = Translations(path=str(tmp_path / "mine.tsv"), vocab=300)
    made.prepare()
    assert sorted(pairs_of(made, made.test(CPU))) == sorted(found.splits[2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("source,target\na,b\nc,\n", r"a text is missing in line 3; expected two in every row"),
        ("source,target\na,b\na,c\nb,d\n", r"has 2 different sources; expected at least 3"),
        ("de,en\na,b\nc,d\n", r"data\.source"),
    ],
)
def test_unfit_pairs_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises((ConfigError, DataError), match=message):
        read_pairs(tmp_path / "mine.csv")


def test_published_sentences_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_DATA is None or not (REAL_DATA / "multi30k").is_dir():
        pytest.skip("needs the captions: run `lab data fetch multi30k`, or set LAB_DATA_DIR")
    monkeypatch.setenv("LAB_DATA_DIR", str(REAL_DATA))
    found = load_multi30k()
    assert [*map(len, found.splits)] == [29_000, 1_014, 1_000]
    assert found.splits[2][0] == (
        "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
        "A man in an orange hat starring at something.",
    )
