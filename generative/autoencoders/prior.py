"""A prior over the codes of a VQ-VAE, which makes a generative model of it (van den Oord et al. 2017, section 3.3)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.autoencoders.tokenizer import ImageTokenizer, load_tokenizer
from generative.autoregressive.gated import GatedPixelCNN
from generative.autoregressive.raster import draw
from generative.judges.generator import ImageGenerator
from lab.config.types import Artifact, FromRun, NonNegativeInt, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches
from lab.data.spec import DataSpec, mismatch
from lab.errors import ConfigError
from lab.training.captions import named_rows
from lab.training.optimization import ParameterGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, C H W of an image, h w of a map of codes, K codes.


class CodePrior(ImageGenerator):
    """A gated PixelCNN over the maps of codes that a trained VQ-VAE makes of binarised images.

    -log p(codes) - log p(image given codes) is an upper bound on the negative log-likelihood of an image: the codes are
    one of the many maps that could have made it. The VQ-VAE does not change. Its decoder takes the pixels for
    independent given the codes. With `pixel_layers` a second PixelCNN draws them one after another, given what the
    decoder says and the codes around each (Gulrajani et al. 2017, PixelVAE).

    Args:
        codes: the artifact `codebook` of a VQ-VAE.
        filters: of each layer of the PixelCNN of codes.
        layers: their number.
        kernel: side of their kernels, odd.
        first_kernel: side of the first layer's kernel, odd.
        pixel_filters: of each layer of the PixelCNN of pixels.
        pixel_layers: their number; 0 leaves the pixels to the VQ-VAE's decoder.
        fid_samples: samples that are judged beside test images, at most as many as there are; null for no judge.
    """

    averaged = ("prior", "pixels")

    def __init__(
        self,
        spec: DataSpec,
        *,
        codes: Artifact,
        filters: PositiveInt = 32,
        layers: PositiveInt = 6,
        kernel: PositiveInt = 3,
        first_kernel: PositiveInt = 5,
        pixel_filters: PositiveInt = 16,
        pixel_layers: NonNegativeInt = 0,
        fid_samples: PositiveInt | None = 10_000,
    ) -> None:
        super().__init__(spec, fid_samples)
        if isinstance(codes, FromRun):
            raise ConfigError(f"only a run finds the artifact of {codes.run}; give CodePrior a path")
        self.tokenizer: ImageTokenizer = load_tokenizer(Path(codes)).requires_grad_(False)
        self.tokenizer.pretrained = True  # type: ignore[assignment]  # it is initialised no more
        if reason := mismatch(self.tokenizer.encoder.spec, spec.input):
            raise ConfigError(f"the codebook in {codes} {reason}")
        size = self.tokenizer.codebook.size
        self.prior = GatedPixelCNN(vocab=size, filters=filters, layers=layers, kernel=kernel, first_kernel=first_kernel)
        self.pixels = PixelsGivenCodes(self.tokenizer, pixel_filters, pixel_layers) if pixel_layers else None

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        return {
            "test/nll": "-log p(codes) - log p(image given codes) in nats, of the binarised test images with their own "
            "codes: an upper bound on the negative log-likelihood",
            "test/nll_codes": "its first part: what the codes cost",
            "test/nll_given_codes": "its second part: what the image costs once its codes are known",
            "val/loss": "-log p(codes) - log p(image given codes) in nats",
            "pictures/samples": "decoded codes that were drawn from the prior; pixels are probabilities",
            "pictures/completions": "test images, and below each what the prior draws under the upper half of its "
            "codes",
            **self.judged,
        }

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.tokenizer.eval()  # its codebook must not follow anything
        return self

    def parameter_groups(self) -> list[ParameterGroup]:
        networks = filter(None, (self.prior, self.pixels))
        return [ParameterGroup([one for network in networks for one in network.parameters()])]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        x = torch.bernoulli(x)
        codes = self.tokenizer.encode(x)
        costs = {"codes": self.prior.nll(codes).mean(), "given_codes": self.given_codes(x, codes).mean()}
        return {"loss": costs["codes"] + costs["given_codes"], **costs}

    def given_codes(self, x: Tensor, codes: Tensor) -> Tensor:
        """Return -log p(image given codes) in nats, `(B,)`."""
        logits = self.tokenizer.decode(codes)
        return self.pixels.nll(x, logits, self._vectors(codes)) if self.pixels else independent(x, logits)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        losses = self.losses(batch)
        figures = {"nll": losses.pop("loss"), **{f"nll_{name}": cost for name, cost in losses.items()}}
        self.log_dict({f"test/{name}": value for name, value in figures.items()}, batch_size=batch.weight)

    @torch.no_grad()
    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The same codes, each drawn for itself by how often it occurs at its place in training images."""
        counts = torch.ones(*self.tokenizer.shape, self.tokenizer.codebook.size, device=self.device)
        for x, _ in plain_batches(data, self.device, seed=0):
            counts += F.one_hot(self.tokenizer.encode(torch.bernoulli(x)), counts.shape[-1]).sum(0)
        shares = counts / counts.sum(-1, keepdim=True)  # (h, w, K)

        def generate(count: int) -> Tensor:
            codes = shares.flatten(0, 1).multinomial(count, replacement=True).T  # (B, h * w)
            return self.tokenizer.decode(codes.view(count, *self.tokenizer.shape)).sigmoid()

        nats, images = torch.zeros(2, device=self.device), 0
        for x, _ in testing_batches(data, self.device):
            x = torch.bernoulli(x)
            codes = self.tokenizer.encode(x)
            cost = -shares.log().expand(len(x), -1, -1, -1).gather(3, codes[..., None]).sum((1, 2, 3)).mean()
            nats += len(x) * torch.stack([cost, independent(x, self.tokenizer.decode(codes)).mean()])
            images += len(x)
        code, image = (nats / images).tolist()
        found = {"test/nll": code + image, "test/nll_codes": code, "test/nll_given_codes": image}
        judgement = self._judging(data)
        if judgement:
            found["test/classifier_fid"] = float(judgement.figures(generate)["classifier_fid"])
        return {"independent codes": found, **super().baselines(data)}

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return images drawn given codes of the prior, with each pixel's probability as its grey value."""
        return self._decode(draw(self.prior, self._no_codes(count)))

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.tokenizer.reconstruct(images)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Samples, and images whose lower half the prior draws."""
        images, _ = batch
        x = torch.bernoulli(images[:16])
        codes = self.tokenizer.encode(x)
        drawn = [draw(self.prior, codes, first_row=self.tokenizer.shape[0] // 2) for _ in range(4)]
        shown = [x, *map(self._decode, drawn)]
        names = ("image", *["completed"] * len(drawn))
        return super().pictures(batch) | {"completions": named_rows(torch.cat(shown), names, len(x))}

    def _decode(self, codes: Tensor) -> Tensor:
        logits = self.tokenizer.decode(codes)
        return self.pixels.draw(logits, self._vectors(codes)) if self.pixels else logits.sigmoid()

    def _vectors(self, codes: Tensor) -> Tensor:
        return self.tokenizer.codebook.vectors[codes].movedim(-1, 1)

    def _no_codes(self, count: int) -> Tensor:
        return torch.zeros(count, *self.tokenizer.shape, dtype=torch.int64, device=self.device)


class PixelsGivenCodes(nn.Module):
    """A PixelCNN of binary images that sees the codes around each pixel, and what a decoder makes of all codes.

    Args:
        tokenizer: whose codes these are.
        filters: of each layer.
        layers: their number.
    """

    def __init__(self, tokenizer: ImageTokenizer, filters: int, layers: int) -> None:
        super().__init__()
        patch = math.ceil(tokenizer.encoder.spec.shape[-1] / tokenizer.shape[-1])
        self.around = nn.Sequential(
            nn.Conv2d(tokenizer.codebook.width, 4 * filters, 3, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(4 * filters, filters, patch, stride=patch),
        )
        self.network = GatedPixelCNN(filters=filters, layers=layers, first_kernel=5, context=filters + 1)

    def nll(self, x: Tensor, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return -log p(x given codes) in nats, `(B,)`, for images `(B, 1, H, W)` in {0, 1}, the decoder's logits of
        the same shape, and the vectors of the codes, `(B, D, h, w)`."""
        return self.network.nll(x, self._context(logits, vectors))

    @torch.no_grad()
    def draw(self, logits: Tensor, vectors: Tensor) -> Tensor:
        """Return the probabilities that the pixels of an image had when it was drawn, `(B, 1, H, W)`."""
        context = self._context(logits, vectors)
        drawn = draw(self.network, torch.zeros_like(logits), context)
        return self.network(drawn, context).sigmoid()  # type: ignore[no-any-return]

    def _context(self, logits: Tensor, vectors: Tensor) -> Tensor:
        height, width = logits.shape[2:]
        return torch.cat([logits, self.around(vectors)[..., :height, :width]], 1)


def independent(x: Tensor, logits: Tensor) -> Tensor:
    """Return -log p(x) in nats, `(B,)`, of independent pixels."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
