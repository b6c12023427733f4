"""Trees computed depth by depth equal a recursion node by node, whatever else is in the batch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.encoders import InputSpec, Tree
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import ConfigError, DataError
from lab.nn.sequences.trees import levels

VOCAB, NODES = 9, 12
SPEC = {"tokens": InputSpec((NODES,), "int64", vocab=VOCAB), "parents": InputSpec((NODES,), "int64", vocab=NODES)}
SMALL = {"child_sum": {"embedding": 4}, "binary": {"embedding": 4}, "recursive": {}, "tensor": {}}
CELLS: list[Any] = list(SMALL)

Node = tuple[int, list[Any]]
"""A token and its children."""

TREES: list[Node] = [
    (1, [(2, [(3, []), (4, [])]), (5, [])]),
    (8, []),
    (7, [(1, [(2, [(3, [(4, []), (5, [])])])])]),
    (2, [(1, [(1, []), (1, [])]), (1, [(3, []), (3, [(6, []), (6, [(7, []), (8, [])])])])]),
]
WIDE: list[Node] = [*TREES, (1, [(2, []), (3, [(8, []), (8, []), (8, [])]), (4, []), (5, [])])]


def written(tree: Node, above: int = 0, before: int = 0) -> list[tuple[int, int]]:
    """Tokens and parents of a tree in pre-order; `above` is the place of its parent plus 1."""
    nodes = [(tree[0], above)]
    for child in tree[1]:
        nodes += written(child, before + 1, before + len(nodes))
    return nodes


def batch(trees: list[Node]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    rows = [torch.tensor(written(tree)) for tree in trees]
    # Padding is no tree: nothing may look at it.
    tokens, parents = torch.full((2, len(rows), max(map(len, rows))), 5)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, one in enumerate(rows):
        tokens[row, : len(one)], parents[row, : len(one)], mask[row, : len(one)] = *one.T, True
    return {"tokens": tokens, "parents": parents}, {"tokens": mask, "parents": mask}


def encoder(cell: Any, **settings: Any) -> Tree:
    torch.manual_seed(0)
    made = Tree(SPEC, cell=cell, width=6, **SMALL[cell] | settings)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def child_sum(cell: Any, x: Tensor, children: list[Any]) -> Any:
    """Equations 2 to 8 of Tai et al. 2015."""
    w_i, w_o, w_u, w_f = cell.own.weight.split(6)
    b_i, b_o, b_u, b_f = cell.own.bias.split(6)
    u_i, u_o, u_u = cell.summed.weight.split(6)
    h = sum((h for h, _ in children), torch.zeros(6))
    i, o = (w_i @ x + u_i @ h + b_i).sigmoid(), (w_o @ x + u_o @ h + b_o).sigmoid()
    c = i * (w_u @ x + u_u @ h + b_u).tanh()
    for h_k, c_k in children:
        c = c + (w_f @ x + cell.each.weight @ h_k + b_f).sigmoid() * c_k
    return o * c.tanh(), c


def binary(cell: Any, x: Tensor, children: list[Any]) -> Any:
    """Equations 9 to 14 of Tai et al. 2015."""
    (left, c_left), (right, c_right) = [*children, *[(torch.zeros(6), torch.zeros(6))] * 2][:2]
    w_i, w_o, w_u, w_f = cell.own.weight.split(6)
    b_i, b_o, b_u, b_f = cell.own.bias.split(6)

    def from_pair(weight: Tensor) -> Tensor:
        return weight @ torch.cat([left, right])

    u_i, u_o, u_u = cell.pair.weight.split(6)
    i, o = (w_i @ x + from_pair(u_i) + b_i).sigmoid(), (w_o @ x + from_pair(u_o) + b_o).sigmoid()
    c = i * (w_u @ x + from_pair(u_u) + b_u).tanh()
    for weight, c_k in zip(cell.each.weight.split(6), (c_left, c_right), strict=True):
        c = c + (w_f @ x + from_pair(weight) + b_f).sigmoid() * c_k
    return o * c.tanh(), c


def recursive(cell: Any, x: Tensor, children: list[Any]) -> Any:
    """Section 4.1 of Socher et al. 2013, and section 4.3 where there is a tensor."""
    if not children:
        return x, None
    pair = torch.cat([*[h for h, _ in children], torch.zeros(6)])[:12]
    added = cell.pair.weight @ pair
    if hasattr(cell, "forms"):
        added = added + torch.stack([pair @ cell.forms[:, feature] @ pair for feature in range(6)]) / len(pair)
    return (added + x).tanh(), None


RECURSIONS = {"child_sum": child_sum, "binary": binary, "recursive": recursive, "tensor": recursive}


def recursion(made: Tree, tree: Node, how: Any) -> tuple[Any, list[Tensor]]:
    """The state of a tree's root, and h of all its nodes in pre-order."""
    below = [recursion(made, child, how) for child in tree[1]]
    state = how(made.cell, made.embedding.weight[tree[0]], [state for state, _ in below])
    return state, [state[0], *[h for _, nodes in below for h in nodes]]


