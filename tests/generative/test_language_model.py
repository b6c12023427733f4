"""The language model learns, beats n-grams where context matters, and samples what it predicts."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from generative.autoregressive.generation import generate
from generative.autoregressive.language_model import LanguageModel
from generative.autoregressive.ngrams import ngram_baselines, ngram_nats
from lab.data import Text
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, Tokens
from lab.data.tokenizers.characters import Characters
from lab.encoders import InputSpec, Recurrent, Transformer
from lab.encoders.files import load_encoder
from lab.errors import ConfigError

CPU = torch.device("cpu")
KNOWN = Characters("\nabc")
INPUT = InputSpec((8,), "int64", vocab=4)
SPEC = DataSpec(INPUT, Tokens(4, 8, -1, KNOWN))
SMALL = partial(Transformer, width=16, layers=2, heads=2, causal=True)


def model(**settings: Any) -> LanguageModel:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"encoder": SMALL, "sample_length": 6}
    return LanguageModel(SPEC, **defaults | settings)


def brute_force(train: list[str], test: list[str], vocab: int, orders: int) -> list[float]:
    """N-gram models by dictionaries, one token after the other (Witten & Bell 1991)."""
    after: dict[str, Counter[str]] = defaultdict(Counter)
    for text in train:
        for t in range(1, len(text)):
            for k in range(min(t, orders - 1) + 1):
                after[text[t - k : t]][text[t]] += 1
    nats: list[list[float]] = [[] for _ in range(orders)]
    for text in test:
        for t in range(1, len(text)):
            chance = 1 / vocab
            for k in range(orders):
                if k <= t and (seen := after.get(text[t - k : t])):
                    chance = (seen[text[t]] + len(seen) * chance) / (seen.total() + len(seen))
                nats[k].append(-math.log(chance))
    return [sum(each) / len(each) for each in nats]


def test_ngrams_equal_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randint(4, (count, 9), generator=generator) for count in (20, 6))
    test[2, 4:] = -1
    test[5, 1:] = -1
    words = [["".join(map(str, row[row >= 0].tolist())) for row in part] for part in (train, test)]
    assert ngram_nats(train, test, vocab=4, orders=4) == pytest.approx(
        brute_force(words[0], words[1], vocab=4, orders=4)
    )


def test_ngrams_of_a_cycle() -> None:
    """A bigram knows what a unigram cannot."""
    cycle = (torch.arange(60) % 3).view(1, 60)
    unigram, bigram = ngram_nats(cycle, cycle, vocab=3, orders=2)
    assert unigram == pytest.approx(math.log(3), rel=1e-2)
    assert bigram < 0.1


class Weeks(Text):
    """Six days of one kind, then one of another, over and over: who sees less than six days cannot tell what comes."""

    def prepare(self) -> None:
        ids = torch.tensor([1, 1, 1, 1, 1, 1, 2] * 500)
        self._train, self._validation, self._test = ids[:2800], ids[:0], ids[2800:]
        self.spec = DataSpec(InputSpec((16,), "int64", vocab=4), Tokens(4, 16, -1, KNOWN))


def test_learns_what_ngrams_cannot() -> None:
    data = Weeks(block=16, batch_size=32)
    data.prepare()
    torch.manual_seed(0)
    learner = LanguageModel(data.spec, encoder=partial(SMALL, positions="rotary"))
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    batches = data.train(CPU, 0)
    for _ in range(20):
        for batch in batches:
            loss = learner.losses(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with learner.at_rest(0):
        metrics = learner.metrics()
        found = [(learner.measure(batch, metrics)["loss"], batch.weight) for batch in data.test(CPU)]
    nats = sum(float(loss) * weight for loss, weight in found) / sum(weight for _, weight in found)
    assert nats < 0.6 * ngram_baselines(data)["5-gram"]["test/loss"]
    assert float(metrics["perplexity"].compute()) == pytest.approx(math.exp(nats), rel=1e-4)
    assert float(metrics["bits_per_token"].compute()) == pytest.approx(nats / math.log(2), rel=1e-4)


def test_padding_has_no_loss() -> None:
    learner = model()
    x = torch.randint(4, (2, 8))
    mask = torch.arange(8) < torch.tensor([[8], [3]])
    targets = torch.randint(4, (2, 8)).masked_fill(~mask, -1)
    loss = learner.losses(Batch(x, targets, mask, weight=11))["loss"]
    chances = learner(x).log_softmax(2)
    expected = -chances.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0][mask].mean()
    torch.testing.assert_close(loss, expected)


def test_tied_weights_are_one() -> None:
    tied, own = model(), model(tie_weights=False)
    assert sum(p.numel() for p in own.parameters()) - sum(p.numel() for p in tied.parameters()) == 4 * 16 + 4
    features = torch.randn(3, 16)
    torch.testing.assert_close(tied.logits(features), features @ tied.encoder.embedding.weight.T)  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (partial(SMALL, causal=False), "depend on no later step, but those of Transformer do"),
        (partial(Recurrent, width=16), r"of shape \(4, 16\) as its embedding, but Recurrent has \(4, 128\)"),
    ],
)
def test_unfit_encoders_are_refused(encoder: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model(encoder=encoder)


def test_unfit_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs sequences of token ids as targets, but this data set has classes"):
        LanguageModel(DataSpec(INPUT, Classes(2)), encoder=SMALL)
    with pytest.raises(ConfigError, match="its inputs have no token ids and its targets 4"):
        LanguageModel(DataSpec(InputSpec((8, 3)), SPEC.target), encoder=SMALL)


class Forgetful(Transformer):
    """The same without a memory."""

    extend = None  # type: ignore[assignment]


class ForgetfulRecurrent(Recurrent):
    """The same without a memory."""

    extend = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "forgetful"), [(SMALL, Forgetful), (partial(Recurrent, width=16), ForgetfulRecurrent)]
)
def test_memory_changes_no_sample(kind: Any, forgetful: Any) -> None:
    torch.manual_seed(0)
    encoder = kind(INPUT).requires_grad_(False)
    weight, start = torch.randn(4, 16), torch.randint(4, (5, 2))
    for length in (3, 7):  # 8 tokens in all are what the encoder takes, and the last one is not encoded
        drawn = []
        for each in (encoder, forgetful(INPUT, **encoder.settings)):
            each.load_state_dict(encoder.state_dict())
            with torch.random.fork_rng():
                torch.manual_seed(1)
                drawn.append(generate(each, lambda features: features @ weight.T, start, length))
        assert torch.equal(*drawn)


def test_generation_sees_half_of_its_window() -> None:
    """Whatever was generated before, the last tokens are encoded at the places that the encoder has."""
    seen: list[Tensor] = []

    class Watched(Transformer):
        def extend(self, x: Tensor, past: Any = None) -> Any:
            seen.append(x)
            return super().extend(x, past)

    encoder = Watched(INPUT, width=16, layers=1, heads=2, causal=True)
    start = torch.arange(11).view(1, 11) % 4
    with torch.no_grad():
        new = generate(encoder, lambda features: features[:, :4], start, 7)
    tokens = torch.cat([start, new], 1)
    assert [x.shape[1] for x in seen] == [8, 4, 1, 1, 1, 1, 4]
    assert torch.equal(seen[0], start[:, 3:])
    assert torch.equal(seen[1], tokens[:, 8:12])
    assert torch.equal(seen[-1], tokens[:, 13:17])


def test_samples_follow_from_their_seed() -> None:
    learner = model()
    first, again, other = learner.sample(3, prompt="ab"), learner.sample(3, prompt="ab"), learner.sample(3, seed=1)
    assert first == again
    assert all(len(text) == 8 and text.startswith("ab") for text in first)
    assert all(len(text) == 6 for text in other)
    with pytest.raises(ConfigError, match=r"the vocabulary has no 'x', 'y'; its 4 characters are '\\nabc'"):
        learner.sample(1, prompt="axy")


def test_low_temperature_takes_the_likeliest() -> None:
    learner = model(temperature=1e-6)
    assert len(set(learner.sample(5, prompt="abc"))) == 1


def test_settings_of_one_sample() -> None:
    """They go before those of the model; the few most probable tokens are drawn alone."""
    learner = model(temperature=1e-6)
    likeliest = learner.sample(1, prompt="abc")[0]
    assert len(set(learner.sample(20, prompt="abc", temperature=5.0))) > 1
    for one in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.0}):
        assert set(learner.sample(3, prompt="abc", **{"temperature": 5.0} | one)) == {likeliest}
        assert set(model(**{"temperature": 5.0} | one).sample(3, prompt="abc")) == {likeliest}
    assert len(learner.sample(1, prompt="abc", max_tokens=2)[0]) == 5


def test_recurrent_encoder_learns_the_same_way() -> None:
    learner = model(encoder=partial(Recurrent, width=16, embedding=16))
    assert len(learner.sample(2, prompt="a")[0]) == 7


def test_artifacts_are_encoder_and_tokenizer(tmp_path: Path) -> None:
    learner = model()
    for name, write in learner.artifacts().items():
        write(tmp_path / name)
    loaded = load_encoder(tmp_path / "encoder")
    x = torch.randint(4, (2, 8))
    assert torch.equal(loaded.features(x), learner.encoder.features(x))
    assert json.loads((tmp_path / "tokenizer/tokenizer.json").read_text())["known"] == "\nabc"
