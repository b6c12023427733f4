"""Small tasks on texts, each named in its text: `reverse: abc` becomes `cba` (as Raffel et al. 2020, section 2.4)."""

from __future__ import annotations

import calendar
import hashlib
from collections.abc import Callable, Iterator, Sequence
from random import Random

import torch

from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import Batches, DatasetInfo, SplitData
from lab.data.own.texts.lines import Lines
from lab.data.parallel.pairs import Encoded, Pair, batches
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.base import MARKS, PAD
from lab.data.tokenizers.characters import Characters

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIGNS = " :+-.,/0123456789"
SHORTEST, LONGEST = 3, 8  # letters of what is reversed or sorted
YEARS = range(1900, 2100)
MONTHS = tuple(name.lower() for name in calendar.month_name[1:])
ONSETS = ("b", "bl", "br", "c", "d", "dr", "f", "fl", "g", "gr", "h", "k", "l", "m", "n", "p", "pl", "r", "s", "st")
CODAS = ("b", "d", "g", "k", "l", "m", "n", "p", "r", "t", "s", "x", "ch", "sh", "ss", "y", "y", "y", "ay", "oy", "ey")


Task = Callable[[Random, bool], tuple[str, str, str]]
"""Draws an input, its output, and what must not be on two sides of a split; of a trained length, or one longer."""


def _word(random: Random, longer: bool) -> str:
    """Letters, `LONGEST` at most; or one more."""
    count = LONGEST + 1 if longer else random.randint(SHORTEST, LONGEST)
    return "".join(random.choices(LETTERS, k=count))


def _reverse(random: Random, longer: bool) -> tuple[str, str, str]:
    word = _word(random, longer)
    return word, word[::-1], word


def _sort(random: Random, longer: bool) -> tuple[str, str, str]:
    word = _word(random, longer)
    return word, "".join(sorted(word)), word


def _add(random: Random, longer: bool) -> tuple[str, str, str]:
    """Two numbers of one or two digits; or of three."""
    numbers = [random.randint(100, 999) if longer else random.randint(0, 99) for _ in range(2)]
    text = f"{numbers[0]}+{numbers[1]}"
    return text, str(sum(numbers)), text


def _date(random: Random, longer: bool) -> tuple[str, str, str]:
    """A day in one of three forms, as ISO 8601 has it; the longer ones are in years of five digits."""
    year, month = random.choice(YEARS), random.randint(1, 12)
    day = random.randint(1, calendar.monthrange(year, month)[1])
    told = year + 10_000 if longer else year
    forms = (f"{day} {MONTHS[month - 1]} {told}", f"{MONTHS[month - 1]} {day}, {told}", f"{day}.{month}.{told}")
    iso = f"{told}-{month:02}-{day:02}"
    return random.choice(forms), iso, iso


def _plural(random: Random, longer: bool) -> tuple[str, str, str]:
    """The plural of a made-up noun by the rules of English spelling (as in the wug test, Berko 1958). Words have one or
    two syllables; the longer ones three."""
    count = 3 if longer else random.choice((1, 2, 2))
    word = "".join(random.choice(ONSETS) + random.choice("aeiou") for _ in range(count)) + random.choice(CODAS)
    return word, plural(word), word


def plural(word: str) -> str:
    """Return the plural of a regular English noun: `-ies` for `-y` after a consonant, `-es` after a hiss, else `-s`."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s"


TASKS: dict[str, Task] = {
    "reverse": _reverse,
    "sort": _sort,
    "add": _add,
    "date": _date,
    "plural": _plural,
}
"""By the word that names them in a text, before a colon."""

TRAINED = ("add", "reverse", "add", "sort", "add", "date", "plural")
"""In which turn they are trained on: addition takes longest to learn."""


class TextTasks(SplitData):
    """Texts and what a task makes of them, as characters. Validation and test have equal shares of all tasks; of the
    training texts, three in seven are additions, which take longest to learn.

    `reverse: kitten` becomes `nettik` and `sort: kitten` `eikntt`: random letters, 3 to 8 of them. `add: 45+78`
    becomes `123`: numbers of one or two digits. `date: 3 march 1987`, `date: march 3, 1987` and `date: 3.3.1987`
    become `1987-03-03`. `plural: blicky` becomes `blickies`: made-up nouns of one or two syllables, by the rules of
    English spelling. No input of validation or test is in the training part, nor is such a day in another form. They
    are the same for all seeds of a run.

    Inputs and targets are as those of `lab.data.Translations`.

    Args:
        train_size: examples for training.
        val_size: for validation.
        test_size: for the test. Besides, a fifth as many are one length longer than all training examples: words of 9
            letters, numbers of 3 digits, years of 5 digits, nouns of 3 syllables.
        batch_size: examples per training batch, of similar lengths.
        eval_batch_size: examples per validation and test batch.
    """

    tasks = tuple(TASKS)

    def __init__(
        self,
        *,
        train_size: PositiveInt = 100_000,
        val_size: NonNegativeInt = 1_000,
        test_size: PositiveInt = 5_000,
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 500,
    ) -> None:
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self.validates = val_size > 0
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        taken: set[tuple[str, str]] = set()
        test = [*_examples(self.tasks, self.test_size, 2, taken, keep=True)]
        validation = [*_examples(self.tasks, self.val_size, 1, taken, keep=True)]
        train = [*_examples(TRAINED, self.train_size, 0, taken)]
        longer = [*_examples(self.tasks, max(len(TASKS), self.test_size // 5), 3, set(), longer=True)]
        self.parts = (train, validation, test, longer)
        self.characters = Characters(LETTERS + SIGNS, len(MARKS))
        content = "\n".join("\t".join(pair) for part in self.parts for pair in part)
        self.info = DatasetInfo("tasks", hashlib.sha256(content.encode()).hexdigest())
        sources, targets = (max(len(pair[side]) for part in self.parts for pair in part) + 1 for side in (0, 1))
        tokens = len(self.characters)
        self.spec = DataSpec(
            {
                "source": InputSpec((sources,), "int64", vocab=tokens),
                "written": InputSpec((targets,), "int64", vocab=tokens),
            },
            Tokens(tokens, targets, PAD, self.characters),
            reader=Lines(sources, self.characters),
        )

    def longer(self, device: torch.device) -> Batches:
        """Return examples that are one length longer than those of training."""
        return self.cut(3, device, self.eval_batch_size)

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        sources, targets = zip(*self.parts[split], strict=True)
        return batches(Encoded(self._encoded(sources), self._encoded(targets)), device, batch_size, seed)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.characters.encode(text) for text in texts]


def _examples(
    names: Sequence[str],
    count: int,
    seed: int,
    taken: set[tuple[str, str]],
    *,
    keep: bool = False,
    longer: bool = False,
) -> Iterator[Pair]:
    """Yield examples of tasks in turn, none of which is taken; with `keep`, each is taken then."""
    random = Random(seed)
    for number in range(count):
        name = names[number % len(names)]
        while True:
            given, wanted, key = TASKS[name](random, longer)
            if (name, key) not in taken:
                break
        if keep:
            taken.add((name, key))
        yield f"{name}: {given}", wanted
