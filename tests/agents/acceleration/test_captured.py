"""A captured function computes, to the last bit, what it computes when it is called as it is."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor, nn

from agents.acceleration.captured import MOST, MOST_RENEWED, PROOFS, Capture, Captured, Function
from agents.acceleration.descent import Descent
from agents.acceleration.tape import record
from agents.ppo.losses import clipped_surrogate, value_loss
from lab.encoders import MLP
from lab.encoders.networks.conv import Conv, ConvStage
from tests.support.tasks import CPU, Counter, Env, Identity, dqn, ppo, together, weights

Step = Callable[[Tensor, float], list[Tensor]]
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
    "random slopes": lambda: nn.Sequential(nn.Linear(4, 16), nn.RReLU(), nn.Linear(16, 3)),
    "weights of a sum": lambda: Sum(),
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


class Sum(nn.Module):
    """Autograd gives both of them the same gradient, in the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.zeros(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.one + self.other).T


def pair_of_steps(net: nn.Module, capture: Capture, device: torch.device = CPU) -> tuple[Step, Step]:
    """Return two ways to train the same network, ours and torch's; both return all that they have computed.

    Our rounds have six steps.
    """
    copied = copy.deepcopy(net)
    ours, theirs = (torch.optim.Adam(n.parameters(), lr=0.05, fused=True) for n in (net, copied))

    def loss(x: Tensor) -> Sequence[Tensor]:
        y = net(x)
        return y.mean(), y

    down = Descent(loss, net, ours, max_norm=0.1, device=device, capture=capture)
    steps = count()

    def mine(x: Tensor, rate: float) -> list[Tensor]:
        ours.param_groups[0]["lr"] = rate
        if next(steps) % 6 == 0:
            down.renew()
        found = [figure.clone() for figure in down.backward(x)]
        down.step()
        return [*found, *(x.detach().clone() for x in (*net.parameters(), *net.buffers()))]

    def other(x: Tensor, rate: float) -> list[Tensor]:
        theirs.param_groups[0]["lr"] = rate
        y = copied(x)
        theirs.zero_grad()
        y.mean().backward()
        nn.utils.clip_grad_norm_(copied.parameters(), 0.1)
        theirs.step()
        return [y, *(x.detach().clone() for x in (*copied.parameters(), *copied.buffers()))]

    return mine, other


@pytest.mark.parametrize("name", NETS)
def test_networks_are_captured(name: str) -> None:
    net = NETS[name]()
    once = Captured(lambda x: torch.autograd.grad(net(x).mean(), list(net.parameters())), net, CPU)
    for _ in range(PROOFS + 1):
        once(torch.randn(8, 4))
    assert once.proven


def on_cpu(function: Function) -> Captured:
    return Captured(function, nn.Identity(), CPU)


def test_inputs_may_be_dicts_and_numbers() -> None:
    def both(x: dict[str, Tensor], scale: float | Tensor) -> Sequence[Tensor]:
        return (x["a"] * scale + x["b"],)

    once = on_cpu(both)
    for scale in (2.0, 0.1, -3.0, 7.0, 1e-3, 11.0, 0.3):
        x = {"a": torch.randn(5), "b": torch.randn(5)}
        assert torch.equal(once(x, scale)[0], both(x, scale)[0])


def test_numbers_bound_as_python_numbers_do() -> None:
    columns = [torch.randn(64) for _ in range(5)]

    def gradients(clip: Any, value_clip: Any, *columns: Tensor) -> Sequence[Tensor]:
        ratio, values = (x.detach().requires_grad_() for x in columns[:2])
        advantages, returns, old = columns[2:]
        loss = clipped_surrogate(ratio, advantages, clip) + value_loss(values, returns, old, value_clip)
        return torch.autograd.grad(loss, [ratio, values])

    once = on_cpu(gradients)
    for clip in (0.2, 0.1, 0.3333, 0.7, 0.01, 0.15, 0.05):
        found, expected = once(clip, 2 * clip, *columns), gradients(clip, 2 * clip, *columns)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert once.proven


