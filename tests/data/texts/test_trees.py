"""Data sets of trees: expressions and what they make, rated sentences, and how both are read."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

import pytest
import torch

from lab.data import ListOps, Treebank
from lab.data.base import Batches
from lab.data.catalog import lookup
from lab.data.files.bracketed import parse_tree
from lab.data.generated.expressions import (
    NAMES,
    Expressions,
    applied,
    as_tree,
    depth_of,
    expressions,
    parsed,
    parts_of,
    root_alone,
    value_of,
)
from lab.data.inputs.trees import Parses
from lab.data.sets import treebank
from lab.data.sets.treebank import load_sst, load_templates
from lab.data.spec import Tags
from lab.data.tokenizers.words import Words
from lab.errors import ConfigError, DataError
from lab.saving.specs import spec_as_json, spec_from_json
from tests.conftest import REAL_DATA

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "value", "depth", "alone"),
    [
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9, 2, 9),
        ("[SM [SM 8 7 ] 9 9 9 ]", 2, 2, 7),
        ("[MED 1 8 [MED 3 4 ] 9 ]", 5, 2, 8),
        ("[MIN [MAX [SM 1 1 ] 1 ] [SM 5 5 ] ]", 0, 3, 0),
    ],
)
def test_values_of_expressions(text: str, value: int, depth: int, alone: int) -> None:
    expression = parsed(text)
    assert (value_of(expression), depth_of(expression), root_alone(expression)) == (value, depth, alone)


def test_median_is_that_of_statistics() -> None:
    median = NAMES.index("[MED")
    for one in ((3,), (9, 2), (5, 1, 8), (7, 7, 0, 4), (1, 2, 3, 4)):
        assert applied(median, one) == int(statistics.median(one))


def test_expressions_keep_their_bounds() -> None:
    """In tokens, in depth, and in how often they stand; what a tree has is what is written."""
    found = expressions(400, 0)
    assert len({*found}) == 400
    assert {len(one) for one in found} <= {*range(8, 61)}
    assert Counter(map(depth_of, found)).keys() == {2, 3, 4}
    assert found == expressions(400, 0)
    assert not {*expressions(100, 0, found)} & {*found}
    reader = Expressions("tree", 60)
    for one in found[:50]:
        text = " ".join(NAMES[token] for token in one)
        assert tuple(parsed(text)) == one
        assert reader.written(reader.parts(one)) == text


def test_parts_of_expression() -> None:
    whole = "[SM 4 [MAX 1 2 3 ] [MIN [MED 5 6 ] 7 ] ]"
    two = "[MIN [MED 5 6 ] 7 ]"
    parts = [tuple(parsed(one)) for one in ("[MAX 1 2 3 ]", two, whole)]
    assert parts_of(parsed(whole)) == parts
    longer = "[MAX [MIN 1 2 3 4 ] [SM 1 [SM 2 3 ] ] ]"
    assert parts_of(parsed(longer), {tuple(parsed("[MIN 1 2 3 4 ]"))})[0] == tuple(parsed("[SM 2 3 ]"))
    for one in expressions(50, 3):
        parts = parts_of(one)
        assert all(1 <= depth_of(part) <= most for most, part in enumerate(parts, 1))
        assert [len(part) for part in parts] == sorted(len(part) for part in parts)
        assert all(" ".join(map(str, part)) in " ".join(map(str, one)) for part in parts)
        assert (len(parts), parts[-1]) == (depth_of(one), one)


def test_curriculum_begins_with_shallow_parts() -> None:
    """Each epoch has a part of each expression, and an epoch that was saved goes on as it would have."""
    data = ListOps(train_size=60, val_size=10, test_size=10, batch_size=20, curriculum=2)
    data.prepare()
    batches = data.train(CPU, 0)
    depths = []
    for _ in range(9):
        seen = [data.reader.written({key: row[key].tolist() for key in row}) for row in _rows(batches)]
        assert len(seen) == 60
        depths.append(max(depth_of(parsed(one)) for one in seen))
    assert depths == [1, 1, 2, 2, 3, 3, 4, 4, 4]
    again = data.train(CPU, 0)
    again.load_state_dict({"epoch": 3, "batch": 1})
    fresh = data.train(CPU, 0)
    fresh.load_state_dict({"epoch": 3, "batch": 0})
    wanted = list(fresh)[1:]
    for ours, theirs in zip(again, wanted, strict=True):
        assert torch.equal(ours.targets, theirs.targets)  # type: ignore[arg-type]


def _rows(batches: Batches) -> Iterator[dict[str, torch.Tensor]]:
    for batch in batches:
        inputs, mask = batch.inputs, batch.mask
        assert isinstance(inputs, dict)
        assert isinstance(mask, dict)
        for row in range(len(batch)):
            yield {key: part[row][mask[key][row]] for key, part in inputs.items()}


def test_tree_of_expression() -> None:
    tokens, parents = as_tree(parsed("[MAX 2 [MIN 4 7 ] 0 ]"))
    assert [NAMES[token] for token in tokens] == ["[MAX", "2", "[MIN", "4", "7", "0"]
    assert parents == [0, 1, 1, 3, 3, 1]


@pytest.mark.parametrize(
    "text", ["[MAX ]", "[MAX 2", "2", "[MAX 2 ] ]", "[MAX 2 ] 3", "] [MAX 2", "", "[SM [MIN ] 2 ]"]
)
def test_no_expression_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"such as \[MAX 2 9 \]"):
        parsed(text)


def test_slips_in_expressions_are_told() -> None:
    with pytest.raises(DataError, match=r"received '\[MX'; did you mean '\[MAX'"):
        parsed("[MX 2 3 ]")
    with pytest.raises(DataError, match=r"lists, line 2: the model takes at most 3 nodes, received 4"):
        Expressions("tree", 3).read(b"[MAX 1 2]\n[MAX 1 2 3]", "lists")


def test_lists_come_in_both_forms() -> None:
    made = [ListOps(form=form, train_size=50, val_size=5, test_size=20) for form in ("tree", "flat")]
    for data in made:
        data.prepare()
        assert spec_from_json(spec_as_json(data.spec)) == data.spec
    trees, flat = (list(data.test(CPU)) for data in made)
    assert torch.equal(trees[0].targets, flat[0].targets)  # type: ignore[arg-type]
    assert made[0].info == made[1].info
    assert isinstance(trees[0].inputs, dict)
    assert made[0].spec.input["tokens"].vocab == len(NAMES) - 1  # type: ignore[index]
    every = [{*part} for part in made[0].parts]
    assert not every[0] & every[2]
    assert not every[1] & every[2]


def test_tree_in_brackets() -> None:
    tree = parse_tree("(3 (2 a) (3 (3 Good) (2 film)))")
    assert tree.words == [None, "a", None, "Good", "film"]
    assert tree.parents == [0, 1, 1, 3, 3]
    assert tree.labels == ["3", "2", "3", "3", "2"]
    assert tree.text == "a Good film"
    bare = parse_tree("((a) ((Good) (film)))")
    assert (bare.words, bare.parents) == (tree.words, tree.parents)


@pytest.mark.parametrize(
    "text",
    ["a good film", "(3 (2 a) (3 good)", "(3 (2 a))", "((a) (b) (c))", "(2 a))", "(2 a) (2 b)", "()", "", "(" * 600],
)
def test_no_tree_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="a sentence is given as a tree of two parts at each inner node"):
        parse_tree(text)


def test_long_trees_are_refused() -> None:
    with pytest.raises(DataError, match="x, line 1: the model takes at most 2 nodes, received 3"):
        Parses(2, Words(("a",))).read(b"(2 (2 a) (2 b))", "x")


def test_unknown_words_of_trees_are_named() -> None:
    assert Parses(3, Words(("a",))).read(b"(2 (2 a) (2 b))", "x").notes == [
        "x: 1 of 2 words unknown to the model ('b')"
    ]


def test_reviews_are_rated_in_each_part() -> None:
    data = Treebank(name="tree-templates")
    data.prepare()
    (batch,) = data.test(CPU)
    assert isinstance(batch.inputs, dict)
    assert isinstance(batch.targets, torch.Tensor)
    assert isinstance(batch.mask, dict)
    real = batch.mask["tokens"]
    assert torch.equal(batch.targets == Tags.NONE, ~real)
    assert {*batch.targets[real].tolist()} == {0, 1, 2, 3, 4}
    inner = batch.inputs["tokens"] == len(data.spec.reader.tokenizer)  # type: ignore[union-attr]
    assert torch.equal((inner & real).sum(1) * 2 + 1, real.sum(1)), "binary trees"
    assert spec_from_json(spec_as_json(data.spec)) == data.spec
    assert "nobody wrote" in lookup("tree-templates").title


def test_neutral_sentences_are_left_out() -> None:
    data = Treebank(name="tree-templates", classes=2)
    data.prepare()
    kept = [tree for tree in load_templates().splits[2] if tree.labels[0] != "2"]
    (batch,) = data.test(CPU)
    assert isinstance(batch.targets, torch.Tensor)
    assert batch.targets[:, 0].tolist() == [int(int(tree.labels[0]) > 2) for tree in kept]


def test_flat_sentences_are_those_of_trees() -> None:
    data = Treebank(name="tree-templates", form="flat")
    data.prepare()
    (batch,) = data.test(CPU)
    trees = load_templates().splits[2]
    assert isinstance(batch.targets, torch.Tensor)
    assert batch.targets.tolist() == [int(tree.labels[0]) for tree in trees]
    words = data.spec.reader.tokenizer  # type: ignore[union-attr]
    assert [words.decode(row) for row in batch.inputs.tolist()] == [tree.text for tree in trees]  # type: ignore[union-attr]


def test_words_are_dropped_in_training_alone() -> None:
    data = Treebank(name="tree-templates", word_dropout=0.4)
    data.prepare()
    shares = []
    for batches in (data.train(CPU, 0), data.unchanged(CPU)):
        seen = [batch.inputs["tokens"][batch.mask["tokens"]] for batch in batches]  # type: ignore[index]
        tokens = torch.cat(seen)
        leaves = tokens[tokens != data.inner]
        shares.append(float((leaves == Words.UNKNOWN).float().mean()))
    assert shares == [pytest.approx(0.4, abs=0.03), 0]


def test_other_ratings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"data\.name must be one of sst, tree-templates"):
        Treebank(name="stt")
    monkeypatch.setattr(treebank, "members", lambda *_, **__: dict.fromkeys(("train.txt", "dev.txt"), b"(5 a)\n"))
    with pytest.raises(DataError, match="each part of a sentence must be rated from 0 to 4"):
        load_sst()


def test_published_trees_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_DATA is None or not (REAL_DATA / "sst").is_dir():
        pytest.skip("needs the treebank: run `lab data fetch sst`, or set LAB_DATA_DIR")
    monkeypatch.setenv("LAB_DATA_DIR", str(REAL_DATA))
    told = load_sst()
    assert [len(part) for part in told.splits] == [8_544, 1_101, 2_210]
    assert [sum(tree.labels[0] != "2" for tree in part) for part in told.splits] == [6_920, 872, 1_821]
    assert told.sha256 == lookup("sst").sha256
