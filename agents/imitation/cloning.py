"""Behaviour cloning (Pomerleau 1991): a classifier of the actions that another policy took, judged by its returns."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from agents.environments.making import TRIED_STEPS
from agents.environments.settings import EnvSettings
from agents.evaluation.aside import film
from agents.evaluation.episodes import EVALUATION, episode_seeds, figures, is_endless, play_episodes
from agents.evaluation.play import play
from agents.evaluation.together import Episodes
from agents.imitation.acting import Cloned, Random
from agents.spaces.observations import stack
from lab.capabilities import Episode, Showing
from lab.config.roles import Roles
from lab.config.types import Count
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.sets.recorded import Recorded
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError, EnvironmentFailedError
from lab.training.exportable import Exportable
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image
    from torchmetrics import Metric

FRAMES = 12


class BehaviourCloning(Exportable):
    """Learns by the cross-entropy to take the action that was recorded for an observation, out of A discrete ones.

    The targets of the data are actions (`lab.data.Recorded`, `targets: actions`). The test plays whole episodes with
    the likeliest actions: a clone that errs meets observations which were never recorded, so that its accuracy alone
    says little (Ross et al. 2011). Episodes of an environment without a time limit are cut off after 27,000 steps.

    Args:
        env: the environment that it is judged in, whose observations and actions are those that were recorded.
        encoder: the trunk.
        episodes: to play.
    """

    family = "agents"
    results = ("logits",)
    judged_seed = 0
    """Of the episodes that are judged: the same for all runs, so that their returns differ by the policies alone."""
    roles = Roles(episodes=("episodes",))
    descriptions = {
        "test/return_mean": "mean undiscounted return over deterministic episodes in the environment",
        "test/return_std": "standard deviation of these returns over the episodes",
        "test/length_mean": "mean length of these episodes in steps",
        "test/accuracy": "share of the recorded steps of held-out episodes in which it takes the recorded action",
        "pictures/episode": "frames of one of the judged episodes, at equal distances",
    }

    def __init__(
        self, spec: DataSpec, *, env: EnvSettings, encoder: EncoderFactory, episodes: Count = EVALUATION.episodes
    ) -> None:
        super().__init__(spec)
        self.classes = spec.require_classes("BehaviourCloning")
        self.env, self.episodes_judged = env, episodes
        self.encoder = build_encoder(encoder, spec.require_one_input("BehaviourCloning"))
        self.head = nn.Linear(self.encoder.features_dim, self.classes)
        self.returns: Episodes | None = None
        """What was played in the test."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(B, A)` for observations `(B, *spec.input.shape)`, images in [0, 1]."""
        return self.head(self.encoder(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, actions = batch
        return {"loss": F.cross_entropy(self(x), actions)}

    def metrics(self) -> dict[str, Metric]:
        return {"accuracy": MulticlassAccuracy(self.classes, average="micro")}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        x, actions = batch
        logits = self(x)
        for metric in metrics.values():
            metric.update(logits, actions)
        return {"loss": F.cross_entropy(logits, actions)}

    def adapt(self, data: DataModule) -> None:
        """Raise ConfigError where the environment's observations or actions are not those that were recorded."""
        seen, acted = self.played.spaces()  # one that fails when it is tried fails here, before the training
        form = self.spec.require_one_input("BehaviourCloning").shape
        if seen.shape != form:
            raise ConfigError(
                f"model.env gives observations of shape {seen.shape}, but those that were recorded have shape {form}"
            )
        if not isinstance(acted, spaces.Discrete) or acted.start != 0 or acted.n < self.classes:
            raise ConfigError(
                f"model.env must have at least {self.classes} discrete actions, as were recorded, received {acted}"
            )

    @cached_property
    def played(self) -> EnvSettings:
        """The environment as it is played, by a loaded run too: with generators of its own, and a time limit."""
        return self.env.with_own_generators().limited(EVALUATION.longest)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self._announce_limit()
        self.fast_dev_run, self.returns = fast_dev_run, None

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.returns = self._judged(Cloned(self))
        self.log_dict(figures("test", self.returns))

    def _judged(self, actor: Cloned | Random) -> Episodes:
        count = 2 if self.fast_dev_run else self.episodes_judged
        # Random actions are drawn in the order in which environments ask for them.
        seeds = episode_seeds(self.judged_seed, "judge", count)
        return play_episodes(actor, self.played, seeds, native=isinstance(actor, Cloned))

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Random actions."""
        _, acted = self.env.spaces()
        return {"random policy": figures("test", self._judged(Random(acted)))}

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The recorded episodes themselves, as far as they came to an end."""
        if not isinstance(data, Recorded) or not len(data.steps.returns):
            return {}
        return {"the recorded policy": {"test/return_mean": float(data.steps.returns.mean())}}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Frames of an episode, after the test."""
        if self.returns is None or not self.env.renders():
            return {}
        frames: list[Image] = []
        (seed,) = episode_seeds(self.judged_seed, "judge", 1)
        with suppress(EnvironmentFailedError):  # drawing needs a package, and the figures do not need the drawing
            frames = film(Cloned(self), self.played, seed, limit=20 if self.fast_dev_run else 250)
        shown = [torch.from_numpy(np.array(one.convert("RGB"))) for one in frames[:: -(-len(frames) // FRAMES) or 1]]
        return {"episode": grid(torch.stack(shown).permute(0, 3, 1, 2) / 255, columns=4)} if shown else {}

    def act(self, observation: Any) -> Any:
        """Return the likeliest action for one observation, in the environment's own form."""
        actions, _ = Cloned(self).act(stack([observation]))
        return actions[0]

    def reset(self) -> None:
        """Nothing is remembered."""

    def episodes(self, seed: int, count: int | None = None) -> list[Episode]:
        """Play `count` deterministic episodes, each from a seed that follows from `seed`; None: as many as are judged.
        `judged_seed` gives those of the figures.

        Raises EnvironmentFailedError.
        """
        seeds = episode_seeds(seed, "judge", count or self.episodes_judged)
        found = play_episodes(Cloned(self), self.played, seeds)
        return [Episode(*one) for one in zip(seeds, found.returns.tolist(), found.lengths.tolist(), strict=True)]

    def play(self, showing: Showing) -> Path | None:
        """Show one deterministic episode from each seed; see `lab.capabilities.Acts.play`."""
        self._announce_limit()
        return play(Cloned(self), self.played, showing)

    def _announce_limit(self) -> None:
        if is_endless(self.env):
            notice(
                f"{self.env.id} names no time limit, and truncated no episode in {TRIED_STEPS:,} steps of random "
                f"actions: the test, its pictures and lab play cut an episode off after {EVALUATION.longest:,} steps; "
                "gymnasium.wrappers.TimeLimit under model.env.wrappers sets another limit"
            )