def test_types_have_programs() -> None:
    once = on_cpu(lambda x: (x * 3 + x.sum(),))
    for _ in range(PROOFS + 2):
        for kind in (torch.float32, torch.float64, torch.int64):
            x = (10 * torch.randn(5)).to(kind)
            (found,) = once(x)
            assert found.dtype == kind
            assert torch.equal(found, x * 3 + x.sum())
    assert len(once.proven) == 3


def test_constants_have_programs() -> None:
    once = on_cpu(lambda x, negate: (-x if negate else x * 2,))
    for _ in range(PROOFS + 2):
        for negate in (True, False):
            x = torch.randn(5)
            assert torch.equal(once(x, negate)[0], -x if negate else x * 2)
    assert len(once.proven) == 2


def test_inputs_changed_in_place() -> None:
    once = on_cpu(lambda x: (x * 2,))
    x = torch.zeros(3)
    for _ in range(PROOFS + 4):
        x += 1
        assert torch.equal(once(x)[0], x * 2)


def test_overwritten_constants_are_recomputed() -> None:
    def function(x: Tensor) -> Sequence[Tensor]:
        ones = torch.ones(3)
        twice = ones * 2
        ones += x
        return ones * twice, torch.zeros(3) + 1

    once = on_cpu(function)
    for _ in range(PROOFS + 4):
        x = torch.randn(3)
        assert all(torch.equal(a, b) for a, b in zip(once(x), function(x), strict=True))
    (program,) = once.proven.values()
    assert len(program.calls) == 4, "ones, the sum, the product and the second output; all else is constant"  # type: ignore[union-attr]


def test_unread_results_are_not_repeated() -> None:
    net = nn.Linear(4, 3)

    def gradient(x: Tensor) -> Sequence[Tensor]:
        loss = F.huber_loss(net(x), torch.zeros(len(x), 3))
        return torch.autograd.grad(loss, list(net.parameters()))

    def with_loss(x: Tensor) -> Sequence[Tensor]:
        loss = F.huber_loss(net(x), torch.zeros(len(x), 3))
        return (loss.detach(), *torch.autograd.grad(loss, list(net.parameters())))

    x = torch.rand(8, 4)
    without, everything = (record(function, [x]).calls for function in (gradient, with_loss))
    assert without is not None
    assert everything is not None
    assert len(without) < len(everything)


def test_unread_random_numbers_are_drawn() -> None:
    def draws(x: Tensor) -> Sequence[Tensor]:
        torch.rand(3)
        x.mul(2)
        return (x + torch.rand(3),)

    calls = record(draws, [torch.zeros(3)]).calls
    assert calls is not None
    assert len(calls) == 3, "both draws and the sum"


def test_shapes_have_programs() -> None:
    once = on_cpu(lambda x: (x.exp().sum(0),))
    for rows in (*range(1, MOST + 3), 2, MOST + 2):
        for _ in range(PROOFS + 2):
            x = torch.randn(rows, 3)
            assert torch.equal(once(x)[0], x.exp().sum(0))
    assert len(once.proven) == MOST


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
def test_value_dependence_is_not_captured(name: str) -> None:
    function = UNREPEATABLE[name]
    once = on_cpu(function)
    for sign in (1, -1, 1, 1, -1, -1, 1):
        x = sign * (torch.rand(5) + torch.tensor([0.1, -2, 0.1, 0.1, -2]))
        assert torch.equal(once(x)[0], function(x)[0])
    assert list(once.programs.values()) == [None]


class Stubborn(nn.Module):
    """Its output depends on more than weights and input, or on these in a way that no list of operations has."""

    def __init__(self, how: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.how, self.count, self.last = how, 0, torch.zeros(3)
        self.generator, self.kept = np.random.default_rng(0), [torch.zeros(3)]
        self.register_buffer("mean", torch.zeros(3))
        self.mean: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self, x)


