"""Negative controls: the comparison must find a difference when a resumed run leaves one part of its state out.

Each control replaces a function that resuming really calls; the tests assert that it was called.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from inspect import unwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import agents.checkpoints
import agents.experiment
from agents.buffers.priorities import Priorities
from agents.environments.resumable import Resumable
from agents.environments.vector import Environments
from agents.networks.normalization import RewardScale
from lab.cli.main import main
from lab.data.batches import TensorBatches
from lab.resuming import resume
from lab.saving import verify as verification
from lab.training.averaging import Averaging
from lab.training.loop.best import Best
from tests.faults.harness import SLOW, differences, run_killed, run_undisturbed, words

pytestmark = pytest.mark.fault(27)


class Control:
    """Replaces functions, and counts the calls of the replacements."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch, self.calls = patch, 0

    def replace(self, owner: Any, name: str, instead: Callable[..., Any]) -> None:
        """Put `instead` in the place of `owner.name`; it gets the real function and its arguments."""
        real = getattr(owner, name)

        def replaced(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return instead(real, *args, **kwargs)

        self.patch.setattr(owner, name, replaced)


def nothing(real: Any, *args: Any, **kwargs: Any) -> None:
    """Does not restore anything."""


def without_generators(control: Control) -> None:
    control.replace(agents.experiment, "load_randomness", nothing)


def without_replay_position(control: Control) -> None:
    def at_the_front(real: Any, buffer: Any, *args: Any) -> None:
        real(buffer, *args)
        buffer.pos = 0

    control.replace(agents.checkpoints, "load_replay", at_the_front)


def without_priorities(control: Control) -> None:
    control.replace(Priorities, "load_state_dict", nothing)


def without_reward_scale(control: Control) -> None:
    control.replace(RewardScale, "load_state_dict", nothing)


def without_memory(control: Control) -> None:
    def forget(real: Any, agent: Any, state: Any, **options: Any) -> Any:
        return real(agent, {**state, "memory": [torch.zeros_like(part) for part in state["memory"]]}, **options)

    control.replace(agents.checkpoints, "load_agent_state", forget)


def without_moments(control: Control) -> None:
    def from_zero(real: Any, optimizer: Any, state: Any) -> None:
        unwrap(real)(optimizer, {**state, "state": {}})

    control.replace(torch.optim.Optimizer, "load_state_dict", from_zero)


def without_environments(control: Control) -> None:
    """All copies begin a new episode instead of going on with theirs."""

    def begin(real: Any, environments: Environments, state: Any) -> list[Any]:
        environments.reset()
        return [None] * environments.num_envs

    control.replace(Environments, "restore", begin)


def without_an_action(control: Control) -> None:
    def shorter(real: Any, env: Resumable, state: Any) -> Any:
        return real(env, {**state, "actions": state["actions"][:-1]})

    control.replace(Resumable, "restore", shorter)


def without_position_in_the_epoch(control: Control) -> None:
    control.replace(TensorBatches, "load_state_dict", nothing)


def without_average(control: Control) -> None:
    control.replace(Averaging, "load_state_dict", nothing)


def without_best(control: Control) -> None:
    control.replace(Best, "load_state_dict", nothing)


CONTROLS: list[tuple[str, Callable[[Control], None]]] = [
    ("ppo", without_generators),
    ("ppo", without_moments),
    ("ppo", without_environments),
    ("dqn", without_generators),
    ("dqn", without_replay_position),
    ("prioritized", without_priorities),
    ("normalised", without_reward_scale),
    ("recurrent", without_memory),
    ("workers", without_environments),
    ("replay", without_an_action),
    ("vae", without_position_in_the_epoch),
    ("vae", without_moments),
    ("gan", without_position_in_the_epoch),
    ("gan", without_moments),
    ("classifier", without_position_in_the_epoch),
    ("accumulating", without_average),
    ("choosing", without_best),
]
OFTEN = [("ppo", without_generators), ("ppo", without_environments), ("vae", without_moments)]
OFTEN += [("vae", without_position_in_the_epoch)]
"""The controls that are tried here; `make faults` tries all."""
CASES = [
    pytest.param(kind, made, id=f"{kind}-{made.__name__}", marks=() if (kind, made) in OFTEN else SLOW)
    for kind, made in CONTROLS
]
FEW = {"ppo": 5, "replay": 5, "workers": 5, "normalised": 5, "recurrent": 5, "choosing": 80}
"""Safe points before the kill, so that there is a checkpoint and something left to do; 7 for the other kinds.
The best epoch of `choosing` is the eighth of ten, of nine steps each."""


Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    """Runs of a kind that earlier tests made: the undisturbed one and the killed one."""
    return {}


def pair(kind: str, pairs: dict[str, Pair], folder: Path) -> Pair:
    """Return an undisturbed run of this kind and a copy of a killed one."""
    if kind not in pairs:
        undisturbed, killed = run_undisturbed(kind).dir, run_killed(kind, FEW.get(kind, 7))
        pairs[kind] = (folder / kind / "undisturbed", folder / kind / killed.name)
        for run, kept in zip((undisturbed, killed), pairs[kind], strict=True):
            shutil.copytree(run, kept)
    undisturbed, killed = pairs[kind]
    return undisturbed, Path(shutil.copytree(killed, Path("copied", kind, killed.name).absolute()))


@pytest.mark.parametrize(("kind", "left_out"), CASES)
def test_hidden_difference_is_found(
    kind: str,
    left_out: Any,
    pairs: dict[str, Pair],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed, killed = pair(kind, pairs, tmp_path_factory.getbasetemp() / "pairs")
    control = Control(monkeypatch)
    left_out(control)
    resumed = resume(killed)
    assert control.calls, "resuming never calls what this control leaves out"
    assert differences(undisturbed, resumed.dir) != []


@SLOW
def test_verify_prints_first_difference(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A `sitecustomize.py` on the path makes resumed runs leave the generators out."""
    Path("sitecustomize.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "if sys.argv[0].endswith('fork_server.py') or 'resume' in sys.argv:\n"
        "    import agents.core.state\n"
        f"    called = Path({str(Path.cwd() / 'called')!r})\n"
        "    agents.core.state.load_randomness = lambda agent, state: called.touch()\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), *sys.path]))
    monkeypatch.setattr(verification, "ANYWHERE", 0.0)
    code = main(["verify", *words("ppo", total_timesteps=6000), "--kills", "1", "--runs-dir", "runs"])
    out = capfd.readouterr().out
    assert code == 1, out
    assert Path("called").exists()
    assert re.match(r"DIFFERENT after \d kills?: run 1, metrics.jsonl row \d+, ", out)
    assert "both runs are kept in" in out


def test_one_bit_is_a_difference() -> None:
    one, other = run_undisturbed("vae"), run_undisturbed("vae")
    assert differences(one.dir, other.dir) == []
    picture = next((other.dir / "media").glob("samples-*.png"))
    content = picture.read_bytes()
    picture.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert differences(one.dir, other.dir) == [f"media/{picture.name}: contents differ"]
    picture.unlink()
    (other.dir / "artifacts" / "encoder" / "encoder.json").write_text("{}")
    assert len(differences(one.dir, other.dir)) == 2
