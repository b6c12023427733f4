"""Anomaly detection: a VAE that never learns from one class tells its images by how badly they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from generative.autoencoders.pca import PCA
from generative.vae.vae import VAE
from lab.config.roles import Roles
from lab.config.types import NonNegativeInt, PositiveFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.nn.decoders import DecoderFactory
from lab.training.captions import captioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

WIDTHS = (4, 8, 16, 32)
"""Numbers of principal components beside the VAE: which of them is best, nobody knows without anomalies."""
SHOWN = 36  # anomalies


class AnomalyVAE(VAE):
    """A VAE of all classes but one, whose test images are the anomalies (An & Cho 2015).

    Scores of an image are the squared error of its reconstruction from the mean of its posterior, and its negative
    log-likelihood by importance sampling. The figures are areas under the ROC curve over all test images: the
    probability that an anomaly has a higher score than another image.

    Args:
        encoder, decoder, latent_dim, beta: as for the VAE.
        held_out: number of the class that is left out of training. `--vary model.held_out=0-9` repeats the experiment
            with each of ten.
        nll_samples: importance samples behind the likelihood of an image.
    """

    roles = Roles(repeats=("held_out",))

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: DecoderFactory | None = None,
        latent_dim: PositiveInt = 3,
        beta: PositiveFloat = 1.0,
        held_out: NonNegativeInt = 0,
        nll_samples: PositiveInt = 50,
    ) -> None:
        super().__init__(
            spec, encoder=encoder, decoder=decoder, latent_dim=latent_dim, beta=beta, nll_samples=nll_samples
        )
        classes = spec.require_classes("AnomalyVAE")
        if held_out >= classes:
            raise ConfigError(
                f"model.held_out must be the number of a class, from 0 to {classes - 1}, received {held_out}"
            )
        self.held_out = held_out

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        among = f"a test image of class {self.held_out}, which was never seen, has a higher"
        return {
            **super().descriptions,
            "test/auroc_error": f"probability that {among} squared error of reconstruction than one of another class: "
            "area under the ROC curve",
            "test/auroc_nll": f"probability that {among} negative log-likelihood than one of another class, by "
            f"{self.nll_samples} importance samples",
            "test/nll": "negative log-likelihood in nats of the binarised test images of all other classes",
            "test/nll_anomalies": f"the same for those of class {self.held_out}",
            "pictures/most_anomalous": "the test images that are the least likely, with class and negative "
            "log-likelihood in nats",
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The VAE's, of the images that are no anomalies."""
        normal = self.without_anomalies(batch)
        if len(normal):
            return super().losses(normal)
        nothing = 0.0 * self.posterior.bias.sum()  # with a gradient of zero
        return {"loss": nothing, "reconstruction": nothing.detach(), "kl": nothing.detach()}

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        if len(normal := self.without_anomalies(batch)):
            super().validation_step(normal, batch_index)

    def without_anomalies(self, batch: Batch) -> Batch:
        """Return the images of all other classes."""
        x, labels = batch
        normal = labels != self.held_out
        return Batch(x[normal], labels[normal])

    def adapt(self, data: DataModule) -> None:
        """Raise ConfigError where the class, or all others, have no test images."""
        found = {int(label) for _, labels in testing_batches(data, self.device) for label in labels}
        if self.held_out not in found or len(found) == 1:
            missing = "no class but" if self.held_out in found else "no image of class"
            raise ConfigError(f"AnomalyVAE tells test images apart, but there is {missing} {self.held_out} among them")

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        self.scored: list[Scored] = []

    def test_step(self, batch: Batch, batch_index: int) -> None:
        x, labels = batch
        error = (self.reconstruct(x) - x).square().flatten(1).sum(1)
        self.scored.append(Scored(labels == self.held_out, self.negative_log_likelihood(torch.bernoulli(x)), error))

    def on_test_epoch_end(self) -> None:
        anomalous, nll, error = (torch.cat(parts) for parts in zip(*self.scored, strict=True))
        self.log("test/auroc_error", auroc(anomalous, error))
        self.log("test/auroc_nll", auroc(anomalous, nll))
        self.log("test/nll", nll[~anomalous].mean())
        self.log("test/nll_anomalies", nll[anomalous].mean())

    @torch.no_grad()
    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The squared error of reconstruction by principal components of the same images, for several numbers of
        them."""
        normal = map(self.without_anomalies, plain_batches(data, self.device, seed=0))
        components = PCA((x for x, _ in normal), max(WIDTHS))
        test = list(testing_batches(data, self.device))
        anomalous = torch.cat([labels == self.held_out for _, labels in test])
        found: dict[str, dict[str, float]] = {}
        for width in WIDTHS:
            pca = components.narrowed(width)
            error = torch.cat([(pca.decode(pca.encode(x)) - x).square().flatten(1).sum(1) for x, _ in test])
            found[f"{width} principal components"] = {"test/auroc_error": auroc(anomalous, error)}
        return found

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Those of the VAE, and the least likely images of the batch."""
        x, labels = batch
        nll = self.negative_log_likelihood(torch.bernoulli(x))
        worst = nll.argsort(descending=True)[:SHOWN]
        captions = [(f"{int(labels[i])}, {nll[i]:.0f} nats",) for i in worst]
        heading = f"the least likely of {len(x)} test images; {self.held_out} was held out"
        return super().pictures(batch) | {"most_anomalous": captioned(x[worst], captions, heading)}


class Scored(NamedTuple):
    """Test images: whether each is an anomaly, and its scores, `(B,)` each."""

    anomalous: Tensor
    nll: Tensor
    error: Tensor


def auroc(anomalous: Tensor, scores: Tensor) -> float:
    """Return the probability that an anomaly has a higher score than another example, ties counted half (Fawcett
    2006); `anomalous` and `scores` are `(N,)`, and there is one of each at least."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(anomalous.cpu(), scores.double().cpu()))
