"""What compiled programs gain, measured beside the agent that runs without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from agents.acceleration.made import Maker
from agents.core.agent import Agent
from lab.configuration import load
from lab.doctor import Tried, beside, timed
from lab.errors import ConfigError
from lab.experiment import Alternative
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

    def compiling(job: Job) -> None:
        agent_of(job).packages.make = maker

    def plain(job: Job) -> None:
        agent_of(job).packages.names = frozenset()

    with timed(config, compiling) as (job, ours), timed(config, plain) as (_, theirs):
        for _ in range(ROUNDS):
            ours(0)
        agent = agent_of(job)
        agent.packages.make = None
        say(f"measuring for {seconds:g} s")
        tried = beside(theirs, ours, Alternative("compiled programs", ""), seconds)
        return Gain(tried, len(agent.packages.used))


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
