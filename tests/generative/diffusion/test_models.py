"""Diffusion and flow matching follow their fields, are guided to a class, and learn what can be learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from generative.diffusion.ddpm import DDPM
from generative.diffusion.guided import Guided, as_image, evenly
from generative.diffusion.matching import FlowMatching, Solver, flow
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError
from lab.nn.unet import UNet
from tests.generative.boards import Boards
from tests.generative.diffusion.gaussian import DEVIATION, MEAN

SPEC = DataSpec(InputSpec((1, 4, 4)), Classes(2))
SMALL = partial(UNet, channels=(8,))
MODELS: list[Callable[..., Guided]] = [DDPM, partial(DDPM, prediction="epsilon"), FlowMatching]
NAMES = ["v", "epsilon", "flow"]


def test_more_steps_than_levels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at most model.levels, 10, received 11"):
        DDPM(SPEC, network=SMALL, levels=10, steps=11, fid_samples=None)


def test_images_are_between_black_and_white() -> None:
    assert as_image(torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_loss_before_training_is_that_of_saying_zero(make: Callable[..., Guided]) -> None:
    torch.manual_seed(0)
    model, images = make(SPEC, network=SMALL, fid_samples=None), torch.rand(4_000, 1, 4, 4)
    x = 2 * images - 1
    labels = torch.zeros(4_000, dtype=torch.long)
    noise, image = 1.0, x.square().mean().item()
    expected = {"v": noise / 2 + image / 2, "epsilon": noise, "flow": noise + image}
    name = model.prediction if isinstance(model, DDPM) else "flow"
    assert model.losses(Batch(images, labels))["loss"].item() == pytest.approx(expected[name], rel=0.03)


def exact_velocity(x: Tensor, time: Tensor) -> Tensor:
    """E[x_1 - x_0 | x_t] on straight lines from N(0, 1) to the Gaussian."""
    spread = (1 - time) ** 2 + time**2 * DEVIATION**2
    return MEAN + (time * DEVIATION**2 - (1 - time)) / spread * (x - time * MEAN)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_flow_along_the_exact_field_lands_on_the_gaussian(solver: Solver, order: int) -> None:
    noise, errors = torch.linspace(-2, 2, 9).double(), []
    for steps in (20, 40):
        *_, x = flow(exact_velocity, noise, steps, solver)
        errors.append((x - (MEAN + DEVIATION * noise)).abs().max().item())
    assert errors[1] < 0.03
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.25), "the order of the solver"


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_guidance_goes_beyond_what_the_class_adds(make: Callable[..., Guided]) -> None:
    torch.manual_seed(0)
    model = make(SPEC, network=SMALL, fid_samples=None)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, time, labels = torch.randn(3, 1, 4, 4), torch.rand(3), torch.tensor([0, 1, 1])
    told, untold = model(x, time, labels), model(x, time, torch.full((3,), 2))
    assert (told - untold).abs().max() > 1e-3
    assert torch.equal(model.guided(x, time, labels, 0.0), told)
    assert torch.allclose(model.guided(x, time, labels, 1.5), told + 1.5 * (told - untold), atol=1e-4)


def test_a_tenth_of_the_classes_is_not_told() -> None:
    model = DDPM(SPEC, network=SMALL, fid_samples=None)
    labels = torch.arange(20_000) % 2
    found = model.forgetful(labels)
    changed = found != labels
    assert changed.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert (found[changed] == 2).all()


def test_even_times_leave_no_gap() -> None:
    times = evenly(1_000, torch.device("cpu"))
    assert times.sort().values.diff().max() < 1.01e-3
    assert 0 <= times.min() <= times.max() < 1
    assert not torch.equal(times, evenly(1_000, torch.device("cpu")))


@pytest.mark.parametrize("make", [DDPM, FlowMatching])
def test_classes_are_learned(make: Callable[..., Guided]) -> None:
    """Images of class 0 are black, those of class 1 white."""
    torch.manual_seed(0)
    model = make(SPEC, network=SMALL, steps=20, fid_samples=None)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        labels = torch.randint(2, (32,))
        images = labels.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).float()
        optimizer.zero_grad()
        torch.autograd.backward(model.losses(Batch(images, labels))["loss"])
        optimizer.step()
    with torch.no_grad():
        made = model.eval().generate(40, torch.arange(40) % 2).mean((1, 2, 3))
    assert made[0::2].mean() < 0.2
    assert made[1::2].mean() > 0.8


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_samples_follow_from_their_seed_and_class(make: Callable[..., Guided]) -> None:
    model = make(SPEC, network=SMALL, steps=2, fid_samples=None)
    first, again, other = (model.sample(3, prompt="1", seed=seed) for seed in (0, 0, 1))
    assert [image.tobytes() for image in first] == [image.tobytes() for image in again]
    assert [image.tobytes() for image in first] != [image.tobytes() for image in other]
    with pytest.raises(ConfigError, match="there is no class '7'"):
        model.sample(1, prompt="7")


class Uneven(Boards):
    """Nine boards in ten are of the first class."""

    def prepare(self) -> None:
        super().prepare()
        self.labels = (torch.arange(self.count) % 10 == 0).long()
        self.spec = SPEC


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_classes_are_as_frequent_as_in_training(make: Callable[..., Guided]) -> None:
    data = Uneven(side=4)
    data.prepare()
    model = make(SPEC, network=SMALL, fid_samples=None)
    model.adapt(data)
    torch.manual_seed(0)
    earlier = {name: value for name, value in model.state_dict().items() if name != "shares"}
    again = make(SPEC, network=SMALL, fid_samples=None)
    again.adapt(data)
    again.load_state_dict(earlier)
    assert again.shares.tolist() == [0.5, 0.5], "as models drew them before"
    assert model.usual_classes(10_000).float().mean().item() == pytest.approx(0.1, abs=0.01)
