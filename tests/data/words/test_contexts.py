"""Words with their neighbours: which are paired, which are dropped, and that an epoch repeats."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lab.cli.options import require_named
from lab.data import Batch, WordContexts
from lab.data.inputs.reading import read_inputs
from lab.data.spec import Tokens
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")
LINE = "One two, three four five six seven eight nine ten; "


def prepared(folder: Path, text: str, **settings: float) -> WordContexts:
    path = folder / "text.txt"
    path.write_text(text)
    given = {"path": str(path), "batch_size": 16, "subsampling": 10.0, "window": 2} | settings
    data = WordContexts(**given)  # type: ignore[arg-type]
    data.prepare()
    return data


def pairs(data: WordContexts, batch: Batch) -> set[tuple[str, str]]:
    x, around = batch
    assert isinstance(x, Tensor)
    rows = zip(x[:, 0].tolist(), around.tolist(), strict=True)
    return {(data.words.known[w - 2], data.words.known[c - 2]) for w, row in rows for c in row if c >= 0}


def test_neighbours_are_at_most_a_window_away(tmp_path: Path) -> None:
    data = prepared(tmp_path, LINE * 60)
    order = LINE.lower().replace(",", "").replace(";", "").split()
    circle = order + order
    near = {(a, b) for a, b in pairwise(circle)} | {(a, b) for a, b in zip(circle, circle[2:], strict=False)}
    found = set().union(*(pairs(data, batch) for batch in data.test(CPU)))
    assert found == near | {(b, a) for a, b in near}
    assert set().union(*(pairs(data, batch) for batch in data.train(CPU, 0))) == found
    assert data.spec.target == Tokens(12, 4, -1, data.words)


def test_training_reaches_less_far_on_average(tmp_path: Path) -> None:
    data = prepared(tmp_path, LINE * 100)
    share = sum(batch.weight for batch in data.train(CPU, 0)) / data.train(CPU, 0).count / 4  # type: ignore[attr-defined]
    assert 0.68 < share < 0.82  # 3/4: half of the words have neighbours at one step alone


def test_frequent_words_are_dropped(tmp_path: Path) -> None:
    """As often as the paper says: `the` is half of this text, and 0.02 / 0.5 has the root 0.2."""
    text = " ".join(f"the {word}" for _ in range(200) for word in LINE.split())
    data = prepared(tmp_path, text, subsampling=0.02)
    the, total = data.words.known.index("the") + 2, 0
    batches, words = data.train(CPU, 0), []
    for batch in batches:
        assert isinstance(batch.inputs, Tensor)
        words.append(batch.inputs[:, 0])
    drawn, total = torch.cat(words), int(data.counts.sum())
    assert data.counts[the] * 2 == pytest.approx(total, rel=0.01)
    assert int((drawn == the).sum()) == pytest.approx(0.2 * total / 2, rel=0.25)


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    data = prepared(tmp_path, LINE * 60, subsampling=0.05)
    first, again = data.train(CPU, 3), data.train(CPU, 3)
    one, two = ([batch.inputs for batch in first] for _ in range(2))
    assert any(not torch.equal(a, b) for a, b in zip(one, two, strict=True))  # type: ignore[arg-type]
    again.load_state_dict({"epoch": 1, "batch": 4})
    rest = [batch.inputs for batch in again]
    assert all(torch.equal(a, b) for a, b in zip(two[4:], rest, strict=True))  # type: ignore[arg-type]
    tests = [[batch.targets for batch in data.test(CPU)] for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*tests, strict=True))


def test_words_of_the_test_are_not_learned(tmp_path: Path) -> None:
    data = prepared(tmp_path, LINE * 90 + "eleven " * 10)
    assert "eleven" not in data.words.known
    assert "one" in data.words.known


def test_short_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"part of text\.txt has . words that occur at least 5 times"):
        prepared(tmp_path, LINE * 6)
    with pytest.raises(ConfigError, match=r"data.subsampling of 1e-06 leaves about \d+ words of the training part"):
        prepared(tmp_path, LINE * 60, subsampling=1e-6)


def test_unknown_words_are_named(tmp_path: Path) -> None:
    reader = prepared(tmp_path, LINE * 60).spec.reader
    assert reader is not None
    assert reader.read(b"Seven\nten", "words.txt").labels == [{"word": "Seven"}, {"word": "ten"}]
    require_named(["seven"])
    ((name, given),) = read_inputs(["seven"], reader)
    assert (name, given.labels) == ("seven", [{}])
    with pytest.raises(ConfigError, match="knows 10 words, and 'sevn' is none of them; did you mean 'seven'"):
        reader.read(b"sevn", "words.txt")
    with pytest.raises(DataError, match=r"words.txt is empty"):
        reader.read(b" \n", "words.txt")


def test_size_of_the_validation_part_is_kept(tmp_path: Path) -> None:
    characters = len(LINE) * 60
    sizes = [len(prepared(tmp_path, LINE * 60, val_size=size)._parts[1]) for size in (500, 1_000)]
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)
    with pytest.raises(
        ConfigError, match=r"data\.val_size must be less than the .* of the training part, received 3,060"
    ):
        prepared(tmp_path, LINE * 60, val_size=characters)
