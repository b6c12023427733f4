"""The state of an agent and its environments, as plain values: everything it needs to continue exactly."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agents.buffers.replay import Replay
from agents.compiled.packages import missing
from agents.environments.resumable import Strayed
from agents.spaces.observations import at, each
from lab.errors import CheckpointError
from lab.saving.checkpoint import mismatch, require_averages
from lab.saving.saver import Rows
from lab.system.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents.core.agent import Agent
    from lab.saving.checkpoint import Segment

REPLAY = ("observations", "next_observations", "actions", "rewards", "terminated", "truncated")


def agent_state(agent: Agent) -> dict[str, Any]:
    """Return the agent's state at the start of a rollout. Its replay buffer is `replay_rows`."""
    return {
        "plain": {name: getattr(agent, name) for name in agent.plain_state},
        "modules": {name: dict(module.state_dict()) for name, module in agent.learned_modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in agent.optimizers.items()},
        "episodes": list(agent.ep_info_buffer or ()),
        "logged": pending_rows(agent),
        "environments": agent.vec_env.state(),
        "memory": list(agent.memory),
        "reward_scale": agent.reward_scale.state_dict() if agent.reward_scale else None,
        "priorities": agent.replay.priorities.state_dict() if agent.replay and agent.replay.priorities else None,
        "random": random_state(agent.device),
        "programs": agent.packages.state_dict(),
    }


def misfit(agent: Agent, state: dict[str, Any], segments: Sequence[Segment]) -> str | None:
    """Return why a new agent cannot go on from a state that an agent with other settings had, or None."""
    modules, priorities = agent.learned_modules, agent.replay.priorities if agent.replay else None
    parts = {name: name in state["modules"] for name in {*modules, *state["modules"]}}
    parts |= {name: state.get(name) is not None for name in ("reward_scale", "priorities")}
    now = {*modules, *(["reward_scale"] if agent.reward_scale else []), *(["priorities"] if priorities else [])}
    copies = len(state["environments"]["rewards"])
    if copies != agent.n_envs:
        return (
            f"env.num_envs must stay {copies} when a run is resumed, received {agent.n_envs}: each copy continues its "
            "episode"
        )
    for name, there in parts.items():
        if there != (name in now):
            return f"the checkpoint does not fit the settings: {name} is {'' if there else 'not '}in it"
    for name, module in modules.items():
        if wrong := mismatch(state["modules"][name], module.state_dict()):
            return wrong
    try:
        if agent.replay:
            require_rows(agent.replay, segments, rows_added(state))
    except CheckpointError as error:
        return str(error)
    return None


def lacks(agent: Agent, state: dict[str, Any]) -> list[str]:
    """Return what an agent had when it was saved and has no more, without which it rounds otherwise."""
    wrong = missing(programs(state)) if agent.capture == "auto" and agent.device.type == "cpu" else None
    return [wrong] if wrong else []


def programs(state: dict[str, Any]) -> Any:
    """Return the state of the compiled programs. Earlier versions had none."""
    return state.get("programs", {"used": [], "known": []})


def rows_added(state: dict[str, Any]) -> int:
    """Return the rows that were added to the replay buffer. Version 0.1 counted them as DQN's calls."""
    plain = state["plain"]
    return int(plain.get("rows_added", plain.get("_n_calls", 0)))


