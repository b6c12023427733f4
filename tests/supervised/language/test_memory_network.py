"""Questions about stories: the network learns answers and facts, and says what it looked at."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from lab.data import Batch, Images, Stories
from lab.data.generated.story_world import ANSWERS, TASKS
from lab.encoders import MLP, Embedding
from lab.errors import ConfigError
from supervised.language import MemoryNetwork
from supervised.language.memory_network import Share
from supervised.language.story_baselines import _count, _last_mention, _last_place

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stories() -> Stories:
    data = Stories(train_size=50, val_size=0, test_size=15, batch_size=50, fewest=4, most=6, longest=9)
    data.prepare()
    return data


def built(data: Stories, **settings: float) -> MemoryNetwork:
    torch.manual_seed(0)
    return MemoryNetwork(data.spec, encoder=partial(Embedding, width=32), heads=2, layers=1, **settings)  # type: ignore[arg-type]


def test_answers_and_facts_are_learned(stories: Stories) -> None:
    model, batches = built(stories), stories.train(CPU, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(120):
        (batch,) = batches
        optimizer.zero_grad()
        model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    metrics = dict(model.metrics().items())
    model.eval().measure(batch, metrics)
    assert metrics["accuracy"].compute() > 0.95
    assert metrics["facts_found"].compute() > 0.95
    reader = stories.spec.reader
    assert reader is not None
    (prediction,) = model.predict(batch.inputs[:1])  # type: ignore[index]
    facts = (batch.targets["facts"][0] + 1).tolist()  # type: ignore[index]
    assert prediction.label == ANSWERS[int(batch.targets["answer"][0])]  # type: ignore[index]
    wanted = [str(fact) for fact in facts if fact] or ["no"]
    assert [told.split()[0] for told in (prediction.evidence or "").split("; ")] == wanted


def test_empty_sentences_change_nothing(stories: Stories) -> None:
    model, (batch,) = built(stories).eval(), stories.train(CPU, 0)
    x = batch.inputs
    assert isinstance(x, Tensor)
    more = torch.nn.functional.pad(x, (0, 0, 0, 3))
    assert torch.allclose(model(more), model(x), atol=1e-5)
    assert not torch.allclose(model(x.roll(1, 0)), model(x), atol=1e-3)


def test_facts_may_be_left_out_of_the_loss(stories: Stories) -> None:
    (batch,) = stories.train(CPU, 0)
    with_facts, without = (built(stories, facts=weight).losses(batch) for weight in (2.0, 0.0))
    assert without["loss"] == without["answer"] == with_facts["answer"]
    assert torch.isclose(with_facts["loss"], with_facts["answer"] + 2 * with_facts["facts"])


def test_each_part_is_measured_apart(stories: Stories) -> None:
    """Of the test, each kind of question counts ordinary stories alone, and longer ones count by themselves."""
    model, metrics = built(stories).eval(), built(stories).metrics()
    for batch in stories.test(CPU):
        model.measure(batch, metrics)
    totals = {name: int(one.total) for name, one in metrics.items() if isinstance(one, Share)}
    assert totals == {
        **dict.fromkeys((task.replace(" ", "_") for task in TASKS), 3),
        "accuracy": 15,
        "new_wording": 15,
        "longer": 15,
        "facts_found": 45,
    }


def test_mentions_are_read_off(stories: Stories) -> None:
    told = ["mary went to the garden", "bill went to the office", "mary took the milk", "bill went to the kitchen"]
    split = [sentence.split() for sentence in told]
    assert _last_place(split) == "kitchen"
    assert _last_mention(["where", "is", "mary", "?"], split) == "office"  # a mistake of this simple method
    assert _last_mention(["where", "is", "the", "book", "?"], split) is None
    reader = stories.spec.reader
    assert reader is not None
    x = reader.read(". ".join([*told, "is bill in the kitchen?"]).encode(), "-").inputs
    asked = {"answer": ANSWERS.index("yes"), "task": TASKS.index("yes or no"), "part": 0}
    batch = Batch(x, {name: torch.tensor([value]) for name, value in asked.items()})
    measured = {"accuracy": Share(), "yes_or_no": Share()}
    _count(batch, _last_mention, stories.words, ANSWERS, dict.fromkeys(range(5), 0), measured)
    assert measured["yes_or_no"].compute() == 1


def test_other_data_are_refused(stories: Stories) -> None:
    digits = Images(name="digits")
    digits.prepare()
    with pytest.raises(ConfigError, match=r"needs stories with questions, as lab\.data\.Stories gives them"):
        MemoryNetwork(digits.spec, encoder=MLP)
    with pytest.raises(ConfigError, match="must divide half of the encoder's 32 features, received 5"):
        MemoryNetwork(stories.spec, encoder=partial(Embedding, width=32), heads=5)
