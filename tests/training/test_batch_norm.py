"""A batch norm that would see one value per channel is found before the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lab.data import Batches, DataSpec
from lab.errors import ConfigError
from lab.runs.summary import Summary
from tests.training.models import Line, Regression

Train = Callable[..., Summary]
HERE = "tests.training.test_batch_norm"


class Normed(Regression):
    """Its norm sees one value per example and channel."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.body = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8))


class Spatial(Regression):
    """Its norm sees three values per example and channel."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.body = nn.Sequential(
            nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 8, 1), nn.BatchNorm1d(8), nn.AvgPool1d(3), nn.Flatten()
        )


class Frozen(Normed):
    """Its norm uses the statistics that it has."""

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.body.eval()
        return self

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.train()


class Loaded(Line):
    """The same points from a DataLoader, which keeps a smaller last batch."""

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Any:
        return DataLoader(TensorDataset(self.x[:100], self.y[:100]), batch_size or self.batch_size)


class Unknown(Line):
    """Batches that do not know the size of the smallest."""

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Any:
        return Plain(super().train(device, seed, batch_size=batch_size))


class Plain:
    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.state_dict, self.load_state_dict = batches.state_dict, batches.load_state_dict

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


@pytest.mark.parametrize(("data", "size"), [(Line, 1), (Loaded, 1), (Loaded, 33)])
def test_one_example_is_refused(train: Train, data: type, size: int) -> None:
    with pytest.raises(ConfigError, match=r"the batch norm body.1 needs at least 2 examples .*data.batch_size"):
        train(model=f"{HERE}.Normed", data=f"{data.__module__}.{data.__name__}", data__batch_size=size)
    assert not Path("runs").exists()


def test_one_example_that_nobody_foresaw(train: Train) -> None:
    with pytest.raises(ConfigError, match=r"the batch norm of the model needs at least 2 examples"):
        train(model=f"{HERE}.Normed", data=f"{HERE}.Unknown", data__batch_size=1)


@pytest.mark.parametrize(("model", "size"), [("Normed", 33), ("Spatial", 1), ("Frozen", 1)])
def test_sound_batch_norms_train(train: Train, model: str, size: int) -> None:
    run = train(model=f"{HERE}.{model}", data__batch_size=size, trainer__max_epochs=1)
    assert run.status == "completed"
