"""Super-resolution by an adversarial loss (Ledig et al. 2017, 'Photo-realistic single image super-resolution using a
generative adversarial network')."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.gan.losses import LOSSES, Game
from generative.gan.players import step
from generative.gan.upscaling import DESCRIPTIONS, bicubic, figures, nearest_pixel
from generative.judges.classifier import Judge
from lab.config.roles import Roles
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.superresolution import SuperResolution, shrunk
from lab.system.randomness import kept_randomness
from lab.training.captions import named_rows
from lab.training.model import Model
from lab.training.optimization import ParameterGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B images, C H W of an image. D is `score`, G is `generator`.

SHOWN = 20  # images of a picture


class SRGAN(Model):
    """Enlarges images whose pixels are means over squares of the pixels of real ones.

    The network is trained by the squared error alone at first. A copy of it then takes the generator's part in a game
    with a discriminator, which is the shared encoder with one linear layer. The network itself goes on as before, so
    that at the end both have made as many steps, and the figures of both stand side by side.

    Args:
        encoder: the discriminator's trunk.
        factor: by which height and width are divided, and multiplied again; a power of 2.
        filters: of the maps in the network.
        blocks: residual blocks.
        beginning: share of the steps before the game begins.
        loss: of both players, as for GAN.
        adversarial: weight of the generator's loss in the game, beside its squared error (equation 3).
        generator_rate: its learning rate in the game divided by that of the squared error alone.
        discriminator_rate: the discriminator's, divided by the same.
        judged: whether the judge of generators looks at what was enlarged.
    """

    family = "generative"
    roles = Roles(protocol=("judged",))
    steps: Tensor
    """Steps so far."""
    playing: Tensor
    """Whether the game has begun."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        factor: PositiveInt = 4,
        filters: PositiveInt = 32,
        blocks: PositiveInt = 4,
        beginning: Fraction = 0.5,
        loss: Game = "non-saturating",
        adversarial: NonNegativeFloat = 1e-3,
        generator_rate: PositiveFloat = 1.0,
        discriminator_rate: PositiveFloat = 1.0,
        judged: bool = True,
    ) -> None:
        super().__init__(spec)
        self.automatic_optimization = False
        image = spec.require_one_input("SRGAN")
        channels, height, width = image.require_image("SRGAN")
        if height % factor or width % factor:
            raise ConfigError(f"model.factor must divide the images' {height} x {width} pixels, received {factor}")
        self.factor, self.beginning, self.adversarial, self.game = factor, beginning, adversarial, LOSSES[loss]
        self.generator_rate, self.discriminator_rate = generator_rate, discriminator_rate
        self.plain = SuperResolution(channels, factor=factor, filters=filters, blocks=blocks)
        self.generator = copy.deepcopy(self.plain)
        self.encoder = build_encoder(encoder, image)
        self.head = nn.Linear(self.encoder.features_dim, 1)
        with kept_randomness():  # the first weights do not depend on whether they are judged
            self.judge = Judge(spec) if judged else None
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("playing", torch.tensor(False))
        self.test_data: DataModule | None = None
        self.descriptions = {
            "val/loss": "squared error of the generator's pixels, which are in [0, 1]",
            "val/plain_loss": "the same for the network that knows no other loss",
            "pictures/enlarged": "test images: shrunk, enlarged by cubic curves, by the network that was trained by "
            "the squared error alone, and by the generator; the original below",
            **(DESCRIPTIONS if judged else {"test/psnr": DESCRIPTIONS["test/psnr"]}),
        }

    def forward(self, small: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for small ones; before the game begins those of the network alone."""
        return (self.generator if self.playing else self.plain)(small).clamp(0, 1)  # type: ignore[no-any-return]

    def alone(self, small: Tensor) -> Tensor:
        """Return the same by the network that is trained by the squared error alone."""
        return self.plain(small).clamp(0, 1)  # type: ignore[no-any-return]

    def score(self, x: Tensor) -> Tensor:
        """Return the discriminator's scores `(B, 1)` of images `(B, C, H, W)`: high for real ones."""
        return self.head(self.encoder(x))  # type: ignore[no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        small = shrunk(x, self.factor)
        return {"loss": F.mse_loss(self(small), x), "plain_loss": F.mse_loss(self.alone(small), x)}

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        for_plain, for_generator, for_discriminator = self.optimizers()  # type: ignore[attr-defined]
        x, _ = batch
        small = shrunk(x, self.factor)
        if not self.playing and int(self.steps) >= self.first_move:
            self.generator.load_state_dict(self.plain.state_dict())
            self.playing.fill_(True)
        self.steps += 1
        loss = F.mse_loss(self.plain(small), x)  # not cut off: what is must not stay so
        self.require_finite({"plain_loss": loss})
        step(self, for_plain, loss)
        figures = {"plain_loss": loss.detach()}

        if self.playing:
            free = self.generator(small)  # G, (B, C, H, W)
            made = free.clamp(0, 1)  # real pixels are in this range too, and mostly at its ends
            real_score, fake_score = self.score(x), self.score(made.detach())
            loss_discriminator = self.game.discriminator(real_score, fake_score)
            self.require_finite({"discriminator_loss": loss_discriminator})
            step(self, for_discriminator, loss_discriminator)

            content, game = F.mse_loss(free, x), self.game.generator(self.score(made))
            self.require_finite({"content_loss": content, "game_loss": game})
            step(self, for_generator, content + self.adversarial * game)
            figures |= {"discriminator_loss": loss_discriminator, "content_loss": content, "game_loss": game}
        schedules: Any = self.lr_schedulers()
        for schedule in schedules if self.playing else schedules[:1]:
            schedule.step()
        return {name: value.detach() for name, value in figures.items()}

    def parameter_groups(self) -> list[ParameterGroup]:
        judging = [*self.encoder.parameters(), *self.head.parameters()]
        return [
            ParameterGroup(self.plain.parameters(), optimizer="plain"),
            ParameterGroup(self.generator.parameters(), optimizer="generator", rate=self.generator_rate),
            ParameterGroup(judging, optimizer="discriminator", rate=self.discriminator_rate),
        ]

    def configure_optimizers(self) -> Any:
        """The schedule of the players is over the steps of their game."""
        alone, *players = self.parameter_groups()
        moves = max(1, self.total_steps - self.first_move)
        built = self.optimization.build([alone], self.total_steps) | self.optimization.build(players, moves)
        return [optimizer for optimizer, _ in built.values()], [schedule for _, schedule in built.values()]

    @property
    def first_move(self) -> int:
        """Steps before the game begins."""
        return round(self.beginning * self.total_steps)

    def settle(self, data: DataModule) -> None:
        if self.judge:
            self.judge.learn(data, fast_dev_run=self.fast_dev_run)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        if self.judge:
            self.judge.require_trained(data, fast_dev_run=fast_dev_run)
        self.test_data = data

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """All figures are over the whole split."""

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        assert self.test_data is not None
        found = self._figures(self.test_data, self)
        if self.judge:
            alone = self._figures(self.test_data, self.alone)
            found["test/class_gained"] = found["test/class_kept"] - alone["test/class_kept"]
            if found["test/class_gained"] < 0:
                notice("the game has cost classes: the judge sees fewer than in what the squared error alone enlarged")
        self.log_dict(found)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The network trained by the squared error alone, for as many steps, and two that nobody trained."""
        ways = {
            "squared error alone": self.alone,
            "bicubic": bicubic(self.factor),
            "nearest pixel": nearest_pixel(self.factor),
        }
        return {name: self._figures(data, way) for name, way in ways.items()}

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        if self.judge is None:
            return {}
        right = [self.judge(x)[1].argmax(1) == labels for x, labels in testing_batches(data, self.device)]
        return {"originals": {"test/class_kept": torch.cat(right).float().mean().item()}}

    def reconstruct(self, images: Tensor) -> Tensor:
        with self.at_rest(seed=0):
            return self(shrunk(images, self.factor))  # type: ignore[no-any-return]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """The same images, shrunk and enlarged in three ways."""
        x = batch.inputs[:SHOWN]  # type: ignore[index]
        small = shrunk(x, self.factor)
        rows = {
            "small": nearest_pixel(self.factor)(small),
            "bicubic": bicubic(self.factor)(small),
            "squared error": self.alone(small),
            "adversarial": self(small),
            "original": x,
        }
        return {"enlarged": named_rows(torch.cat(list(rows.values())), list(rows), len(x))}

    def _figures(self, data: DataModule, way: Any) -> dict[str, float]:
        found = figures(way, testing_batches(data, self.device), self.factor, self.judge)
        return {f"test/{name}": value for name, value in found.items()}