def load_agent_state(agent: Agent, state: dict[str, Any], *, environments: bool = True) -> list[int]:
    """Restore what `agent_state` returned, except the random generators: see `load_randomness`.

    Return the indices of environments that could not be brought back to where they were.

    Args:
        environments: whether they go back to where they were.
    """
    for name in state["plain"].keys() & {*agent.plain_state}:  # no other attribute: the checkpoint may be a stranger's
        setattr(agent, name, state["plain"][name])
    agent.rows_added = rows_added(state)
    agent.packages.load_state_dict(programs(state))
    for name, module in agent.learned_modules.items():
        module.load_state_dict(state["modules"][name])
    # Version 0.1 saved a single optimizer.
    optimizers = state["optimizers"] if "optimizers" in state else dict.fromkeys(agent.optimizers, state["optimizer"])
    for name, optimizer in agent.optimizers.items():
        require_averages(optimizers[name], optimizer)
        optimizer.load_state_dict(optimizers[name])
    agent.ep_info_buffer = deque(state["episodes"], maxlen=agent._stats_window_size)
    agent.memory = tuple(part.to(agent.device) for part in state["memory"])
    if agent.reward_scale:
        agent.reward_scale.load_state_dict(state["reward_scale"])
    if agent.replay and agent.replay.priorities:
        agent.replay.priorities.load_state_dict(state["priorities"])
    if not environments:
        return []
    seen = agent.vec_env.restore(state["environments"])
    return [i for i, one in enumerate(seen) if one is not None and not _is_last(agent, i, one)]


def _is_last(agent: Agent, i: int, seen: Any) -> bool:
    if isinstance(seen, Strayed):
        return False
    same = each(np.array_equal, seen, at(agent._last_obs, i))
    return all(same.values()) if isinstance(same, dict) else bool(same)


def load_randomness(agent: Agent, state: dict[str, Any]) -> None:
    """Restore every random generator. Call it last: building and restoring other things may draw from them."""
    restore_random_state(state["random"], agent.device)


def pending_rows(agent: Agent) -> dict[str, Any]:
    """Return what SB3's logger has recorded but not yet written."""
    logger = agent.logger
    return {
        "values": dict(logger.name_to_value),
        "counts": dict(logger.name_to_count),
        "excluded": dict(logger.name_to_excluded),
    }


def load_pending_rows(agent: Agent, state: dict[str, Any]) -> None:
    """Restore what `pending_rows` returned."""
    agent.logger.name_to_value.update(state["values"])
    agent.logger.name_to_count.update(state["counts"])
    agent.logger.name_to_excluded.update(state["excluded"])


def replay_rows(buffer: Replay, saved: int, total: int) -> Rows:
    """Return the rows added after the first `saved` ones, of `total` added in all."""
    oldest = max(0, total - buffer.buffer_size)
    start = max(saved, oldest)
    rows = np.arange(start, total) % buffer.buffer_size
    return Rows(start, {name: torch.from_numpy(part[rows]) for name, part in _columns(buffer)}, oldest)


def load_replay(buffer: Replay, segments: Sequence[Segment], total: int) -> None:
    """Fill the buffer from segments, one at a time. Raises CheckpointError if they do not reach back far enough."""
    needed = require_rows(buffer, segments, total)
    for segment in segments:
        index = np.arange(segment.start, segment.stop)
        kept = index >= needed
        columns = dict(_columns(buffer))
        for name, rows in segment.load().items():
            columns[name][index[kept] % buffer.buffer_size] = rows.numpy()[kept]
    buffer.pos, buffer.full = total % buffer.buffer_size, total >= buffer.buffer_size


def require_rows(buffer: Replay, segments: Sequence[Segment], total: int) -> int:
    """Return the index of the first row that the buffer needs. Raises CheckpointError if the segments lack it."""
    needed = max(0, total - buffer.buffer_size)
    if total and min((segment.start for segment in segments), default=total) > needed:
        raise CheckpointError(
            f"a replay buffer of {buffer.buffer_size} needs the transitions from {needed:,} on, which the checkpoint "
            "no longer has; a buffer can be made smaller, not larger"
        )
    return needed


def _columns(buffer: Replay) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield all arrays of the buffer by name, `(rows, N, ...)`; parts of dict observations have names of their own."""
    for name in REPLAY:
        column = getattr(buffer, name)
        if isinstance(column, dict):
            yield from ((f"{name}.{key}", part) for key, part in column.items())
        else:
            yield name, column
