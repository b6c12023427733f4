from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import lab
from lab.data.lengths import LengthBatches
from lab.errors import ConfigError, DataError
from lab.resuming import resume
from lab.runs.summary import local_runs
from lab.saving.bitwise import run_differences
from tests.faults.harness import Killed, killing

LENGTHS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6]


def sequences() -> list[torch.Tensor]:
    """Each holds its own number, plus one, in all of its steps."""
    return [torch.full((length,), i + 1) for i, length in enumerate(LENGTHS)]


def batches(**options: Any) -> LengthBatches:
    settings: dict[str, Any] = {"batch_size": 4, "seed": 0, "pad": -1} | options
    return LengthBatches(sequences(), torch.arange(len(LENGTHS)), **settings)


def examples(loader: LengthBatches, limit: int | None = None) -> list[int]:
    return [int(label) for _, labels in islice(loader, limit) for label in labels]


@pytest.mark.parametrize("seed", [None, 0])
def test_padding_is_masked(seed: int | None) -> None:
    for batch in batches(seed=seed):
        x, labels = batch
        assert isinstance(batch.mask, torch.Tensor)
        assert x.shape == batch.mask.shape == (len(labels), max(LENGTHS[i] for i in labels))
        assert batch.mask.sum(1).tolist() == [LENGTHS[i] for i in labels]
        for row, mask, label in zip(x, batch.mask, labels, strict=True):
            assert row[mask].unique().tolist() == [int(label) + 1]
            assert set(row[~mask].tolist()) <= {-1}


def test_every_example_comes_once() -> None:
    epoch = examples(batches(drop_last=False))
    assert sorted(epoch) == list(range(len(LENGTHS)))
    assert len(set(examples(batches()))) == len(LENGTHS) // 4 * 4


def test_similar_lengths_stand_together() -> None:
    spread = [max(sizes) - min(sizes) for _, labels in batches() if (sizes := [LENGTHS[i] for i in labels])]
    assert sum(spread) < 20
    shuffled = torch.randperm(len(LENGTHS), generator=torch.Generator().manual_seed(0))[:20].view(-1, 4).tolist()
    assert sum(spread) < sum(max(LENGTHS[i] for i in part) - min(LENGTHS[i] for i in part) for part in shuffled) / 2


def test_order_follows_seed_and_epoch() -> None:
    first, again = batches(), batches()
    epochs = [examples(first) for _ in range(4)]
    assert epochs == [examples(again) for _ in range(4)]
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert examples(batches(seed=1)) != epochs[0]
    left_out = {frozenset(range(len(LENGTHS))) - frozenset(epoch) for epoch in epochs}
    assert len(left_out) > 1, "not always the longest"


def test_evaluation_keeps_the_order() -> None:
    assert examples(batches(seed=None)) == list(range(len(LENGTHS)))