def counts(self: Stubborn, x: Tensor) -> Tensor:
    self.count += 1
    return x * 2 if self.count > 5 else x


def compares(self: Stubborn, x: Tensor) -> Tensor:
    last, self.last = self.last, x.detach().clone()
    return x - last


def averages(self: Stubborn, x: Tensor) -> Tensor:
    self.mean = 0.9 * self.mean + 0.1 * x.detach()
    return x - self.mean


def collects(self: Stubborn, x: Tensor) -> Tensor:
    self.kept.append(x * 2)
    return x - self.kept[-2]


def looks(self: Stubborn, x: Tensor) -> Tensor:
    return x * float(np.from_dlpack(x)[0])


STUBBORN: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a count": counts,
    "the last input": compares,
    "a mean in a new buffer": averages,
    "a list": collects,
    "a view of NumPy's": looks,
    "chance, of Python": lambda self, x: x * (2 if random.random() < 0.5 else 1),
    "chance, of NumPy": lambda self, x: x * (2 if np.random.rand() < 0.5 else 1),
    "chance, of its own": lambda self, x: x + torch.from_numpy(self.generator.normal(size=3)),
}


@pytest.mark.parametrize("name", STUBBORN)
def test_hidden_state_is_not_captured(name: str) -> None:
    nets = [Stubborn(STUBBORN[name]) for _ in range(2)]
    once = Captured(lambda x: (nets[0](x),), nets[0], CPU)
    for number in range(PROOFS + 6):
        found, x = [], torch.randn(3)
        for function in (once, lambda x: (nets[1](x),)):
            random.seed(number)
            np.random.seed(number)
            found.append(function(x)[0])
        assert torch.equal(*found), number
    assert not once.proven


def test_lstm_is_unchanged() -> None:
    net = nn.LSTM(2, 4)
    once = Captured(lambda x: (net(x)[0],), net, CPU)
    for _ in range(PROOFS + 2):
        x = torch.randn(3, 8, 2)
        assert torch.equal(once(x)[0], net(x)[0])


def test_errors_come_through() -> None:
    net = nn.BatchNorm1d(3)

    def fails(x: Tensor) -> Sequence[Tensor]:
        net(x)
        raise ValueError("not today")

    once = Captured(fails, net, CPU)
    with pytest.raises(ValueError, match="not today"):
        once(torch.randn(4, 3))
    assert net.num_batches_tracked == 1, "that of the call which raised, and none of those that tried"


def test_changes_are_captured_again() -> None:
    dropout = nn.Dropout(0.5)
    net = nn.Sequential(dropout, nn.Linear(3, 3))
    once = Captured(lambda x: (net(x),), net, CPU)

    def same() -> bool:
        once.renew()
        found, x = [], torch.randn(8, 3)
        for function in (once, lambda x: (net(x),)):
            torch.manual_seed(0)
            found.append(function(x)[0].clone())
        return torch.equal(*found)

    assert all(same() for _ in range(PROOFS + 2))
    assert once.proven
    dropout.p = 0.1
    assert all(same() for _ in range(PROOFS + 2))
    net[1] = nn.Linear(3, 3)
    assert all(same() for _ in range(PROOFS + 2))
    net.eval()
    assert all(same() for _ in range(PROOFS + 2))
    once.renew()
    assert once.proven, "nothing has changed since"


@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_other_rounding_is_not_captured(name: str) -> None:
    """Torch computes their derivatives otherwise while operations are noted down, and rounds otherwise."""

    def gradient(x: Tensor) -> Sequence[Tensor]:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(getattr(x, name)(1).sum(), [x])

    once = on_cpu(gradient)
    for _ in range(PROOFS + 6):
        x = torch.randn(64, 16)
        assert torch.equal(once(x)[0], gradient(x)[0])
    assert not once.proven


