"""What compiled programs gain, measured beside the agent that runs without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from agents.compiled.made import Maker
from agents.core.agent import Agent
from lab.configuration import Config, load
from lab.doctor import Tried, beside, timed
from lab.errors import ConfigError
from lab.experiment import Alternative, Turn
from lab.job import Job

ROUNDS = 4
"""Of collecting and learning, in which each function of an agent is called."""


class Gain(NamedTuple):
    """Speeds without and with compiled programs, and how many of these ran."""

    tried: Tried
    used: int


def gain(
    name: str,
    words: Sequence[str],
    maker: Maker,
    *,
    seconds: float,
    trust: bool | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Gain:
    """Compile the programs of the experiment `name` that are missing, and time its training with and without them.

    Raises ConfigError where the experiment trains no agent on the CPU.
    """
    config = load(name, words, trust=trust)

    def without(job: Job) -> None:
        agent_of(job).packages.names = frozenset()

    with compiled(config, maker) as (agent, ours), timed(config, without) as (_, before):
        say(f"measuring for {seconds:g} s")
        tried = beside(before, ours, Alternative("compiled programs", ""), seconds)
        return Gain(tried, len(agent.packages.used))


@contextmanager
def compiled(config: Config, maker: Maker) -> Iterator[tuple[Agent, Turn]]:
    """Compile the programs of an agent that are missing; yield the agent, and what times it.

    Raises ConfigError where the experiment trains no agent on the CPU.
    """

    def compiling(job: Job) -> None:
        agent_of(job).packages.make = maker

    with timed(config, compiling) as (job, turn):
        for _ in range(ROUNDS):
            turn(0)
        agent = agent_of(job)
        agent.packages.make = None
        yield agent, turn


def agent_of(job: Job) -> Agent:
    """Return the agent of a prepared experiment. Raises ConfigError where its operations are not compiled."""
    agent = getattr(job.experiment, "agent", None)
    name = job.config.common.name
    if not isinstance(agent, Agent):
        raise ConfigError(f"{name} trains no agent; only what agents compute is compiled")
    if agent.device.type != "cpu" or agent.capture != "auto":
        raise ConfigError(
            f"{name}: programs are compiled for device=cpu with agent.capture=auto, received {agent.device.type} and "
            f"{agent.capture}"
        )
    return agent
