"""Saves an agent while it trains, and restores it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from agents.core.agent import Agent
from agents.core.state import agent_state, load_agent_state, load_pending_rows, load_replay, replay_rows
from agents.environments.resumable import Method
from agents.reporting import TrainingReporter
from lab.errors import CheckpointError
from lab.experiment import RunContext
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Rows


class Checkpoints:
    """Checkpoints of one training.

    Args:
        agent: the agent that learns.
        method: how its environments are restored.
    """

    def __init__(self, agent: Agent, method: Method) -> None:
        self.agent, self.method = agent, method
        self.rows_saved = 0

    def safe_point(self, context: RunContext, reporter: TrainingReporter) -> None:
        """Save if a checkpoint is due. Where episodes end at checkpoints, end them first."""
        assert context.saver is not None
        if self.method == "boundary" and context.saver.due(self.agent.num_timesteps):
            self.agent.begin_episodes()
        context.saver.safe_point(self.agent.num_timesteps, *self._state(reporter))

    def save(self, context: RunContext, reporter: TrainingReporter) -> None:
        """Save now."""
        assert context.saver is not None
        context.saver.save(self.agent.num_timesteps, *self._state(reporter))

    def restore(self, restored: Checkpoint, reporter: TrainingReporter, changed: Collection[str] = ()) -> str | None:
        """Restore agent, environments and reporter, except the random generators. Return why the run may not end as it
        would have without the interruption, or None.

        Raises CheckpointError if the checkpoint does not fit the settings.

        Args:
            changed: dotted names of the settings that differ from those that led to the checkpoint. Environments with
                other settings begin new episodes: the state of an old one would bring its settings back.
        """
        others = any(name.startswith("env.") and name != "env.timeout" for name in changed)
        try:
            strayed = self._restore(restored, reporter, changed, environments=not others)
        except (RuntimeError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(f"the checkpoint does not fit the settings: {reason}") from error
        if self.method == "none" or strayed or others:  # else the agent would act on observations of other episodes
            self.agent.begin_episodes()
        return f"environments {', '.join(map(str, strayed))} did not come back to where they were" if strayed else None

    def _restore(
        self, restored: Checkpoint, reporter: TrainingReporter, changed: Collection[str], *, environments: bool
    ) -> list[int]:
        agent, state = self.agent, restored.state
        strayed = load_agent_state(agent, state["agent"], environments=environments)
        reporter.load_state_dict(state["reporter"])
        reporter.adapt(changed, agent.num_timesteps)
        load_pending_rows(agent, state["agent"]["logged"])
        if agent.replay:
            self.rows_saved = agent.rows_added
            load_replay(agent.replay, restored.segments, self.rows_saved)
        return strayed

    def _state(self, reporter: TrainingReporter) -> tuple[Callable[[], Any], Callable[[], Rows] | None]:
        def state() -> dict[str, Any]:
            return {"agent": agent_state(self.agent), "reporter": reporter.state_dict()}

        def rows() -> Rows:
            assert self.agent.replay is not None
            before, self.rows_saved = self.rows_saved, self.agent.rows_added
            return replay_rows(self.agent.replay, before, self.rows_saved)

        return state, rows if self.agent.replay else None
