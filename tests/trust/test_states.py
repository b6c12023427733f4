"""A checkpoint whose hashes fit, and whose state does not fit what it is loaded into, is refused with a sentence."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lab
from lab.cli.main import main
from lab.errors import CheckpointError
from lab.saving.checkpoint import load, publish, require_averages
from lab.saving.saver import rolling
from lab.system.randomness import random_state, restore_random_state
from tests.faults.harness import run_killed
from tests.trust.test_forks import SIZES

WEIGHT = ("agent", "modules", "policy", "action_net.weight")
AVERAGE = ("state", 0, "exp_avg")

OF_AN_AGENT: list[tuple[tuple[Any, ...], Any]] = [
    ((), None),
    (("agent",), [1]),
    (("agent", "plain"), []),
    *((("agent", "plain", "num_timesteps"), what) for what in (7, True, None, math.nan, np.int64(-7))),
    *((("agent", "plain", "_n_updates"), what) for what in ("x", [1], 10**400)),
    (("agent", "plain", "_last_obs"), np.zeros(5)),
    *((WEIGHT, what) for what in (torch.zeros(7, 3), "x", None)),
    *((("agent", "optimizers", "policy", *AVERAGE), what) for what in (torch.zeros(1), np.zeros(3), 5)),
    (("agent", "environments", "rewards"), np.zeros(50)),
    (("agent", "random", "torch"), torch.zeros(3)),
    (("reporter",), {}),
    (("agent", "episodes"), 5),
]
OF_A_MODEL: list[tuple[tuple[Any, ...], Any]] = [
    ((), []),
    (("step",), 10**9),
    (("lightning",), None),
    (("lightning", "state_dict"), {}),
    (("lightning", "optimizer_states", 0, *AVERAGE), torch.zeros(1)),
    (("lightning", "optimizer_states"), [1, 2]),
    (("lightning", "loops"), {}),
    (("lightning", "callbacks"), 5),
    (("lightning", "lr_schedulers"), [{}]),
    (("batches",), {"epoch": "x"}),
]


def planted(value: Any, place: tuple[Any, ...], what: Any) -> Any:
    """Return a copy with something else at a place."""
    if not place:
        return what
    first, *rest = place
    if isinstance(value, Mapping):
        return {**value, first: planted(value[first], tuple(rest), what)}
    return [planted(one, tuple(rest), what) if at == first else one for at, one in enumerate(value)]


def replaced(checkpoint: Path, place: tuple[Any, ...], what: Any) -> None:
    """Write a checkpoint anew as somebody else would, who can write its hashes but not sign it."""
    one = load(checkpoint)
    shutil.rmtree(checkpoint)
    publish(checkpoint, planted(one.state, place, what), one.meta, one.segments, sign=False)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Killed runs with one checkpoint each."""
    place = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("WANDB_MODE", "disabled")
        found = {kind: run_killed(kind, 5).absolute() for kind in ("ppo", "classifier")}
    for folder in found.values():
        for older in rolling(folder / "checkpoints")[1:]:
            shutil.rmtree(older)
    return found


@pytest.mark.parametrize(
    ("kind", "place", "what"),
    [
        pytest.param(kind, *one, marks=pytest.mark.slow if at % 2 else ())
        for kind, found in (("ppo", OF_AN_AGENT), ("classifier", OF_A_MODEL))
        for at, one in enumerate(found)
    ],
)
def test_training_goes_on_from_no_other_state(
    kind: str, place: tuple[Any, ...], what: Any, killed: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("runs/theirs").absolute() / killed[kind].name
    shutil.copytree(killed[kind], folder)
    replaced(rolling(folder / "checkpoints")[0], place, what)
    capsys.readouterr()
    assert main(["resume", str(folder)]) in (2, 5)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lab: error: ")]
    assert len(said) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run("ppo-cartpole", SIZES, runs_dir=tmp_path_factory.mktemp("finished")).dir.absolute()


@pytest.mark.parametrize("name", ["final", "best"])
@pytest.mark.parametrize("state", ["text", "shape", "missing", "more", "value", "number"])
def test_nothing_is_done_with_other_weights(name: str, state: str, finished: Path) -> None:
    folder = Path(shutil.copytree(finished, Path("runs/ppo-cartpole", finished.name).absolute()))
    weights = load(folder / "checkpoints" / name).state
    changes: dict[str, Any] = {
        "text": "x",
        "shape": {**weights, "action_net.weight": torch.zeros(7, 3)},
        "missing": {key: one for key, one in weights.items() if key != "action_net.weight"},
        "more": {**weights, "other": torch.zeros(1)},
        "value": {**weights, "action_net.weight": "x"},
        "number": {1: torch.zeros(1)},
    }
    replaced(folder / "checkpoints" / name, (), changes[state])
    for words in (["eval"], ["eval", "--episodes", "1"], ["play", "-o", "x.gif"], ["export", "-o", "x.zip"]):
        assert main([*words, str(folder)]) == 5, words


@pytest.mark.parametrize("n", [10**12, 2**70, -1, "x", None])
def test_form_of_no_such_data_is_refused(n: Any, killed: dict[str, Path]) -> None:
    """A model is built from what the checkpoint says of its data, here as many classes as fit into no memory."""
    final = Path("runs/theirs").absolute() / killed["classifier"].name
    shutil.copytree(killed["classifier"], final)
    form = {"kind": "data", "input": {"kind": "input", "shape": [1, 8, 8]}, "target": {"kind": "classes", "n": n}}
    publish(final / "checkpoints" / "final", {}, {"form": form}, sign=False)
    Image.new("L", (8, 8)).save("in.png")
    assert main(["predict", str(final), "in.png"]) in (2, 5)


def test_averages_have_the_shape_of_their_parameters() -> None:
    """torch's fused step would read and write beside them in memory."""
    layer = nn.Linear(3, 4)
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.zeros(2, 3)).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    require_averages(saved, optimizer)
    for name in ("exp_avg", "exp_avg_sq"):
        for other in (torch.zeros(1), torch.zeros(3, 4), torch.zeros(0), 5, None):
            with pytest.raises(CheckpointError, match=f"{name} has another shape"):
                require_averages(planted(saved, ("state", 0, name), other), optimizer)
    require_averages(planted(saved, ("state", 0), {}), optimizer)


@pytest.mark.parametrize("place", [-1, 625, 2**31])
def test_generator_reads_nothing_beside_its_state(place: int) -> None:
    state = random_state(torch.device("cpu"))
    kind, key, _, *rest = state["numpy"]
    with pytest.raises(ValueError, match="has its place elsewhere"):
        restore_random_state({**state, "numpy": (kind, key, place, *rest)}, torch.device("cpu"))
    restore_random_state(state, torch.device("cpu"))
