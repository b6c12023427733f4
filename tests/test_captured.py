"""A captured function computes, to the last bit, what it computes when it is called as it is."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.captured import MOST, Captured, captured
from agents.lean_adam import LeanAdam
from agents.losses import clipped_surrogate
from lab.encoders import MLP
from lab.encoders.conv import Conv, ConvStage
from tests.tasks import CPU, Counter, Env, Identity, dqn, ppo, together, weights

Function = Callable[..., Sequence[Tensor]]

NETS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)),
    "in place": lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(inplace=True), nn.Linear(16, 3)),
    "smooth": lambda: nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 3)),
    "batch norm": lambda: nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Linear(16, 3)),
    "layer norm": lambda: nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.LeakyReLU(), nn.Linear(16, 3)),
    "dropout": lambda: nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 3)),
    "conv": lambda: nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 2), nn.Flatten(), nn.Linear(4, 3)),
    "pooling": lambda: nn.Sequential(nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(2, 3)),
    "attention": lambda: nn.Sequential(nn.Unflatten(1, (2, 2)), Attention(), nn.Flatten(), nn.Linear(4, 3)),
    "memory": lambda: nn.Sequential(nn.Unflatten(1, (4, 1)), Last(), nn.Linear(8, 3)),
}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=False)[0]  # type: ignore[no-any-return]


class Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.GRU(1, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0][:, -1]  # type: ignore[no-any-return]


def training(net: nn.Module, wrap: Callable[[Function], Function]) -> Callable[[Tensor], list[Tensor]]:
    """Return a gradient step, with `wrap` around what gives the gradient; it returns all that it has computed."""
    optimizer = LeanAdam(net.parameters(), lr=0.05, fused=True)

    def gradient(x: Tensor) -> Sequence[Tensor]:
        y = net(x)
        return y.detach(), *optimizer.gradient([y], [torch.ones_like(y) / y.numel()])

    compute = wrap(gradient)

    def step(x: Tensor) -> list[Tensor]:
        y, norm, *gradients = compute(x)
        found = [y.clone(), norm.clone(), *(g.clone() for g in gradients)]
        optimizer.descend(norm, gradients, 0.1, lambda: "a test")
        return [*found, *(p.detach().clone() for p in (*net.parameters(), *net.buffers()))]

    return step


@pytest.mark.parametrize("name", NETS)
def test_training_is_the_same_to_the_last_bit(name: str) -> None:
    torch.manual_seed(0)
    net = NETS[name]()
    capturing: list[Captured] = []

    def capture(function: Function) -> Function:
        capturing.append(Captured(function, CPU))
        return capturing[0]

    steps = training(net, lambda function: function), training(copy.deepcopy(net), capture)
    for number in range(6):
        x = torch.randn(8, 4)
        found = []
        for step in steps:
            torch.manual_seed(number)  # dropout draws the same
            found.append(step(x))
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True)), number
    (program,) = capturing[0].programs.values()
    assert program is not None, "nothing was captured"


def test_inputs_may_be_dicts_and_numbers() -> None:
    def both(x: dict[str, Tensor], scale: float | Tensor) -> Sequence[Tensor]:
        return (x["a"] * scale + x["b"],)

    once = captured(both, CPU, "auto")
    for scale in (2.0, 0.1, -3.0):
        x = {"a": torch.randn(5), "b": torch.randn(5)}
        assert torch.equal(once(x, scale)[0], both(x, scale)[0])


def test_numbers_that_change_bound_as_python_numbers_do() -> None:
    loss = partial(clipped_surrogate, vf_coef=0.5)
    columns = [torch.randn(64) for _ in range(6)]

    def derivatives(clip: Any, value_clip: Any, *columns: Tensor) -> Sequence[Tensor]:
        return loss(*columns, clip_range=clip, clip_range_vf=value_clip)

    once = captured(derivatives, CPU, "auto")
    for clip in (0.2, 0.1, 0.3333):
        found, expected = once(clip, 2 * clip, *columns), derivatives(clip, 2 * clip, *columns)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_each_set_of_shapes_has_a_program_up_to_some() -> None:
    once = Captured(lambda x: (x.exp().sum(0),), CPU)
    for rows in (*range(1, MOST + 3), 2, MOST + 2):
        for _ in range(2):
            x = torch.randn(rows, 3)
            assert torch.equal(once(x)[0], x.exp().sum(0))
    assert len(once.programs) == MOST


UNREPEATABLE: dict[str, Function] = {
    "a number taken out": lambda x: (x * (2 if x.sum().item() > 0 else 3),),
    "a truth value": lambda x: (x * 2 if x.sum() > 0 else x * 3,),
    "a list": lambda x: (x * (2 if x.tolist()[0] > 0 else 3),),
    "an array": lambda x: (x * (2 if x.numpy()[0] > 0 else 3),),
    "places": lambda x: (x[(x > 0).nonzero().flatten()].sum(),),
    "a mask": lambda x: (x[x > 0].sum(),),
    "distinct values": lambda x: (x.sign().unique(),),
}


@pytest.mark.parametrize("name", UNREPEATABLE)
def test_what_depends_on_values_is_not_captured(name: str) -> None:
    function = UNREPEATABLE[name]
    once = Captured(function, CPU)
    for sign in (1, -1, 1):
        x = sign * (torch.rand(5) + torch.tensor([0.1, -2, 0.1, 0.1, -2]))
        assert torch.equal(once(x)[0], function(x)[0])
    assert list(once.programs.values()) == [None]


def test_large_convolutions_are_left_alone() -> None:
    """They would write to places of their own, and copying from there takes longer than what is saved."""
    net = nn.Conv2d(1, 8, 3)
    once = Captured(lambda x: (net(x),), CPU)
    for _ in range(2):
        x = torch.randn(32, 1, 32, 32)
        assert torch.equal(once(x)[0], net(x))
    assert list(once.programs.values()) == [None]


def test_never_means_never() -> None:
    def function(x: Tensor) -> Sequence[Tensor]:
        return (x,)

    assert captured(function, CPU, "never") is function
    assert captured(function, torch.device("mps"), "always") is function
    assert captured(function, torch.device("cuda"), "auto") is function


def test_torchs_compiler_is_not_loaded() -> None:
    """It takes longer to load than a short run does."""
    code = (
        "import sys, torch\n"
        "from agents.captured import Captured\n"
        "once = Captured(lambda x: (x.exp(),), torch.device('cpu'))\n"
        "once(torch.zeros(2)), once(torch.zeros(2))\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- Agents


class _Pictures(Counter):
    """Counts in the first pixels of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (1, 12, 12), np.uint8)

    def _show(self) -> Any:
        seen = np.zeros((1, 12, 12), np.uint8)
        seen[0, 0, :3] = self.at, self.episode, self.np_random.integers(255)
        return seen


