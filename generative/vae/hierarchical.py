"""Two stochastic layers, trained by the importance weighted bound (Burda et al. 2016, section 5 and appendix C)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from generative.vae.beginning import Initial, glorot
from generative.vae.doubly import PLAIN, Paths
from generative.vae.gaussians import log_bernoulli, log_normal, log_standard_normal
from generative.vae.importance import IWAE, Bound
from lab.config.types import PositiveInt
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.nn.decoders import DecoderFactory
from lab.nn.layers import Activation, dense

# Dimensions: K importance samples, B images, H units of the lower stochastic layer, Z of the upper one.


class HierarchicalVAE(IWAE):
    """An image depends on h, and h on z: p(z) p(h|z) p(x|h), with the posterior q(h|x) q(z|h).

    Args:
        encoder: the trunk under the posterior of h.
        decoder: from h to logits; null for the mirror of the encoder.
        lower_dim: units of h.
        latent_dim: units of z.
        hidden: widths of the dense layers between h and z, in each direction.
        activation: of these layers.
        samples, bound: as for the IWAE.
        initial, nll_samples, fid_samples: as for the VAE.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        lower_dim: PositiveInt = 100,
        latent_dim: PositiveInt = 50,
        hidden: Sequence[PositiveInt] = (100, 100),
        activation: Activation = "tanh",
        samples: PositiveInt = 5,
        bound: Bound = "iwae",
        initial: Initial = "default",
        nll_samples: PositiveInt = 500,
        fid_samples: PositiveInt | None = None,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            decoder=decoder,
            latent_dim=lower_dim,  # what lies between image and decoder
            samples=samples,
            bound=bound,
            initial=initial,
            nll_samples=nll_samples,
            fid_samples=fid_samples,
        )
        self.upper_dim = latent_dim
        self.up = nn.Sequential(
            dense(lower_dim, hidden, activation), nn.Linear(hidden[-1] if hidden else lower_dim, 2 * latent_dim)
        )
        self.down = nn.Sequential(
            dense(latent_dim, hidden, activation), nn.Linear(hidden[-1] if hidden else latent_dim, 2 * lower_dim)
        )
        if initial == "glorot":
            glorot(self.up, self.down)

    def log_weights(self, x: Tensor, samples: int, labels: Tensor | None = None, paths: Paths = PLAIN) -> Tensor:
        mean, log_variance = self(x)
        drawn = _drawn(mean.expand(samples, -1, -1), log_variance)  # (K, B, H)
        z = paths.used(_drawn(*self.up(drawn).chunk(2, dim=-1)))  # (K, B, Z)
        h = paths.used(drawn)
        expected, expected_log_variance = self.down(z).chunk(2, dim=-1)
        logits = self.decode(h.flatten(0, 1)).view(samples, *x.shape)  # (K, B, C, H, W)
        joint = log_bernoulli(logits, x) + log_normal(h, expected, expected_log_variance) + log_standard_normal(z)
        # z's density depends on h, which may have gradients, and on the weights of `up`, which may not.
        weights = {name: paths.fixed(value) for name, value in self.up.named_parameters()}
        above, above_log_variance = functional_call(self.up, weights, (h,)).chunk(2, dim=-1)
        of_h = log_normal(h, paths.fixed(mean), paths.fixed(log_variance))
        return joint - of_h - log_normal(z, above, above_log_variance)

    def from_prior(self, count: int) -> Tensor:
        """Return h drawn from p(h), `(count, H)`: z is drawn first."""
        mean, log_variance = self.down(torch.randn(count, self.upper_dim, device=self.device)).chunk(2, dim=-1)
        return _drawn(mean, log_variance)


def _drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return samples of a diagonal Gaussian, with its parameters' gradients."""
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
