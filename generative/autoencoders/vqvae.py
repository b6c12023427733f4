"""The VQ-VAE: an autoencoder whose code is a map of discrete codes (van den Oord et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.autoencoders.patches import entropy_of, k_means
from generative.autoencoders.tokenizer import NAME, ImageTokenizer, save_tokenizer
from lab.config.types import NonNegativeFloat, PositiveInt, Probability
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.files import save_encoder
from lab.training import Model
from lab.training.captions import paired
from lab.training.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: B images, C H W of an image, h w of a map of codes, K codes of D numbers.

USED = 0.8  # of the codes: fewer are told
SHOWN = 64  # codes


class VQVAE(Model):
    """Equation 3 of the paper with Bernoulli pixels: the negative log-likelihood of an image given its codes, and how
    far the encoder's vectors are from these. The codes themselves are moving averages.

    Images are binarised dynamically, as for the VAE. A prior over the codes makes a generative model of it: `CodePrior`
    takes the artifact `codebook`.

    Args:
        encoder: in stages, such as Conv; its last map is that of the codes.
        codes: in the book, K.
        width: numbers of a code, D.
        commitment: weight of the squared distances of the encoder's vectors to their codes, beta.
        decay: of the moving averages.
    """

    family = "generative"

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        codes: PositiveInt = 256,
        width: PositiveInt = 16,
        commitment: NonNegativeFloat = 0.25,
        decay: Probability = 0.99,
    ) -> None:
        super().__init__(spec)
        image = spec.require_one_input("VQVAE")
        self.tokenizer = ImageTokenizer(image, encoder=encoder, size=codes, width=width, decay=decay)
        self.commitment = commitment
        self.uses = torch.zeros(codes)
        """How often each code was chosen in the test that runs, or ran last."""

    @property
    def descriptions(self) -> Mapping[str, str]:  # type: ignore[override]
        height, width = self.tokenizer.shape
        return {
            "test/nll_given_codes": "negative log-likelihood in nats of the binarised test images, given their codes",
            "test/commitment": "squared distance of the encoder's vectors to their codes, summed over an image",
            "test/codes_used": f"share of the {self.tokenizer.codebook.size} codes that are chosen at least once for a "
            "test image",
            "test/perplexity": "exponential of the entropy of the codes: so many codes, chosen alike, would be as "
            "unpredictable",
            "test/independent_nats": f"what the {height} x {width} codes of an image cost in nats, each coded by how "
            "often it occurs over all test images and places",
            "pictures/reconstructions": "binarised images, and below each what the decoder makes of its codes",
            "pictures/codes": "the same images, and the numbers of their codes as greys",
            "pictures/codebook": f"what the {SHOWN} most frequent codes look like, each in the middle of 3 x 3 places "
            "whose others have the most frequent one, in the order of their frequency",
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        x = torch.bernoulli(x)
        vectors = self.tokenizer.vectors(x)  # (B, h, w, D)
        chosen = self.tokenizer.codebook(vectors.flatten(0, 2))
        logits = self.tokenizer.decode_vectors(chosen.vectors.view_as(vectors))
        nll = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        commitment = chosen.distance.sum() / len(x)
        return {
            "loss": nll + self.commitment * commitment,
            "nll_given_codes": nll.detach(),
            "commitment": commitment.detach(),
        }

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.uses = torch.zeros(self.tokenizer.codebook.size, device=device)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        super().test_step(batch, batch_index)
        x, _ = batch
        self.uses += self.tokenizer.encode(torch.bernoulli(x)).flatten().bincount(minlength=len(self.uses))

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        used, entropy = int((self.uses > 0).sum()), entropy_of(self.uses)
        places = self.tokenizer.shape[0] * self.tokenizer.shape[1]
        self.log("test/codes_used", used / len(self.uses))
        self.log("test/perplexity", math.exp(entropy))
        self.log("test/independent_nats", places * entropy)
        if used < USED * len(self.uses):
            notice(f"{used} of {len(self.uses)} codes are in use: the others stand for nothing")

    @torch.no_grad()
    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Patches as they are, each replaced by the nearest of as many means (k-means), which are the probabilities of
        its pixels. There are none where patches do not fill the image."""
        sides = data.spec.require_one_input("VQVAE").require_image("VQVAE")[1:]
        if any(side % part for side, part in zip(sides, self.tokenizer.shape, strict=True)):
            return {}
        return {"k-means of patches": k_means(data, self.tokenizer.shape, self.tokenizer.codebook.size, self.device)}

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.tokenizer.reconstruct(images)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Reconstructions, maps of codes, and what single codes look like."""
        images, _ = batch
        columns = 16
        x = torch.bernoulli(images[: 2 * columns])
        codes = self.tokenizer.encode(x)
        greys = (codes[:columns, None] / self.tokenizer.codebook.size).expand(-1, x.shape[1], -1, -1)
        maps = F.interpolate(greys, size=x.shape[2:], mode="nearest")
        return {
            "reconstructions": paired(x, self.tokenizer.decode(codes).sigmoid(), ("image", "reconstruction"), columns),
            "codes": paired(x[:columns], maps, ("image", "codes"), columns),
            "codebook": grid(self._single_codes(codes)),
        }

    def _single_codes(self, codes: Tensor) -> Tensor:
        """Return an image for each of the most frequent codes, among the most frequent one: three places wide."""
        counts = codes.flatten().bincount(minlength=self.tokenizer.codebook.size)
        order = counts.argsort(descending=True)[:SHOWN]
        height, width = self.tokenizer.shape
        maps = order[0].repeat(len(order), height, width)
        maps[:, height // 2, width // 2] = order
        images = self.tokenizer.decode(maps).sigmoid()
        down, across = images.shape[2] // height, images.shape[3] // width  # pixels of a place
        top, left = max(0, height // 2 - 1) * down, max(0, width // 2 - 1) * across
        return images[..., top : top + 3 * down, left : left + 3 * across]

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {
            "encoder": partial(save_encoder, self.tokenizer.encoder),
            NAME: partial(save_tokenizer, self.tokenizer),
        }
