"""Super-resolution: two networks side by side, one of which plays a game; figures that can be checked by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import lab
from generative.gan.drawn import figures
from generative.gan.players import step
from generative.gan.srgan import SRGAN
from generative.gan.upscaling import bicubic, nearest_pixel
from generative.judges.classifier import Judge
from lab.data import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.encoders import Conv, ConvStage
from lab.errors import ConfigError
from lab.nn.superresolution import shrunk
from lab.training.optimization import Optimization, ParameterGroup, Schedule
from lab.training.restoring import with_settings
from lab.training.settings import TrainerSettings

SPEC = DataSpec(InputSpec((1, 8, 8)), classes=3)
HALF = partial(shrunk, factor=2)
TINY: dict[str, Any] = {
    "encoder": partial(Conv, stages=(ConvStage(4, stride=2),), activation="leaky_relu"),
    "filters": 4,
    "blocks": 1,
    "factor": 2,
    "judged": False,
}


def images(count: int) -> Tensor:
    """Squares of different sizes, blurred by nothing."""
    place, size = torch.arange(8.0), torch.rand(count, 1) * 3 + 0.5
    inside = ((place - 3.5).abs() < size).float()
    return (inside[:, :, None] * inside[:, None]).unsqueeze(1)


def test_shrunk_pixels_are_means() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert shrunk(x, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert torch.equal(shrunk(nearest_pixel(2)(x), 2), x)
    flat = torch.full((1, 1, 3, 3), 0.25)
    assert torch.allclose(bicubic(4)(flat), torch.full((1, 1, 12, 12), 0.25))


def test_figures_of_known_images() -> None:
    torch.manual_seed(0)
    judge, x = Judge(SPEC).eval(), torch.rand(200, 1, 8, 8)
    labels = judge(x)[1].argmax(1)
    labels[:50] = (labels[:50] + 1) % 3  # so that the judge is right in three of four
    batches = [Batch(x[part], labels[part]) for part in (slice(0, 120), slice(120, 200))]
    originals = iter([batch.inputs for batch in batches])
    perfect = figures(lambda small: next(originals), batches, HALF, judge)  # type: ignore[arg-type, return-value]
    assert perfect["psnr"] == pytest.approx(100)
    assert perfect["class_kept"] == pytest.approx(0.75)
    assert perfect["class_share"] == pytest.approx(1)
    assert perfect["classifier_fid"] == pytest.approx(0, abs=1e-3)
    found = figures(lambda small: torch.full((len(small), 1, 8, 8), 0.5), batches, HALF, judge)
    assert found["psnr"] == pytest.approx(-10 * (x - 0.5).square().mean().log10().item())
    assert found["classifier_fid"] > perfect["classifier_fid"]


def test_average_begins_with_the_network() -> None:
    """What is averaged of the generator before the game is no network that never learned."""
    _, record = played(4, beginning=0.75)
    for one in record[:3]:
        assert torch.equal(one["generator.output.weight"], one["plain.output.weight"])


def played(steps: int, **settings: Any) -> tuple[SRGAN, list[dict[str, Any]]]:
    """Train by hand for so many steps; return the model, and its weights and figures after each."""
    torch.manual_seed(0)
    model = SRGAN(SPEC, **TINY | settings)
    model.total_steps = steps
    optimizers, schedules = model.configure_optimizers()
    model.optimizers, model.lr_schedulers = lambda: optimizers, lambda: schedules  # type: ignore[method-assign, assignment]
    model.manual_backward = lambda loss, inputs: loss.backward(inputs=inputs)  # type: ignore[method-assign, misc]
    record = []
    for _ in range(steps):
        told = model.training_step(Batch(images(16)), 0)
        record.append({**told, **{name: value.clone() for name, value in model.state_dict().items()}})
    return model, record


def test_game_begins_with_a_copy() -> None:
    _, record = played(6, beginning=0.5, generator_rate=1e-9)
    plain, generator = ([one[f"{name}.output.weight"] for one in record] for name in ("plain", "generator"))
    assert ["game_loss" in one for one in record] == [False] * 3 + [True] * 3
    assert torch.allclose(generator[5], plain[2], atol=1e-6), "the generator does not begin as the network was"
    assert not torch.allclose(plain[5], plain[2], atol=1e-6), "the network does not go on"
    assert torch.equal(record[2]["head.weight"], record[0]["head.weight"]), "the discriminator is trained too early"
    assert not torch.equal(record[5]["head.weight"], record[2]["head.weight"])


def test_frozen_layers_of_the_discriminator_stay() -> None:
    """As gradual unfreezing has it: a player trains what may change."""
    torch.manual_seed(0)
    model = SRGAN(SPEC, **TINY)
    ((optimizer, _),) = Optimization().build([ParameterGroup(model.encoder.parameters())], 1).values()
    model.manual_backward = lambda loss, inputs: loss.backward(inputs=inputs)  # type: ignore[method-assign, misc]
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    first, *others = [name for name, _ in model.encoder.named_parameters()]
    model.encoder.requires_grad_(False)
    step(model, optimizer, model.head(model.encoder(images(4))).sum())
    model.encoder.get_parameter(first).requires_grad_()
    step(model, optimizer, model.head(model.encoder(images(4))).sum())
    after = model.encoder.state_dict()
    assert not torch.equal(after[first], before[first])
    assert all(torch.equal(after[name], before[name]) for name in others)


def test_layers_of_the_discriminator_have_their_rates() -> None:
    model = SRGAN(SPEC, **TINY)
    model.optimization = Optimization(partial(torch.optim.SGD, lr=1.0), layer_rate=0.5)
    (plain, generator, discriminator), _ = model.configure_optimizers()
    assert [group["lr"] for group in (*plain.param_groups, *generator.param_groups)] == [1.0, model.generator_rate]
    layers = len(model.encoder.layers_in_order())
    wanted = [model.discriminator_rate * 0.5**height for height in range(layers + 1)]
    assert [group["lr"] for group in discriminator.param_groups] == pytest.approx(wanted)


def test_game_leaves_the_other_network_alone() -> None:
    """What is trained by the squared error alone depends on no setting of the game, bitwise."""
    one, other = (played(6, adversarial=weight)[0].state_dict() for weight in (0.0, 10.0))
    for name in one:
        if name.startswith("plain."):
            assert torch.equal(one[name], other[name])
    assert not torch.equal(one["generator.output.weight"], other["generator.output.weight"])


def test_both_networks_learn() -> None:
    torch.manual_seed(0)
    model, _ = played(80, beginning=0.5, filters=8)
    batches = [Batch(images(100), torch.zeros(100, dtype=torch.long))]
    repeated = figures(nearest_pixel(2), batches, HALF, None)["psnr"]
    for way in (model, model.alone):
        assert figures(way, batches, HALF, None)["psnr"] > repeated


@pytest.mark.parametrize("conditional", [False, True])
def test_discriminator_is_told_what_was_given(conditional: bool) -> None:
    torch.manual_seed(0)
    model, x = SRGAN(SPEC, **TINY, conditional=conditional), images(4)
    score, other = (model.score(x, given) for given in (HALF(x), 1 - HALF(x)))
    assert torch.equal(score, other) is not conditional


def test_sizes_must_divide() -> None:
    with pytest.raises(ConfigError, match=r"model.factor must divide the images' 8 x 8 pixels, received 16"):
        SRGAN(SPEC, **TINY | {"factor": 16})


def test_run_shows_both() -> None:
    run = lab.run(
        "srgan-mnist",
        {"data.name": "digits", "model.filters": 4, "model.blocks": 1, "threads": 1},
        runs_dir="runs",
        fast_dev_run=True,
    )
    assert set(run.baselines) == {"squared error alone", "bicubic", "nearest pixel"}
    for found in run.baselines.values():
        assert found.keys() == {"test/psnr", "test/class_kept", "test/class_share", "test/classifier_fid"}
    gained = (run.metrics["test/class_kept"] or 0) - run.baselines["squared error alone"]["test/class_kept"]
    assert run.metrics["test/class_gained"] == pytest.approx(gained, abs=1e-6)
    assert run.baselines["bicubic"]["test/psnr"] > run.baselines["nearest pixel"]["test/psnr"]
    model: Any = lab.load(run.dir)
    x = torch.rand(3, 1, 28, 28)
    assert model.reconstruct(x).shape == x.shape
    same = nearest_pixel(4)(shrunk(x, 4))  # as far as 7x7 pixels tell
    assert torch.allclose(model.reconstruct(x), model.reconstruct(same), atol=1e-5)
    assert not torch.allclose(model.reconstruct(x), model.reconstruct(x.flip(2)), atol=1e-3)


def test_fork_trains_with_its_settings() -> None:
    """Each optimizer has the new rate by a schedule of its own length."""
    model = SRGAN(SPEC, **TINY, beginning=0.5)
    model.total_steps = 20
    before = TrainerSettings(partial(torch.optim.SGD, lr=0.1))
    built = list(model.optimizers_of(before).values())
    for (optimizer, schedule), steps in zip(built, (15, 5, 5), strict=True):
        for _ in range(steps):
            optimizer.step()
            schedule.step()
    states, places = ([one.state_dict() for one in kind] for kind in zip(*built, strict=True))
    state = {"lightning": {"optimizer_states": states, "lr_schedulers": places}, "should_stop": False}
    after = TrainerSettings(partial(torch.optim.SGD, lr=1.0), Schedule(kind="linear"))
    new = with_settings(state, model, after, {"trainer.optimizer.lr", "trainer.schedule.kind"})["lightning"]
    rates = [one["param_groups"][0]["lr"] for one in new["optimizer_states"]]
    assert rates == pytest.approx([0.25, 0.5 * model.generator_rate, 0.5 * model.discriminator_rate])
    assert [one["_last_lr"][0] for one in new["lr_schedulers"]] == rates