def test_constant_change_stops_capture() -> None:
    once = on_cpu(lambda x: (x.exp(),))
    for number in range(MOST_RENEWED + 2):
        once.renew(number)
        for _ in range(PROOFS + 1):
            once(torch.zeros(2))
        assert bool(once.proven) == (number < MOST_RENEWED)


def test_large_convolutions_are_not_captured() -> None:
    """They would write to places of their own, and copying from there takes longer than what is saved."""
    net = nn.Conv2d(1, 8, 3)
    once = Captured(lambda x: (net(x),), net, CPU)
    for _ in range(PROOFS + 2):
        x = torch.randn(32, 1, 32, 32)
        assert torch.equal(once(x)[0], net(x))
    assert list(once.programs.values()) == [None]


def test_never_captures_nothing() -> None:
    def function(x: Tensor) -> Sequence[Tensor]:
        return (x,)

    wishes: list[tuple[str, Capture]] = [("cpu", "never"), ("mps", "always"), ("cuda", "auto")]
    for device, wish in wishes:
        once = Captured(function, nn.Identity(), torch.device(device), wish)
        x = torch.ones(2)
        assert all(once(x)[0] is x for _ in range(PROOFS + 3))


def test_compiler_is_not_loaded() -> None:
    """It takes longer to load than a short run does."""
    code = (
        "import sys, torch\n"
        "from agents.acceleration.captured import Captured\n"
        "once = Captured(lambda x: (x.exp(),), torch.nn.Identity(), torch.device('cpu'))\n"
        "for _ in range(9): once(torch.zeros(2))\n"
        "assert once.proven\n"
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


OFTEN = ("dqn", "dqn, dueling, prioritized", "dqn, batch norm", "ppo, pictures", "ppo, normalised", "ppo, gsde")
"""The agents of `make test`; `make faults` has all."""


@pytest.mark.parametrize("name", [pytest.param(one, marks=() if one in OFTEN else pytest.mark.slow) for one in AGENTS])
def test_agents_learn_bitwise_equally(name: str) -> None:
    build, env, settings = AGENTS[name]
    agents = {capture: build(together(env, 2), capture=capture, **settings) for capture in ("auto", "never")}
    for agent in agents.values():
        torch.manual_seed(3)
        agent.learn(512)
    one, other = (weights(agent.policy) for agent in agents.values())
    assert torch.equal(one, other)
    agent = agents["auto"]
    for once in (agent.descent._compute, agent.descent._follow):
        assert once.proven
        assert None not in once.programs.values(), "something could not be captured"


class _Anneals(BaseCallback):
    """Changes what SB3 lets callbacks change."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        model.ent_coef, model.vf_coef = 0.9 * model.ent_coef, 0.9 * model.vf_coef


class _Thaws(BaseCallback):
    """Trains the encoder from some time on."""

    def _on_step(self) -> bool:
        for parameter in self.model.encoder.parameters():  # type: ignore[attr-defined]
            parameter.requires_grad_(self.num_timesteps > 256)
        return True


CALLBACKS: dict[str, tuple[Any, type[BaseCallback], dict[str, Any]]] = {
    "ppo, annealed": (ppo, _Anneals, {"ent_coef": 0.1}),
    "ppo, thawed": (ppo, _Thaws, {}),
    "dqn, thawed": (dqn, _Thaws, {}),
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_change_captured_agents(name: str) -> None:
    build, callback, settings = CALLBACKS[name]
    agents = [build(together(Counter, 2), capture=capture, **settings) for capture in ("auto", "never")]
    for agent in agents:
        torch.manual_seed(3)
        before = weights(agent.encoder)
        agent.learn(768, callback=callback())
        assert not torch.equal(before, weights(agent.encoder))
    assert torch.equal(*(weights(agent.policy) for agent in agents))
