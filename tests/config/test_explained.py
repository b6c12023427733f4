"""The settings of a class are those that its constructor takes, and no others."""

from __future__ import annotations

import inspect

import pytest

from agents.dqn import DQN
from agents.environments.settings import EnvSettings
from agents.ppo import PPO
from generative.vae import IWAE
from lab.config.explained import parameters
from lab.training.muon import MuonAdam


@pytest.mark.parametrize("cls", [DQN, PPO, IWAE, MuonAdam], ids=lambda cls: cls.__name__)
def test_a_class_that_hands_nothing_on_has_its_own_settings(cls: type) -> None:
    own = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    assert all(one.kind is not one.VAR_KEYWORD for one in own)
    assert [*parameters(cls)] == [one.name for one in own][1:]


def test_those_of_a_base_class_count_where_they_are_handed_on() -> None:
    class Base:
        def __init__(self, first: int, second: int = 2) -> None: ...

    class Derived(Base):
        def __init__(self, third: int = 3, **settings: int) -> None:
            super().__init__(**settings)

    assert {name: default for name, (_, default) in parameters(Derived).items()} == {
        "first": inspect.Parameter.empty,
        "second": 2,
        "third": 3,
    }


def test_a_setting_may_be_called_kwargs() -> None:
    assert "kwargs" in parameters(EnvSettings)
