"""A network trained by the error of its pixels alone, and a copy of it that also plays an adversarial game, side by
side."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from generative.gan.drawn import Draw, descriptions, figures
from generative.gan.losses import LOSSES, Game
from generative.gan.players import step
from generative.judges.classifier import Judge
from lab.config.roles import Roles
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import DataSpec, InputSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.system.randomness import kept_randomness
from lab.training.captions import named_rows
from lab.training.model import Model
from lab.training.optimization import Optimization, ParameterGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

# Dimensions: B images, C H W of an image, G channels of what is given of it. D is `score`, G is `generator`.

SHOWN = 20  # images of a picture


class BesideTheGame(Model):
    """Draws images of which something is given.

    The network is trained by the error of its pixels alone at first. A copy of it then takes the generator's part in a
    game with a discriminator, which is the shared encoder with one layer. The network itself goes on as before, so that
    at the end both have made as many steps, and the figures of both stand side by side.

    Args:
        network: from what is given `(B, G, h, w)` to images `(B, C, H, W)`; they may leave [0, 1].
        encoder: the discriminator's trunk.
        seen: what the discriminator sees.
        beginning: share of the steps before the game begins.
        loss: of both players, as for GAN.
        adversarial: weight of the generator's loss in the game, beside the error of its pixels.
        generator_rate: its learning rate in the game divided by that of the network alone.
        discriminator_rate: the discriminator's, divided by the same.
        judged: whether the judge of generators looks at what was drawn.
    """

    family = "generative"
    roles = Roles(protocol=("judged",))
    alone_is: ClassVar[str]
    """What the network that plays no game is called in pictures and among the baselines."""
    steps: Tensor
    """Steps so far."""
    playing: Tensor
    """Whether the game has begun."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        network: nn.Module,
        encoder: EncoderFactory,
        seen: InputSpec,
        beginning: float,
        loss: Game,
        adversarial: float,
        generator_rate: float,
        discriminator_rate: float,
        judged: bool,
    ) -> None:
        super().__init__(spec)
        self.automatic_optimization = False
        self.beginning, self.adversarial, self.game = beginning, adversarial, LOSSES[loss]
        self.generator_rate, self.discriminator_rate = generator_rate, discriminator_rate
        self.plain = network
        self.generator = copy.deepcopy(self.plain)
        self.encoder = build_encoder(encoder, seen)
        self.head: nn.Module = nn.Linear(self.encoder.features_dim, 1)
        with kept_randomness():  # the first weights do not depend on whether they are judged
            self.judge = Judge(spec) if judged else None
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("playing", torch.tensor(False))
        self.test_data: DataModule | None = None
        self.descriptions = {
            "val/loss": "error of the pixels that the generator draws, which are in [0, 1]",
            "val/plain_loss": f"the same for the network that is trained by the {self.alone_is}",
            **descriptions(self.alone_is, judged=judged),
        }

    @abstractmethod
    def given(self, x: Tensor, numbers: torch.Generator | None = None) -> Tensor:
        """Return what is given of images, `(B, G, h, w)`. Random numbers are the generator's, or torch's own."""

    @abstractmethod
    def error(self, made: Tensor, x: Tensor) -> Tensor:
        """Return the error of the pixels, a scalar."""

    @abstractmethod
    def ways(self) -> Mapping[str, Draw]:
        """Return simple ways to draw images `(B, C, H, W)` in [0, 1] from what is given, by name."""

    @abstractmethod
    def shown(self, given: Tensor) -> Tensor:
        """Return what is given as it is drawn, `(B, C, H, W)` in [0, 1]."""

    def completed(self, made: Tensor, given: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` of what the network made and what is given. By default that is what it made."""
        return made

    def score(self, x: Tensor, given: Tensor) -> Tensor:
        """Return the discriminator's scores `(B, 1)` of images `(B, C, H, W)`: high for real ones."""
        return self.head(self.encoder(x))  # type: ignore[no-any-return]

    def forward(self, given: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1]; before the game begins those of the network alone."""
        return self._drawn(self.generator if self.playing else self.plain, given)

    def alone(self, given: Tensor) -> Tensor:
        """Return the same by the network that plays no game."""
        return self._drawn(self.plain, given)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        given = self.given(x)
        return {"loss": self.error(self(given), x), "plain_loss": self.error(self.alone(given), x)}

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        for_plain, for_generator, for_discriminator = self.optimizers()  # type: ignore[attr-defined]
        x, _ = batch
        given = self.given(x)
        if not self.playing and int(self.steps) >= self.first_move:
            self.generator.load_state_dict(self.plain.state_dict())
            self.playing.fill_(True)
        self.steps += 1
        loss = self.error(self.completed(self.plain(given), given), x)  # not cut off: what is must not stay so
        self.require_finite({"plain_loss": loss})
        step(self, for_plain, loss)
        if not self.playing:  # from the first step on: an average of its weights begins with them
            self.generator.load_state_dict(self.plain.state_dict())
        figures = {"plain_loss": loss.detach()}

        if self.playing:
            free = self.completed(self.generator(given), given)  # G, (B, C, H, W)
            made = free.clamp(0, 1)  # real pixels are in this range too, and mostly at its ends
            real_score, fake_score = self.score(x, given), self.score(made.detach(), given)
            loss_discriminator = self.game.discriminator(real_score, fake_score)
            self.require_finite({"discriminator_loss": loss_discriminator})
            step(self, for_discriminator, loss_discriminator)

            content, game = self.error(free, x), self.game.generator(self.score(made, given))
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

    def optimizers_of(self, settings: Optimization) -> dict[str, tuple[Optimizer, LambdaLR]]:
        """The schedule of the players is over the steps of their game."""
        groups, moves = self.groups_of(settings), max(1, self.total_steps - self.first_move)
        alone, players = ([one for one in groups if (one.optimizer == "plain") is wanted] for wanted in (True, False))
        return settings.build(alone, self.total_steps) | settings.build(players, moves)

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
                notice(f"the game has cost classes: the judge sees fewer than in what the {self.alone_is} drew")
        self.log_dict(found)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The network that plays no game, trained for as many steps, and ways that nobody trained."""
        ways = {self.alone_is: self.alone, **self.ways()}
        return {name: self._figures(data, way) for name, way in ways.items()}

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        if self.judge is None:
            return {}
        right = [self.judge(x)[1].argmax(1) == labels for x, labels in testing_batches(data, self.device)]
        return {"originals": {"test/class_kept": torch.cat(right).float().mean().item()}}

    def reconstruct(self, images: Tensor) -> Tensor:
        with self.at_rest(seed=0):
            return self(self.given(images))  # type: ignore[no-any-return]

    def compared(self, batch: Batch) -> Image:
        """Return the same images as they are given, as a simple way and both networks draw them, and as they are."""
        x = batch.inputs[:SHOWN]  # type: ignore[index]
        given = self.given(x)
        rows = {"given": self.shown(given)}
        (name, way), *_ = self.ways().items()
        if not torch.equal(simple := way(given), rows["given"]):
            rows[name] = simple
        rows |= {self.alone_is.removesuffix(" alone"): self.alone(given), "adversarial": self(given), "original": x}
        return named_rows(torch.cat(list(rows.values())), list(rows), len(x))

    def _drawn(self, network: nn.Module, given: Tensor) -> Tensor:
        return self.completed(network(given).clamp(0, 1), given)

    def _figures(self, data: DataModule, way: Draw) -> dict[str, float]:
        """All ways get the same, by numbers that are the same for all models."""
        numbers = torch.Generator(self.device).manual_seed(0)
        batches = testing_batches(data, self.device)
        found = figures(way, batches, lambda x: self.given(x, numbers), self.judge)
        return {f"test/{name}": value for name, value in found.items()}