@pytest.mark.parametrize("consumed", [1, 4, 5, 7])
def test_resumes_at_the_next_batch(consumed: int) -> None:
    loader, everything = batches(), batches()
    whole = [x.tolist() for _ in range(3) for x, _ in everything]
    for _ in range(consumed // 5):
        list(loader)
    if rest := consumed % 5:
        list(islice(loader, rest))
    resumed = batches()
    resumed.load_state_dict(loader.state_dict())
    assert [x.tolist() for _ in range(2) for x, _ in resumed][:5] == whole[consumed : consumed + 5]


def test_targets_may_be_sequences() -> None:
    pairs = LengthBatches(sequences(), [-s for s in sequences()], batch_size=4, seed=0, pad_target=7, weigh="steps")
    for batch in pairs:
        x, y = batch
        assert isinstance(batch.mask, torch.Tensor)
        assert torch.equal(y[batch.mask], -x[batch.mask])
        assert set(y[~batch.mask].tolist()) <= {7}
        assert batch.weight == int(batch.mask.sum())


def test_steps_may_have_axes() -> None:
    frames = [torch.rand(length, 2, 3) for length in (2, 5)]
    (batch,) = LengthBatches(frames, batch_size=2, seed=None)
    assert batch.targets is None
    assert isinstance(batch.inputs, torch.Tensor)
    assert batch.inputs.shape == (2, 5, 2, 3)
    assert torch.equal(batch.inputs[0, :2], frames[0])
    assert not batch.inputs[0, 2:].any()


def test_several_inputs_by_name() -> None:
    """Each is padded to its own longest, and so are targets."""
    parts = {"source": sequences(), "so far": [sequence[: i % 3 + 1] for i, sequence in enumerate(sequences())]}
    targets = [-sequence for sequence in parts["so far"]]
    seen = []
    loader = LengthBatches(parts, targets, batch_size=4, seed=0, pad_target=7, weigh="steps", drop_last=False)
    for batch in loader:
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.mask, dict)
        for name, whole in parts.items():
            x, mask = batch.inputs[name], batch.mask[name]
            numbers = (x[:, 0] - 1).tolist()
            lengths = [len(whole[number]) for number in numbers]
            assert x.shape == mask.shape == (len(numbers), max(lengths))
            assert mask.sum(1).tolist() == lengths
            assert torch.equal(x, mask * (torch.tensor(numbers)[:, None] + 1))
        assert isinstance(batch.targets, torch.Tensor)
        assert torch.equal(batch.targets, torch.where(mask, -x, 7))
        assert batch.weight == int(mask.sum())
        seen += numbers
    assert sorted(seen) == list(range(len(LENGTHS)))


def test_impossible_sequences_are_refused() -> None:
    with pytest.raises(DataError, match="each of at least one step"):
        LengthBatches([torch.zeros(0)], batch_size=1, seed=None)
    with pytest.raises(DataError, match="one for each sequence"):
        LengthBatches(sequences(), torch.zeros(3), batch_size=1, seed=None)
    with pytest.raises(DataError, match="must be as long as the inputs"):
        LengthBatches(sequences(), [sequence[:1] for sequence in sequences()], batch_size=1, seed=None)
    with pytest.raises(DataError, match=r"as many sequences of each part, received \[2, 21\]"):
        LengthBatches({"a": sequences(), "b": sequences()[:2]}, batch_size=1, seed=None)
    with pytest.raises(ConfigError, match="batch_size is 50, but there are only 21"):
        batches(batch_size=50)


CONFIG: dict[str, Any] = {
    "experiment": "lab.training.training.Training",
    "description": "A memory of the first token",
    "device": "cpu",
    "threads": 1,
    "checkpoint": {"steps": 4},
    "model": {
        "class_path": "supervised.classifier.Classifier",
        "init_args": {"encoder": {"class_path": "lab.encoders.Recurrent", "init_args": {"cell": "gru", "width": 16}}},
    },
    "data": {"class_path": "tests.support.sequences.FirstTokens"},
    "trainer": {
        "max_epochs": 12,
        "log_every": 5,
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.02}},
    },
}


def config(**trainer: Any) -> str:
    path = Path("first-tokens.yaml")
    path.write_text(yaml.safe_dump(CONFIG | {"trainer": CONFIG["trainer"] | trainer}))
    return str(path)


def test_recurrent_learns_across_padding() -> None:
    run = lab.run(config(), runs_dir="runs")
    assert (run.metrics["test/accuracy"] or 0) > 0.95
    assert lab.evaluate(run.dir).metrics == run.metrics


def test_killed_and_resumed_exactly() -> None:
    undisturbed = lab.run(config(max_epochs=2), runs_dir="undisturbed")
    with killing(11), pytest.raises(Killed):
        lab.run(config(max_epochs=2), runs_dir="runs")
    (run,) = local_runs(Path("runs"))
    assert list(run_differences(undisturbed.dir, resume(run.dir).dir)) == []