@pytest.mark.parametrize("cell", CELLS)
def test_equals_recursion(cell: Any) -> None:
    made = encoder(cell)
    trees = WIDE if cell == "child_sum" else TREES
    x, mask = batch(trees)
    features, roots = made.features(x, mask), made(x, mask)
    for row, tree in enumerate(trees):
        _, expected = recursion(made, tree, RECURSIONS[cell])
        torch.testing.assert_close(features[row, : len(expected)], torch.stack(expected), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(roots[row], expected[0], atol=1e-5, rtol=1e-5)
        assert not features[row, len(expected) :].any()


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_recursion(cell: Any) -> None:
    made = encoder(cell)
    parameters = list(made.parameters())
    found = torch.autograd.grad(made(*batch(TREES)).square().sum(), parameters)
    roots = torch.stack([recursion(made, tree, RECURSIONS[cell])[1][0] for tree in TREES])
    expected = torch.autograd.grad(roots.square().sum(), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_contract(cell: Any, tmp_path: Path) -> None:
    made = build_encoder(partial(Tree, cell=cell, width=6), SPEC)
    x, mask = batch(TREES)
    assert made(x, mask).shape == (4, 6)
    save_encoder(made, tmp_path)
    assert torch.equal(load_encoder(tmp_path)(x, mask), made(x, mask))


def test_cost_is_one_call_a_depth() -> None:
    made, calls = encoder("child_sum"), []
    made.cell.register_forward_hook(lambda cell, inputs, output: calls.append(len(output[0])))
    made(*batch(WIDE))
    assert calls == [4, 3, 10, 9, 5]


def test_levels_by_hand() -> None:
    x, mask = batch([TREES[0], (8, []), WIDE[-1]])
    roots, second, third = levels(x["parents"], mask["parents"])
    nodes = x["parents"].shape[1]
    assert roots.nodes.tolist() == [0, nodes, 2 * nodes]
    assert second.nodes.tolist() == [1, 4, *(2 * nodes + place for place in (1, 2, 6, 7))]
    assert second.parents.tolist() == [0, 0, 2, 2, 2, 2]
    assert second.ranks.tolist() == [0, 1, 0, 1, 2, 3]
    assert third.parents.tolist() == [0, 0, 3, 3, 3]
    assert third.ranks.tolist() == [0, 1, 0, 1, 2]


def test_order_of_children() -> None:
    """A sum has none; the others do."""
    first, second = batch([(1, [(2, []), (3, [])])]), batch([(1, [(3, []), (2, [])])])
    for cell in CELLS:
        made = encoder(cell)
        assert torch.allclose(made(*first), made(*second), atol=1e-6) == (cell == "child_sum")


def test_tree_of_padding_alone_is_zero() -> None:
    x, mask = batch(TREES)
    mask["parents"][1] = False
    assert not encoder("child_sum")(x, mask)[1].any()


@pytest.mark.parametrize("parents", [[[0, 1, 3]], [[0, 0, 1]], [[1, 1, 1]], [[0, 1, -1]]])
def test_no_trees_are_refused(parents: list[list[int]]) -> None:
    with pytest.raises(DataError, match=r"must be 0 for the root, which comes first, .* received"):
        levels(torch.tensor(parents))


def test_three_children_are_too_many() -> None:
    x, mask = batch(WIDE)
    with pytest.raises(DataError, match="at most 2 children, received 4"):
        encoder("binary")(x, mask)


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (SPEC["tokens"], {}, "needs the parts tokens and parents, .*; received one input"),
        ({"tokens": SPEC["tokens"]}, {}, "received the parts tokens"),
        (SPEC | {"parents": InputSpec((NODES,), "int64", vocab=3)}, {}, "with vocab 3"),
        (SPEC | {"tokens": InputSpec((NODES,))}, {}, "received tokens float32"),
        (SPEC, {"cell": "tensor", "embedding": 3}, "the cell tensor needs an embedding as wide as its nodes, 128"),
    ],
    ids=str,
)
def test_impossible_settings(spec: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tree(spec, **settings)


def random_tree(generator: torch.Generator, depth: int) -> Node:
    """Minima and maxima (1 and 2) of digits from 0 to 3 (3 to 6)."""

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most, (), generator=generator))

    if not depth or number(0, 3) == 0:
        return number(3, 7), []
    return number(1, 3), [random_tree(generator, depth - 1) for _ in range(2)]


def value(tree: Node) -> int:
    return (min if tree[0] == 1 else max)(map(value, tree[1])) if tree[1] else tree[0] - 3


def test_learns_nested_minima() -> None:
    """And maxima: which is within which matters."""
    generator = torch.Generator().manual_seed(0)
    trees = [(1 + number % 2, [random_tree(generator, 2) for _ in range(2)]) for number in range(600)]
    torch.manual_seed(0)
    made, head = Tree(SPEC | {"tokens": InputSpec((NODES,), "int64", vocab=7)}, width=32), nn.Linear(32, 4)
    optimizer = torch.optim.Adam([*made.parameters(), *head.parameters()], lr=2e-2)
    labels = torch.tensor([value(tree) for tree in trees])
    x, mask = batch(trees)
    train, test = slice(400), slice(400, None)
    cut = [({key: one[part] for key, one in both.items()}) for both in (x, mask) for part in (train, test)]
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(made(cut[0], cut[2])), labels[train])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    right = (head(made(cut[1], cut[3])).argmax(1) == labels[test]).float().mean()
    assert right > 0.9 > 1.5 * labels[test].bincount().max() / 200
