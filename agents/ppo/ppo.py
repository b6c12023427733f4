"""Proximal policy optimisation (Schulman et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.acceleration.captured import Capture
from agents.buffers.rollout import Transitions
from agents.core.agent import sb3_schedule
from agents.core.on_policy import OnPolicy
from agents.ppo.losses import approximate_kl, clipped_surrogate, value_loss
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.training.optimization import CONSTANT, Schedule


class PPO(OnPolicy, stable_baselines3.PPO):
    """PPO with clipping and generalised advantage estimation (Schulman et al. 2016).

    Args:
        encoder: the trunk; policy and value each add one linear layer to it. A recurrent one makes this recurrent PPO.
        share_encoder: one trunk for both; otherwise one each, and the policy's is exported.
        net_arch: widths of further tanh layers between trunk and heads, for each head its own.
        learning_rate: of Adam.
        learning_rate_schedule: over the whole run.
        n_steps: steps of each environment per rollout.
        batch_size: transitions per gradient step; recurrent ones take whole sequences of `n_steps`.
        n_epochs: passes over each rollout.
        gamma: discount.
        gae_lambda: bias-variance trade-off of the advantages.
        clip_range: of the probability ratio.
        clip_range_schedule: over the whole run.
        clip_range_vf: how far a value may move in one update; null for no bound.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the value loss.
        max_grad_norm: largest norm of the gradient.
        target_kl: end the passes over a rollout once the policy has moved 1.5 times this far; null for never.
        ortho_init: orthogonal initialisation of all layers, the encoder's too unless it is pretrained.
        gsde: noise that depends on the state (Raffin et al. 2022), for Box actions.
        sde_sample_freq: steps after which that noise is drawn anew; -1: once per rollout.
        log_std_init: logarithm of the standard deviation of Box actions at the beginning.
        normalize_observations: by their running mean and variance, which are part of the policy.
        normalize_rewards: by the running standard deviation of the return, each within ±10; figures are of the true
            rewards.
        capture: `auto` repeats the tensor operations of acting and learning without Python on the CPU, by the programs
            of `lab compile` where there are any; `always` repeats them on a GPU too (CUDA graphs; not tried yet), and
            without these programs on the CPU; `never` runs plain PyTorch.
    """

    def __init__(
        self,
        env: VecEnv,
        seed: int,
        device: torch.device,
        *,
        encoder: EncoderFactory,
        share_encoder: bool = True,
        net_arch: Sequence[PositiveInt] = (),
        learning_rate: PositiveFloat = 3e-4,
        learning_rate_schedule: Schedule = CONSTANT,
        n_steps: PositiveInt = 2048,
        batch_size: PositiveInt = 64,
        n_epochs: PositiveInt = 10,
        gamma: Fraction = 0.99,
        gae_lambda: Fraction = 0.95,
        clip_range: PositiveFloat = 0.2,
        clip_range_schedule: Schedule = CONSTANT,
        clip_range_vf: PositiveFloat | None = None,
        ent_coef: NonNegativeFloat = 0.0,
        vf_coef: NonNegativeFloat = 0.5,
        max_grad_norm: PositiveFloat = 0.5,
        target_kl: PositiveFloat | None = None,
        ortho_init: bool = True,
        gsde: bool = False,
        sde_sample_freq: int = -1,
        log_std_init: float = 0.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        capture: Capture = "auto",
    ) -> None:
        if batch_size < 2 or (n_steps * env.num_envs) % batch_size:
            raise ConfigError(
                f"agent.batch_size must be at least 2 and divide a rollout of {n_steps} x {env.num_envs} "
                f"= {n_steps * env.num_envs} transitions, received {batch_size}"
            )
        if gsde and not isinstance(env.action_space, spaces.Box):
            raise ConfigError(
                f"agent.gsde needs Box actions, but this environment's action space is {env.action_space}"
            )
        if sde_sample_freq == 0 or sde_sample_freq < -1:
            raise ConfigError(f"agent.sde_sample_freq must be at least 1, or -1, received {sde_sample_freq}")
        super().__init__(
            env,
            encoder=encoder,
            share_encoder=share_encoder,
            net_arch=net_arch,
            ortho_init=ortho_init,
            log_std_init=log_std_init,
            adam_epsilon=1e-5,
            normalize_observations=normalize_observations,
            normalize_rewards=normalize_rewards,
            capture=capture,
            learning_rate=sb3_schedule(learning_rate, learning_rate_schedule),
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=sb3_schedule(clip_range, clip_range_schedule),
            clip_range_vf=clip_range_vf,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            target_kl=target_kl,
            use_sde=gsde,
            sde_sample_freq=sde_sample_freq,
            seed=seed,
            device=device,
        )
        if self.recurrent and batch_size % n_steps:
            raise ConfigError(
                f"agent.batch_size must be a multiple of agent.n_steps where the encoder is recurrent: it learns from "
                f"whole sequences of {n_steps}, received {batch_size}"
            )
        self.descent = self.make_descent(self.loss, self.policy.optimizer, max_grad_norm)

    def loss(
        self, batch: Transitions, epsilon: float | Tensor, value_epsilon: float | Tensor | None, with_figures: bool
    ) -> Sequence[Tensor]:
        """Return -L^CLIP + c1 L^VF - c2 S (equation 9), a scalar; then, if wished, what `_record` averages: KL
        divergence, share of clipped ratios, entropy and value loss, `(4,)`."""
        pi = self.policy.distribution
        outputs, latent, values = self.heads_of(batch)  # (B, P), (B, L), (B,)
        log_ratio = pi.log_prob(outputs, latent, batch.actions) - batch.log_probs  # (B,)
        ratio = log_ratio.exp()  # r = pi(a|s) / pi_old(a|s)
        loss = clipped_surrogate(ratio, batch.advantages, epsilon)
        loss = loss + self.vf_coef * value_loss(values, batch.returns, batch.values, value_epsilon)
        if self.ent_coef:
            loss = loss - self.ent_coef * pi.entropy(outputs, latent).mean()
        if not with_figures:
            return (loss,)
        with torch.no_grad():
            kl = approximate_kl(ratio, log_ratio)
            clipped = ((ratio - 1).abs() > epsilon).float().mean()
            entropy = pi.entropy(outputs, latent).mean()
            return loss, torch.stack((kl, clipped, entropy, value_loss(values, batch.returns)))

    def train(self) -> None:
        """Learn from the rollout: `n_epochs` passes in batches of `batch_size`."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self.descent.renew(self.ent_coef, self.vf_coef)
        progress = self._current_progress_remaining
        self.epsilon: float = self.clip_range(progress)  # type: ignore[operator]
        value_epsilon = None if self.clip_range_vf is None else float(self.clip_range_vf(progress))  # type: ignore[operator]
        self.figures: list[Tensor] = []
        always = self.target_kl is not None or self.descent.takes_several  # programs compute them on the way
        inputs = (
            (batch, self.epsilon, value_epsilon, always or epoch == self.n_epochs - 1)
            for epoch, batches in enumerate(self.passes(self.n_epochs))
            for batch in batches
        )
        steps = 0
        for figures in self.descent.along(inputs, singly=self.target_kl is not None):
            steps += 1
            self.figures += [part.clone() for part in figures]
            if self.target_kl is not None and bool(self.figures[-1][0] > 1.5 * self.target_kl):
                break
        self.descent.require_finite()
        each = self.n_steps * self.n_envs // self.batch_size
        self._n_updates += -(-steps // each)  # passes, as SB3 counts
        if self.target_kl is None:
            self.figures = self.figures[-each:]
        self.learn_statistics()
        self._record()
        self.stopwatch.lap("learning")

    def _record(self) -> None:
        """Record the figures of the last pass, which tell how far the update has gone; with `target_kl`, of all."""
        kl, clipped, entropy, value = torch.stack(self.figures).mean(0).tolist()
        record = self.logger.record
        record("train/approx_kl", kl)
        record("train/clip_fraction", clipped)
        record("train/entropy", entropy)
        record("train/value_loss", value)
        if self.descent.norms:
            record("train/grad_norm", self.descent.mean_norm())
        record("train/explained_variance", self.rollout_buffer.explained_variance())
        record("train/clip_range", self.epsilon)
        record("train/n_updates", self._n_updates)
        if hasattr(self.policy, "log_std"):
            record("train/std", float(self.policy.log_std.detach().exp().mean()))