SMALL_CONV = partial(Conv, stages=[ConvStage(4, kernel=4, stride=2)], hidden=[16])
AGENTS: dict[str, tuple[Any, Callable[[], Env], dict[str, Any]]] = {
    "dqn": (dqn, Counter, {"double": False}),
    "dqn, double": (dqn, Counter, {}),
    "dqn, dueling, prioritized": (dqn, Counter, {"dueling": True, "prioritized_alpha": 0.6, "n_steps": 3}),
    "dqn, batch norm": (dqn, Counter, {"encoder": partial(MLP, hidden=[16], batch_norm=True), "average": 0.9}),
    "dqn, pictures": (dqn, _Pictures, {"encoder": SMALL_CONV}),
    "ppo": (ppo, Counter, {"clip_range_vf": 0.2, "ent_coef": 0.01}),
    "ppo, one batch": (ppo, Counter, {"batch_size": 64, "share_encoder": False}),
    "ppo, stops early": (ppo, Counter, {"target_kl": 1e-3, "learning_rate": 0.05}),
    "ppo, normalised": (ppo, Counter, {"normalize_observations": True, "normalize_rewards": True}),
    "ppo, pictures": (ppo, _Pictures, {"encoder": SMALL_CONV}),
    "ppo, box": (ppo, lambda: Identity(spaces.Box(-1, 1, (3,), np.float32)), {}),
    "ppo, gsde": (ppo, lambda: Identity(spaces.Box(-1, 1, (3,), np.float32)), {"gsde": True, "sde_sample_freq": 4}),
    "ppo, switches": (ppo, lambda: Identity(spaces.MultiBinary(3)), {"ent_coef": 0.01}),
}


@pytest.mark.parametrize("name", AGENTS)
def test_agents_learn_the_same_to_the_last_bit(name: str) -> None:
    build, env, settings = AGENTS[name]
    agents = {capture: build(together(env, 2), capture=capture, **settings) for capture in ("auto", "never")}
    for agent in agents.values():
        torch.manual_seed(3)
        agent.learn(512)
    one, other = (weights(agent.policy) for agent in agents.values())
    assert torch.equal(one, other)
    capturing = [value for value in vars(agents["auto"]).values() if isinstance(value, Captured)]
    used = [once for once in capturing if once.programs]
    assert used
    assert all(program is not None for once in used for program in once.programs.values())


# --- On a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("name", ["relu", "smooth", "layer norm", "conv", "attention"])
def test_cuda_graphs_train_as_eager_steps_do(name: str) -> None:
    torch.manual_seed(0)
    cuda = torch.device("cuda")
    net = NETS[name]().to(cuda)
    eager = training(net, lambda function: function)
    graphs = training(copy.deepcopy(net), lambda function: captured(function, cuda, "always"))
    for _ in range(8):
        x = torch.randn(8, 4, device=cuda)
        for one, other in zip(eager(x), graphs(x), strict=True):
            torch.testing.assert_close(one, other)
