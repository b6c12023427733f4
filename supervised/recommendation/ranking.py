"""How well items are ordered for each user: measures of the first ones, for any method that scores items."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches

FIRST = 10  # items of a list that are looked at
MOST_USERS, TOGETHER = 2_000, 128
"""Users whose lists are judged, and of these how many at once."""


class Table(NamedTuple):
    """Users and items `(N,)`, their ratings `(N,)`, and the numbers of users and items."""

    users: Tensor
    items: Tensor
    ratings: Tensor
    sizes: tuple[int, int]

    def of(self, users: Tensor) -> Tensor:
        """Return the ratings of all items by some users, in ascending order, `(u, I)`; nan where there is none."""
        row = torch.searchsorted(users, self.users.contiguous()).clamp(max=len(users) - 1)
        theirs = users[row] == self.users
        found = torch.full((len(users), self.sizes[1]), torch.nan, device=self.ratings.device)
        found[row[theirs], self.items[theirs]] = self.ratings[theirs]
        return found


def tables(data: DataModule, device: torch.device) -> tuple[Table, Table]:
    """Return the training and the test ratings of prepared data with the inputs `user` and `item`."""
    assert isinstance(data.spec.input, dict)
    sizes = (data.spec.input["user"].vocab or 0, data.spec.input["item"].vocab or 0)

    def table(batches: list[tuple[dict[str, Tensor], Tensor]]) -> Table:
        users, items = (torch.cat([pair[key] for pair, _ in batches]) for key in ("user", "item"))
        return Table(users, items, torch.cat([ratings for _, ratings in batches]), sizes)

    train, test = plain_batches(data, device, seed=0), testing_batches(data, device)
    return table([(x, y) for x, y in train]), table([(x, y) for x, y in test])


def liked(low: float, high: float) -> float:
    """Return the rating from which on a user likes an item: 4 of 1 to 5."""
    return low + 0.75 * (high - low)


def ranking(score: Callable[[Tensor], Tensor], train: Table, test: Table, low: float, high: float) -> dict[str, float]:
    """Return the measures of the lists that scores make, 0 where no user has any. Of many users, some are judged.

    `ndcg` orders the items that a user has rated in the test split, where the ratings differ. The gain of a rating r,
    on a scale from 1 to 5, is 2^r - 1, and that at place i is divided by log2(1 + i) (Burges et al. 2005, section 5;
    Jaervelin & Kekaelaeinen 2002). `hit_rate` orders all items that the user has not rated in the training split, and
    looks for a liked one.

    Args:
        score: returns for the ids of some users `(u,)` the scores of all items `(u, I)`, the larger the better.
        low: the lowest rating there is.
        high: the highest.
    """
    count = train.sizes[0]
    judged = torch.arange(count) if count <= MOST_USERS else torch.linspace(0, count - 1, MOST_USERS).long()
    shuffled = torch.randperm(train.sizes[1], generator=torch.Generator().manual_seed(0))  # equal scores: any order
    gains, hits = list[Tensor](), list[Tensor]()
    for start in range(0, len(judged), TOGETHER):
        users = judged[start : start + TOGETHER].to(test.users.device)
        scores, known, rated = (one[:, shuffled] for one in (score(users), train.of(users), test.of(users)))
        gains.append(ndcg(scores, 1 + 4 * (rated - low) / (high - low)))
        first = scores.masked_fill(~known.isnan(), -torch.inf).topk(min(FIRST, scores.shape[1])).indices
        wanted = rated >= liked(low, high)
        hits.append(wanted.gather(1, first).any(1)[wanted.any(1)].float())
    lists = {"ndcg": torch.cat(gains), "hit_rate": torch.cat(hits)}
    return {name: float(found.sum()) / max(1, len(found)) for name, found in lists.items()}


def ndcg(scores: Tensor, rated: Tensor) -> Tensor:
    """Return the normalised discounted cumulative gain of the first items of each user whose ratings differ, `(n,)`.

    Args:
        scores: of all items, `(u, I)`.
        rated: the true ratings, from 1 to 5, nan where there is none, `(u, I)`.
    """
    gain = (2**rated - 1).nan_to_num(0)
    places = min(FIRST, scores.shape[1])
    discount = 1 / (torch.arange(places, device=scores.device) + 2).log2()
    found = gain.gather(1, scores.masked_fill(rated.isnan(), -torch.inf).topk(places).indices) @ discount
    best = gain.topk(places).values @ discount
    differ = rated.nan_to_num(-torch.inf).amax(1) > rated.nan_to_num(torch.inf).amin(1)
    return found[differ] / best[differ]
