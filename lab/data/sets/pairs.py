"""Pairs of ids with a value: MovieLens's ratings of films, and generated ratings, which need no download."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.archive import content_hash, members
from lab.data.base import Batches, DataModule
from lab.data.batches import TensorBatches
from lab.data.catalog import lookup
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.ratings import Ids, ratings_of
from lab.data.own.sheets import read_sheet
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError, DataError

FOLDS = 5
VALIDATION = 4000  # ratings held out where the config does not say


class Pairs(NamedTuple):
    """Users and items `(N,)`, int64, both counted from 0, and the ratings `(N,)`, float32, of these pairs."""

    users: Tensor
    items: Tensor
    ratings: Tensor

    def rows(self, chosen: Tensor) -> Pairs:
        return Pairs(*(column[chosen] for column in self))


@dataclass(frozen=True)
class Generator:
    """How generated ratings arise: the mean, a bias of the user and one of the item, the dot product of their factors,
    and noise, then rounded and clipped to 1, 2, 3, 4 or 5. All are drawn from normal distributions around 0.

    Args:
        rank: number of factors of each user and item.
        mean: of the ratings before rounding.
        bias: standard deviation of the biases.
        factor: standard deviation of the factors.
        noise: standard deviation of the noise, before rounding.
        best: test RMSE of the expected rating of each pair, which no method can beat in expectation.
    """

    rank: int = 4
    mean: float = 3.5
    bias: float = 0.4
    factor: float = 0.6
    noise: float = 0.6
    best: float = 0.0

    @property
    def variance(self) -> float:
        """Variance of the noise and of the rounding, in squared stars."""
        return self.noise**2 + 1 / 12


class Rated(NamedTuple):
    """What a loader returns: both splits, the numbers of users and items, a hash of all that, and what generated the
    ratings; None where people did."""

    train: Pairs
    test: Pairs
    users: int
    items: int
    sha256: str
    generator: Generator | None = None


class Ratings(DataModule):
    """Ratings of items by users. Inputs are a dict of ids, `user` and `item`, `(B,)` each; targets are ratings `(B,)`.

    Args:
        name: `movielens` or `generated-ratings`, which has as many users, items and ratings.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        fold: which fifth of the ratings is the test split, from 1 to 5. Those of MovieLens are its publisher's, `u1` to
            `u5`.
        batch_size: ratings per training batch.
        eval_batch_size: ratings per validation and test batch.
        val_size: training ratings held out for validation, chosen at random once and for all. Of fewer than 80,000
            ratings of the user's own, the default holds out a twentieth.
        path: of the user's own csv file with the columns user, item and rating; null for the data set of `name`.
    """

    roles = Roles(added={"path": None})

    generator: Generator | None = None
    """What generated the ratings, for bounds that know it; None for ratings by people."""

    def __init__(
        self,
        *,
        name: str = "movielens",
        fallback: str = STAND_IN,
        fold: PositiveInt = 1,
        batch_size: PositiveInt = 4000,
        eval_batch_size: PositiveInt = 5000,
        val_size: NonNegativeInt = VALIDATION,
        path: DataPath | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        if fold > FOLDS:
            raise ConfigError(f"data.fold must be from 1 to {FOLDS}, received {fold}")
        self.name, self.fallback, self.fold = name, fallback, fold
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self.path = path

    def prepare(self) -> None:
        loaded, ids = self._obtain()
        self.generator = loaded.generator
        count = len(loaded.train.ratings)
        held_out = self.val_size
        if self.path and held_out == VALIDATION:
            held_out = min(VALIDATION, count // 20)
        if held_out >= count:
            raise ConfigError(f"data.val_size must be less than the {count:,} training ratings, received {held_out}")
        order = torch.from_numpy(np.random.RandomState(0).permutation(count))  # the files are sorted by user
        out = torch.zeros(count, dtype=torch.bool).index_fill_(0, order[count - held_out :], value=True)
        if self.path:  # all ratings of one item by one user are on one side
            pairs = loaded.train.users * loaded.items + loaded.train.items
            out = torch.isin(pairs, pairs[out])
        self._train, self._validation = (loaded.train.rows(order[side[order]]) for side in (~out, out))
        self._test = loaded.test
        sizes = {"user": loaded.users, "item": loaded.items}
        self.spec = DataSpec(
            {key: InputSpec((), "int64", vocab=size) for key, size in sizes.items()}, Values(()), reader=ids
        )

    def _obtain(self) -> tuple[Rated, Ids]:
        """Return the ratings, and what users and items are called."""
        if self.path is None:
            loaders = {name: partial(loader, self.fold) for name, loader in LOADERS.items()}
            loaded, self.info = obtain(self.name, self.fallback, loaders)
            users, items = (tuple(str(i + 1) for i in range(size)) for size in (loaded.users, loaded.items))
            return loaded, Ids(users, items)
        sheet, self.info = own(self.path, read_sheet)
        found = ratings_of(sheet, self.fold, FOLDS)
        self.notes = found.notes
        every = Pairs(found.users, found.items, found.ratings)
        trained = torch.ones(len(every.ratings), dtype=torch.bool).index_fill_(0, found.tested, value=False)
        sizes = (len(found.ids.users), len(found.ids.items))
        return Rated(every.rows(trained), every.rows(found.tested), *sizes, sheet.sha256), found.ids

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return _batches(self._train, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return _batches(self._validation, device, self.eval_batch_size) if len(self._validation.ratings) else None

    def test(self, device: torch.device) -> Batches:
        return _batches(self._test, device, self.eval_batch_size)


def _batches(split: Pairs, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
    ids = {"user": split.users, "item": split.items}
    return TensorBatches(ids, split.ratings, device=device, batch_size=batch_size, seed=seed, drop_last=False)


def load_movielens(fold: int) -> Rated:
    """MovieLens 100K: 80,000 ratings to train on and 20,000 to test. Raises UnavailableError or DamagedDataError."""
    return read_movielens(members(lookup("movielens"), announce=notice), fold)


def read_movielens(files: Mapping[str, bytes], fold: int) -> Rated:
    """Read the publisher's files, whose lines are `user item rating time` with tabs between them. Raises DataError
    where one is missing or has another form."""

    def table(name: str) -> Pairs:
        try:
            users, items, ratings = np.loadtxt(io.BytesIO(files[name]), np.int64, delimiter="\t", ndmin=2).T[:3]
        except (KeyError, ValueError) as error:
            raise DataError(
                f"the files are not those of MovieLens 100K: {name} is missing or has another form"
            ) from error
        return Pairs(torch.from_numpy(users - 1), torch.from_numpy(items - 1), torch.from_numpy(ratings).float())

    train, test = table(f"u{fold}.base"), table(f"u{fold}.test")  # together they are the rows of u.data
    users, items = (1 + int(max(one.max(), other.max())) for one, other in zip(train[:2], test[:2], strict=True))
    return Rated(train, test, users, items, content_hash(files))


USERS, ITEMS, RATINGS, FEWEST = 943, 1682, 100_000, 20
"""As in MovieLens 100K, whose users have rated at least 20 items."""


def generate_ratings(fold: int) -> Rated:
    """Ratings of rank 4, about as many of each user and item as in MovieLens 100K. They are always the same.

    Activity and popularity fall with a power of the rank. Users have 40 to 718 ratings, the median one 63; items have 3
    to 359, the median one 27. In MovieLens 100K, these are 20 to 737 and 65, and 1 to 583 and 27.
    """
    draw, law = np.random.RandomState(1997), Generator()  # NumPy's legacy generator: its numbers never change
    activity = (np.arange(USERS) + 52.0) ** -1.2
    extra = np.floor(activity / activity.sum() * (RATINGS - FEWEST * USERS)).astype(int)
    extra[: RATINGS - FEWEST * USERS - extra.sum()] += 1
    counts = draw.permutation(FEWEST + extra)
    popularity = draw.permutation(-2 * np.log(np.arange(ITEMS) + 230.0))
    # The largest of log p + Gumbel noise are a draw without replacement (Kool et al. 2019).
    ranked = np.argsort(-(popularity - np.log(-np.log(draw.random_sample((USERS, ITEMS))))), axis=1)
    users = np.repeat(np.arange(USERS), counts)
    items = np.concatenate([row[:count] for row, count in zip(ranked, counts, strict=True)])

    p, q = (law.factor * draw.standard_normal((size, law.rank)) for size in (USERS, ITEMS))
    biases = [law.bias * draw.standard_normal(size) for size in (USERS, ITEMS)]
    means = law.mean + biases[0][users] + biases[1][items] + (p[users] * q[items]).sum(1)
    ratings = np.clip(np.rint(means + law.noise * draw.standard_normal(RATINGS)), 1, 5)

    fifth = RATINGS // FOLDS
    order = draw.permutation(RATINGS)
    tested = np.zeros(RATINGS, bool)
    tested[order[(fold - 1) * fifth : fold * fifth]] = True
    best = float(np.sqrt(np.square(ratings - expected(means, law.noise))[tested].mean()))
    columns = (users, items, ratings.astype(np.float32))
    train, test = (Pairs(*(torch.from_numpy(column[chosen]) for column in columns)) for chosen in (~tested, tested))
    digest = hashlib.sha256(b"".join(column.tobytes() for column in (*columns, tested)))
    return Rated(train, test, USERS, ITEMS, digest.hexdigest(), Generator(best=best))


def expected(means: np.ndarray, noise: float) -> np.ndarray:
    """Return the expected rating after rounding and clipping, given its mean before: 1 + the sum of P(rating >= k)."""
    total: np.ndarray = np.ones_like(means)
    for k in (2, 3, 4, 5):
        total += torch.special.ndtr(torch.from_numpy((means - k + 0.5) / noise)).numpy()
    return total


LOADERS = {"movielens": load_movielens, "generated-ratings": generate_ratings}
