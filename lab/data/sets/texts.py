"""Texts as sequences of characters: tiny Shakespeare, and Python's help topics, which need no download."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.lengths import LengthBatches
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.texts.passages import Passage, Written, read_text
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.characters import Characters
from lab.errors import ConfigError, DataError

VALIDATION = 50_000  # characters held out where the config does not say
TEST = 0.1  # of the text, from its end, as in nanoGPT
PAD = -1  # fills up the targets of a shorter last window; no character has it


class Text(DataModule):
    """One text, cut into windows of characters, each to be predicted from those before it in its window.

    Inputs are `(B, block)` and targets are the characters that follow, `(B, block)`. The vocabulary is the characters
    of the whole text, sorted, as nanoGPT has it. The last tenth of the text is the test split.

    In each epoch, the training part is cut into windows that do not overlap, from an offset that is drawn anew, and
    they are shuffled; so an epoch sees each character at most once. Windows of validation and test do not overlap
    either; the last one may be shorter. A mean over a batch is taken over its characters.

    Args:
        name: `tinyshakespeare` or `topics`.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        block: characters of a window.
        batch_size: windows per training batch.
        eval_batch_size: windows per validation and test batch.
        val_size: characters held out for validation, from the end of the training part. The default holds out at most a
            tenth of a text of the user's own.
        path: of the user's own text, a file or a folder of `.txt` files, as UTF-8; null for the data set of `name`.
    """

    roles = Roles(added={"path": None})
    text: str
    """All of it."""

    def __init__(
        self,
        *,
        name: str = "tinyshakespeare",
        fallback: str = STAND_IN,
        block: PositiveInt = 64,
        batch_size: PositiveInt = 12,
        eval_batch_size: PositiveInt = 128,
        val_size: NonNegativeInt = VALIDATION,
        path: DataPath | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback, self.block = name, fallback, block
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self.path = path

    def prepare(self) -> None:
        loaded, self.info = own(self.path, read_text) if self.path else obtain(self.name, self.fallback, LOADERS)
        self.notes, self.text = loaded.notes, loaded.text
        if self.info.name == "topics" and not self.path:
            self.notes = ["the text of topics belongs to the version of Python: figures of two versions do not compare"]
        tokenizer = Characters.of(loaded.text)
        if len(tokenizer) == 1:
            raise DataError(
                f"{self.info.name} has one character alone, {loaded.text[0]!r}, so there is nothing to predict"
            )
        ids = torch.tensor(tokenizer.encode(loaded.text))
        training = int(len(ids) * (1 - TEST))
        held_out = self.val_size
        if self.path and held_out == VALIDATION:
            held_out = min(VALIDATION, training // 10)
        kept = training - held_out
        if kept < 2 * self.block:
            least = math.ceil((2 * self.block + held_out) / (1 - TEST))
            raise ConfigError(
                f"data.val_size of {held_out:,} and data.block of {self.block:,} need a text of at least "
                f"{least:,} characters, a tenth of them for the test, but {self.info.name} has {len(ids):,}"
            )
        self._train, self._validation, self._test = ids[:kept], ids[kept:training], ids[training:]
        self.spec = DataSpec(
            InputSpec((self.block,), "int64", vocab=len(tokenizer)),
            Tokens(len(tokenizer), self.block, PAD, tokenizer),
            reader=Passage(self.block, tokenizer),
        )

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return Windows(self._train.to(device), self.block, batch_size=batch_size or self.batch_size, seed=seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self._whole(self._validation, device) if len(self._validation) > 1 else None

    def test(self, device: torch.device) -> Batches:
        return self._whole(self._test, device)

    def _whole(self, ids: Tensor, device: torch.device) -> Batches:
        """Return the windows that cover a part of the text, in order; the last one may be shorter."""
        inputs, targets = (part.to(device).split(self.block) for part in (ids[:-1], ids[1:]))  # type: ignore[no-untyped-call]
        return LengthBatches(inputs, targets, pad_target=PAD, weigh="steps", batch_size=self.eval_batch_size, seed=None)


class Windows(CutBatches):
    """Windows of token ids that do not overlap, from an offset that depends on seed and epoch, in shuffled order.

    Args:
        ids: of the whole text, `(N,)`, on the training device.
        block: tokens of a window.
        options: see `Options`; there must be a seed.
    """

    def __init__(self, ids: Tensor, block: int, **options: Unpack[Options]) -> None:
        self.ids, self.block = ids, block
        self.places = torch.arange(block + 1, device=ids.device)
        super().__init__(len(ids) // block - 1, ids.device, **options)  # as many as fit at any offset

    def order(self) -> Tensor:
        """Return where the windows of this epoch begin, `(count,)`."""
        generator = self.order_generator()
        offset = torch.randint(self.block, (), generator=generator)
        return torch.randperm(self.count, generator=generator) * self.block + offset

    def take(self, chosen: Tensor) -> Batch:
        windows = self.ids[chosen[:, None] + self.places]  # (B, block + 1)
        return Batch(windows[:, :-1], windows[:, 1:], weight=len(chosen) * self.block)


def load_tinyshakespeare() -> Written:
    """The plays as Karpathy's char-rnn has them. Raises UnavailableError or DamagedDataError."""
    dataset = lookup("tinyshakespeare")
    (path,) = fetch(dataset, announce=notice).values()
    return Written(path.read_text(encoding="utf-8"), dataset.sha256)


def load_topics() -> Written:
    """Python's help topics in alphabetical order, an empty line between them."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name].strip() for name in sorted(topics))
    return Written(text, hashlib.sha256(text.encode()).hexdigest())


LOADERS: dict[str, Callable[[], Written]] = {"tinyshakespeare": load_tinyshakespeare, "topics": load_topics}
