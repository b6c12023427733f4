"""Models that write one text for another learn small tasks, and search, measure and predict as they say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import permutations
from typing import Any

import pytest
import sacrebleu
import torch
from torch import Tensor

from lab.data import TextTasks, Translations
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.own.texts.lines import Lines
from lab.data.parallel.pairs import Encoded, batches
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.base import END, MARKS, PAD, START
from lab.data.tokenizers.characters import Characters
from lab.encoders import Recurrent, Transformer
from lab.errors import ConfigError
from lab.nn.sequences.attentive_gru import AttentiveGRU
from lab.nn.sequences.decoders import CausalTransformer
from supervised.translation import Text2Text, Translator
from supervised.translation.baselines import lexicon, simple_translations
from supervised.translation.bleu import bleu
from supervised.translation.nearest import nearest_answers

CPU = torch.device("cpu")
KINDS: dict[str, dict[str, Any]] = {
    "gru": {
        "encoder": partial(Recurrent, cell="gru", width=12, embedding=16, deviation=0.3, bidirectional=True),
        "decoder": partial(AttentiveGRU, width=24),
    },
    "transformer": {
        "encoder": partial(Transformer, width=24, layers=1, heads=2, deviation=0.2),
        "decoder": partial(CausalTransformer, layers=1, heads=2),
    },
}
RATES = {"gru": 1e-2, "transformer": 3e-3}


class Backwards(DataModule):
    """Two to four letters, to be written backwards. Every seventh is tested."""

    tasks = ("back",)

    def prepare(self) -> None:
        words = ["".join(one) for length in (2, 3, 4) for one in permutations("abcde", length)]
        self.texts = [(f"back: {word}", word[::-1]) for word in words]
        self.characters = Characters("abcde: k", len(MARKS))
        self.info = DatasetInfo("backwards")
        form = {
            "source": InputSpec((11,), "int64", vocab=len(self.characters)),
            "written": InputSpec((6,), "int64", vocab=len(self.characters)),
        }
        self.spec = DataSpec(form, Tokens(len(self.characters), 6, PAD, self.characters), reader=self.reader)

    @property
    def reader(self) -> Lines:
        return Lines(11, self.characters)

    def _part(self, tested: bool, size: int, seed: int | None = None) -> Batches:
        kept = [pair for i, pair in enumerate(self.texts) if (i % 7 == 0) is tested]
        sources, targets = ([self.characters.encode(text) for text in side] for side in zip(*kept, strict=True))
        return batches(Encoded(sources, targets), CPU, size, seed)

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._part(False, batch_size or 24, seed)

    def validation(self, device: torch.device) -> None:
        return None

    def test(self, device: torch.device) -> Batches:
        return self._part(True, 50)

    def unchanged(self, device: torch.device) -> Batches:
        return self._part(False, 50)


def backwards() -> Backwards:
    data = Backwards()
    data.prepare()
    return data


@cache
def trained(kind: str) -> Text2Text:
    data = backwards()
    torch.manual_seed(0)
    model = Text2Text(data.spec, **KINDS[kind])
    model.adapt(data)
    optimizer, rows = torch.optim.Adam(model.parameters(), lr=RATES[kind]), data.train(CPU, 0)
    for _ in range(25):
        for batch in rows:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Text2Text:
    return trained(request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_new_words_are_written_backwards(kind: str) -> None:
    model, (batch,) = trained(kind), backwards().test(CPU)
    metrics = model.metrics()
    with torch.no_grad():
        model.measure(batch, metrics)
    assert metrics["exact"].compute() > 0.9
    assert metrics["exact_back"].compute() == metrics["exact"].compute()
    assert metrics["perplexity"].compute() < 1.3


def test_attention_goes_backwards(model: Text2Text) -> None:
    """While a letter is written, the decoder looks at it, or at what stands beside it."""
    given = torch.tensor([[*model.tokenizer.encode("back: adce"), END]])
    written = torch.tensor([[START, *model.tokenizer.encode("ecda")]])
    with torch.no_grad():
        places = model.decoder.weights(model._vectors(written), model.remembered(given, None))[0].argmax(1)
    assert (torch.diff(places[:4]) <= 0).all()
    assert places[0] > places[3]


@torch.no_grad()
def test_greedy_takes_the_most_probable_token(model: Text2Text) -> None:
    sources = torch.tensor([[*model.tokenizer.encode("back: bca"), END]])
    (found,) = model.write(model.remembered(sources, None), 1, width=1, penalty=0.0)
    expected = [START]
    while expected[-1] != END and len(expected) <= model.length:
        logits = model(sources, torch.tensor([expected]))[0, -1]
        logits[[PAD, START]] = -torch.inf
        expected.append(int(logits.argmax()))
    assert found == [token for token in expected[1:] if token != END]


@torch.no_grad()
def test_wider_beams_find_more_probable_texts(model: Text2Text) -> None:
    """Among all texts of at most two tokens, a beam as wide as the vocabulary finds the most probable one."""
    sources = torch.tensor([[*model.tokenizer.encode("back: ea"), END]])
    kept, vocab = model.remembered(sources, None), len(model.tokenizer)
    length, model.length = model.length, 2
    (found,) = model.write(kept, 1, width=vocab, penalty=0.0)
    model.length = length

    def log_p(tokens: list[int]) -> float:
        logits = model(sources, torch.tensor([[START, *tokens[:-1]]]))[0]
        logits[:, [PAD, START]] = -torch.inf
        return float(logits.log_softmax(1)[torch.arange(len(tokens)), torch.tensor(tokens)].sum())

    letters = range(len(MARKS), vocab)
    texts = [[END], *([one, last] for one in letters for last in (END, *letters))]
    best = max(texts, key=log_p)
    assert found == [token for token in best if token != END]


def test_padded_texts_are_predicted_as_each_alone(model: Text2Text) -> None:
    reader = backwards().reader
    given = reader.read(b"back: ab\n\nback: dbca\r\n", "words.txt")
    assert isinstance(given.inputs, Tensor)
    assert given.labels == [{"line": 1}, {"line": 3}]
    assert isinstance(given.mask, Tensor)
    together = [one.text for one in model.predict(given.inputs, given.mask)]
    alone = [reader.read_text(text).inputs for text in ("back: ab", "back: dbca")]
    assert together == [model.predict(one)[0].text for one in alone if isinstance(one, Tensor)]
    assert together == ["ba", "acbd"]
    for content in (b"source,target\nback: ab,\nback: dbca,x\n", b"note;source\n1;back: ab\n2;back: dbca\n"):
        rows = reader.read(content, "words.csv")
        assert torch.equal(rows.inputs, given.inputs)  # type: ignore[arg-type]
        assert rows.labels == [{"row": 1}, {"row": 2}]
    with pytest.raises(ConfigError, match=r"words.csv has no column source; its columns are a, b"):
        reader.read(b"a,b\nx,y\n", "words.csv")


def test_pictures_and_texts_show_the_first_pairs(model: Text2Text) -> None:
    (batch,) = backwards().test(CPU)
    with model.at_rest(0):
        assert model.texts(batch)["written"].startswith("source    back: ab\nwritten   ba\nexpected  ba\n\nsource")
        assert model.pictures(batch)["attention"].width > 100


def test_longer_texts_are_apart() -> None:
    data = TextTasks(train_size=20, val_size=0, test_size=10)
    data.prepare()
    model = Text2Text(data.spec, **KINDS["gru"])
    model.adapt(data)
    model.prepare_test(data, CPU)
    assert {*model.longer} == {"longer", *(f"longer_{task}" for task in data.tasks)}
    assert float(model.longer["longer"].compute()) == 0


def languages() -> Translations:
    data = Translations(name="languages", vocab=300)
    data.prepare()
    return data


def test_bleu_is_that_of_sacrebleu() -> None:
    written = ["the dog sees a small house .", "two Men paint the river."]
    references = ["The dog sees a small boat.", "two men paint the old river."]
    expected = sacrebleu.corpus_bleu(written, [references], lowercase=True, tokenize="13a", force=True).score
    assert bleu(written, references) == pytest.approx(expected, abs=1e-4)
    assert bleu(references, references) == pytest.approx(100)


def test_test_has_a_beam_search() -> None:
    data = languages()
    model, (batch,) = Translator(data.spec, **KINDS["transformer"]), data.test(CPU)
    assert "bleu" not in model.metrics()
    model.on_test_epoch_start()
    with torch.no_grad():
        model.measure(batch, model.running)
    assert {*model.running} == {"perplexity", "bleu", "bleu_greedy"}
    assert len(model.running["bleu"].written) == len(batch)
    assert model.running["bleu"].references[0] == languages_test()[0]


def languages_test() -> list[str]:
    from lab.data.parallel.languages import languages as pairs

    return [target for _, target in pairs().splits[2]]


def test_lexicon_finds_what_stands_for_a_word() -> None:
    """Words stand together with others too, but with their own translation most often."""
    sources = ["das haus", "das buch", "ein buch", "haus"]
    assert lexicon(sources, ["the house", "the book", "a book", "house"]) == {
        "das": "the",
        "haus": "house",
        "buch": "book",
        "ein": "a",
    }


def test_words_alone_translate_some() -> None:
    data = languages()
    found = simple_translations(data, data.subwords)
    assert 1 < found["word by word"]["test/bleu"] < 10
    assert found["copy of the source"]["test/bleu"] < found["word by word"]["test/bleu"]


def test_nearest_answers_are_of_training_texts() -> None:
    found = nearest_answers(backwards(), backwards().characters)
    assert found["copy of the text"]["test/exact"] == 0
    assert found["most similar text"]["test/exact"] == 0, "no word of the test is in training"


def test_smoothing_is_of_training_alone() -> None:
    model, (batch, *_) = Text2Text(backwards().spec, **KINDS["gru"], label_smoothing=0.3), backwards().train(CPU, 0)
    trained_with = model.train().losses(batch)["loss"]
    assert model.eval().losses(batch)["loss"] == model.measure(batch, model.metrics())["loss"] != trained_with


class Wider(AttentiveGRU):
    """A decoder whose features are not as wide as the vectors of tokens."""

    def __init__(self, inputs: int, memory: int, length: int) -> None:
        super().__init__(inputs, memory, length)
        self.features_dim = 9


Made = Callable[[], object]
REFUSED: list[tuple[Made, str]] = [
    (lambda: Translator(DataSpec(InputSpec((4,)), classes=2), **KINDS["gru"]), "needs pairs of texts"),
    (
        lambda: Translator(
            backwards().spec,
            encoder=partial(Transformer, width=8, layers=1, heads=2),
            decoder=Wider,
        ),
        "tie_weights needs a decoder with as many features as a token's vector has numbers, 8, received 9",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_unfit_parts_are_refused(make: Made, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_untied_weights_are_their_own() -> None:
    encoder = partial(Recurrent, cell="gru", width=8, embedding=6)
    model = Text2Text(backwards().spec, encoder=encoder, decoder=partial(AttentiveGRU, width=8), tie_weights=False)
    (batch,) = backwards().test(CPU)
    model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
    assert model.head is not None
    assert all(one.grad is not None for one in model.parameters())
