"""Policy and value function: SB3's networks, with faster paths through them for the innermost loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor
from torch.distributions import Normal

from agents.networks.distributions import action_distribution
from agents.networks.extractor import EncoderExtractor, RecurrentState
from agents.spaces.observations import Tensors, at, each, rows_of

AT_ONCE = 4096
"""Observations whose values are computed together."""


class Heads(NamedTuple):
    """What the networks compute for `B` observations.

    Args:
        outputs: `(B, P)`, parameters of the distribution over actions.
        latent: `(B, L)`, the layer under them.
        values: `(B,)`.
        memory: for the next step.
    """

    outputs: Tensor
    latent: Tensor
    values: Tensor
    memory: RecurrentState


class ActorCritic(ActorCriticPolicy):
    """SB3's policy, so that its callbacks and `predict` work, with methods that build none of its objects."""

    pi_features_extractor: EncoderExtractor
    vf_features_extractor: EncoderExtractor

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.distribution = action_distribution(self.action_space, getattr(self, "log_std", None), gsde=self.use_sde)
        if isinstance(noise := self.action_dist, StateDependentNoiseDistribution):
            # SB3 draws it as part of a graph, which cannot be copied.
            noise.exploration_mat = noise.exploration_mat.detach()
            noise.exploration_matrices = noise.exploration_matrices.detach()
            noise.weights_dist = Normal(noise.weights_dist.mean, noise.weights_dist.stddev.detach())
        # An empty Sequential is the identity, but calling it takes as long as a small layer.
        self.after_trunk, self.after_value_trunk = (
            net if len(net) else _same for net in (self.mlp_extractor.policy_net, self.mlp_extractor.value_net)
        )

    @property
    def recurrent(self) -> bool:
        """Whether the encoder is recurrent."""
        return self.pi_features_extractor.recurrent

    def initial_memory(self, rows: int) -> RecurrentState:
        """Return the memory at the beginning of an episode: that of the policy's encoder, then of the value's own."""
        if not self.recurrent:
            return ()
        encoders: list[Any] = [extractor.encoder for extractor in self._extractors()]
        return tuple(part for encoder in encoders for part in encoder.initial_state(rows))

    def heads(self, observations: Tensors, memory: RecurrentState = (), starts: Tensor | None = None) -> Heads:
        """Evaluate one observation `(B, *shape)` per environment; `starts` `(B,)` is 1 where an episode begins."""
        if not self.recurrent:
            return self._heads([extractor.features(observations) for extractor in self._extractors()], ())
        assert starts is not None
        share = len(memory) // len(self._extractors())
        after: RecurrentState = ()
        features = []
        for i, extractor in enumerate(self._extractors()):
            seen, state = extractor.step(observations, memory[i * share : (i + 1) * share], starts)
            features.append(seen)
            after += state
        return self._heads(features, after)

    def heads_of_sequences(self, observations: Tensors, memory: RecurrentState, starts: Tensor) -> Heads:
        """Evaluate sequences `(T, B, *shape)` from the memory before them; results are `(T * B, ...)`."""
        share = len(memory) // len(self._extractors())
        features = [
            extractor.unroll(observations, memory[i * share : (i + 1) * share], starts).flatten(0, 1)
            for i, extractor in enumerate(self._extractors())
        ]
        return self._heads(features, ())

    def values(self, observations: Tensors, memory: RecurrentState = (), starts: Tensor | None = None) -> Tensor:
        """Return values `(B,)`."""
        if self.recurrent:
            return self.heads(observations, memory, starts).values
        latent = self.after_value_trunk(self.vf_features_extractor.features(observations))
        return cast(Tensor, self.value_net(latent)).squeeze(1)

    @torch.no_grad()
    def evaluate_rollout(
        self, outputs: Tensor, latents: Tensor, actions: Tensor, observations: Tensors | None
    ) -> Sequence[Tensor]:
        """Return log-probabilities of actions and, where observations are given, their values: `(T, N)` for arguments
        `(T, N, ...)`."""
        log_probs = self.distribution.log_prob(*(x.flatten(0, 1) for x in (outputs, latents, actions)))
        if observations is None:
            return (log_probs.reshape(actions.shape[:2]),)
        flat = each(lambda x: x.flatten(0, 1), observations)
        parts = [self.values(at(flat, slice(i, i + AT_ONCE))) for i in range(0, rows_of(flat), AT_ONCE)]
        return tuple(x.reshape(actions.shape[:2]) for x in (log_probs, torch.cat(parts)))

    @property
    def values_can_wait(self) -> bool:
        """Whether acting does not need the value function, so that values can be computed for many steps at once."""
        return not self.share_features_extractor and not self.recurrent

    def actor(self, observations: Tensors) -> tuple[Tensor, Tensor]:
        """Return `outputs` and `latent` of `Heads`; for policies without memory."""
        latent = self.after_trunk(self.pi_features_extractor.features(observations))
        return self.action_net(latent), latent

    def act(
        self, observations: Tensors, memory: RecurrentState, starts: Tensor | None
    ) -> tuple[Tensor, RecurrentState]:
        """Return the likeliest actions `(B, ...)`, and the memory."""
        with torch.no_grad():
            if not self.recurrent:
                return self.distribution.mode(self.actor(observations)[0]), ()
            heads = self.heads(observations, memory, starts)
            return self.distribution.mode(heads.outputs), heads.memory

    def _extractors(self) -> list[EncoderExtractor]:
        if self.share_features_extractor:
            return [self.pi_features_extractor]
        return [self.pi_features_extractor, self.vf_features_extractor]

    def _heads(self, features: list[Tensor], memory: RecurrentState) -> Heads:
        latent = self.after_trunk(features[0])
        values = self.value_net(self.after_value_trunk(features[-1]))
        return Heads(self.action_net(latent), latent, values.squeeze(1), memory)


def _same(x: Tensor) -> Tensor:
    return x
