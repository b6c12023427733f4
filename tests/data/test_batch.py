from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

import lab
from lab.data import Batch, Batches, DataModule, DatasetInfo, DataSpec, InputSpec
from lab.data.batches import TensorBatches
from lab.data.loader import as_batches, training_batches
from lab.errors import ConfigError, DataError
from lab.resuming import resume
from lab.runs.summary import local_runs
from lab.saving.bitwise import run_differences
from tests.faults.harness import Killed, killing

CPU = torch.device("cpu")


def test_unpacks_as_a_pair() -> None:
    x, y = Batch(torch.zeros(3, 2), torch.ones(3))
    assert (x.shape, y.shape) == ((3, 2), (3,))


def test_weight_is_examples_by_default() -> None:
    assert Batch({"a": torch.zeros(3, 2), "b": torch.zeros(3)}).weight == 3
    assert Batch(torch.zeros(3, 2), weight=5).weight == 5


def test_to_moves_every_part() -> None:
    batch = Batch({"a": torch.zeros(2)}, torch.zeros(2), {"a": torch.ones(2, 1)}, weight=7).to("meta")
    assert isinstance(batch.inputs, dict)
    assert isinstance(batch.mask, dict)
    assert isinstance(batch.targets, Tensor)
    assert {t.device.type for t in (batch.inputs["a"], batch.targets, batch.mask["a"])} == {"meta"}
    assert batch.weight == 7


def test_pairs_become_batches() -> None:
    class Pairs(TensorBatches):
        def __iter__(self) -> Any:
            return (tuple(batch) for batch in super().__iter__())

    batches = as_batches(Pairs(torch.arange(6), torch.arange(6), batch_size=2, seed=None), CPU)
    assert [(type(batch), batch.weight) for batch in batches] == [(Batch, 2)] * 3


def test_other_batches_are_refused() -> None:
    class Triples(TensorBatches):
        def __iter__(self) -> Any:
            return ((x, y, x) for x, y in super().__iter__())

    with pytest.raises(DataError, match=r"a pair \(inputs, targets\) .* received a tuple of Tensor, Tensor, Tensor"):
        next(iter(as_batches(Triples(torch.arange(6), torch.arange(6), batch_size=2, seed=None), CPU)))


class Noisy(Dataset[Any]):
    """Draws from torch's global generator, as augmentations of tutorials do."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> Any:
        return torch.rand(2) + i, i


def loaders() -> list[DataLoader[Any]]:
    own = torch.Generator()
    return [
        DataLoader(Noisy(), 3, shuffle=True),
        DataLoader(Noisy(), 3, shuffle=True, generator=own),
        DataLoader(Noisy(), 3, sampler=RandomSampler(Noisy(), generator=own)),
        DataLoader(Noisy(), 3, shuffle=True, num_workers=1, multiprocessing_context="fork"),
    ]


def epochs(batches: Batches, count: int) -> list[Tensor]:
    return [x for _ in range(count) for x, _ in batches]


@pytest.mark.parametrize(("kind", "consumed"), [(0, 2), (0, 4), (1, 5), (2, 5), (3, 5)])
def test_dataloader_resumes_exactly(kind: int, consumed: int) -> None:
    whole = epochs(as_batches(loaders()[kind], CPU, seed=3), 3)
    assert len(whole) == 12
    assert not torch.equal(whole[0], whole[4]), "the second epoch has another order"
    first = as_batches(loaders()[kind], CPU, seed=3)
    seen = 0
    for _ in range(2):
        for _ in first:
            torch.rand(seen)  # what training draws in between does not matter
            seen += 1
            if seen == consumed:
                break
        if seen == consumed:
            break
    resumed = as_batches(loaders()[kind], CPU, seed=3)
    resumed.load_state_dict(first.state_dict())
    rest = epochs(resumed, 2)
    assert all(map(torch.equal, rest, whole[consumed:]))
    assert len(rest) > 4


def test_dataloader_leaves_randomness_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    epochs(as_batches(loaders()[0], CPU), 1)
    assert torch.equal(torch.rand(3), expected)


def test_dataloader_depends_on_seed() -> None:
    first, second = (epochs(as_batches(loaders()[1], CPU, seed=seed), 1) for seed in (0, 1))
    assert not torch.equal(first[0], second[0])


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (DataLoader(Endless()), "a DataLoader of unknown length; give its data set a __len__"),
        ([(torch.zeros(1), torch.zeros(1))], "the list that it returned lacks state_dict, load_state_dict"),
        (TensorDataset(torch.zeros(1)), "the TensorDataset that it returned lacks __iter__, state_dict"),
    ],
)
def test_unresumable_data_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        as_batches(given, CPU)


class Patterns(DataModule):
    """A user's first data module: tensors in torch DataLoaders, whose batches are pairs."""

    def __init__(self, *, batch_size: int = 16) -> None:
        self.batch_size = batch_size

    def prepare(self) -> None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (160,), generator=generator)
        images = torch.rand(160, 1, 8, 8, generator=generator) / 2 + labels.view(-1, 1, 1, 1) / 2
        self.examples = TensorDataset(images, labels)
        self.spec = DataSpec(InputSpec((1, 8, 8)), classes=2)
        self.info = DatasetInfo("patterns")

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Any:
        return DataLoader(self.examples, batch_size or self.batch_size, shuffle=True)

    def validation(self, device: torch.device) -> Any:
        return DataLoader(self.examples, 64)

    def test(self, device: torch.device) -> Any:
        return DataLoader(self.examples, 64)


def test_a_run_from_dataloaders_resumes_exactly() -> None:
    config = {
        "extends": "cnn-mnist",
        "data": {"class_path": f"{__name__}.Patterns"},
        "model": {"init_args": {"encoder": {"class_path": "lab.encoders.MLP", "init_args": {"hidden": [8]}}}},
        "trainer": {"max_epochs": 2},
        "checkpoint": {"steps": 4},
        "device": "cpu",
        "threads": 1,
        "reference": None,
    }
    Path("patterns.yaml").write_text(yaml.safe_dump(config))
    undisturbed = lab.run("patterns.yaml", runs_dir="undisturbed")
    assert (undisturbed.metrics["test/accuracy"] or 0) > 0.9
    with killing(13), pytest.raises(Killed):
        lab.run("patterns.yaml", runs_dir="runs")
    (run,) = local_runs(Path("runs"))
    assert list(run_differences(undisturbed.dir, resume(run.dir).dir)) == []


class Few(Patterns):
    """Its loader leaves out the only batch, which is not full."""

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Any:
        return DataLoader(self.examples, len(self.examples) + 1, shuffle=True, drop_last=True)


def test_no_batches_are_refused() -> None:
    data = Few()
    data.prepare()
    with pytest.raises(ConfigError, match=r"data\.train\(\) returned no batches: .* a smaller data\.batch_size"):
        training_batches(data, CPU, seed=0)
