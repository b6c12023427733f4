"""Recorded episodes as data: divided by episodes, collected where they are missing, and never replaced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import lab
from lab.data import Recorded
from lab.data.catalog import data_dir
from lab.data.own.episodes import DESCRIPTION, write_episodes
from lab.data.sets.recorded import STAND_IN
from lab.errors import ConfigError, DataError
from lab.runs.summary import Summary
from tests.data.own.test_episodes import arrays

CPU = torch.device("cpu")
OPTIONS = {"env": "CartPole-v1", "n": 150, "pixels": "16x24"}
MODEL = {
    "class_path": "generative.vae.VAE",
    "init_args": {"latent_dim": 2, "nll_samples": 2, "encoder": {"class_path": "lab.encoders.MLP"}},
}


def prepared(**settings: Any) -> Recorded:
    data = Recorded(**{"batch_size": 4, **settings})
    data.prepare()
    return data


def greys(batches: Any) -> list[int]:
    return [round(float(one) * 255) for x, _ in batches for one in x[:, 0, 0, 0]]


def test_episodes_stay_whole() -> None:
    write_episodes(Path("poles"), arrays(steps=40, each=4), {"states": ["grey", "dark"]})
    data = prepared(path="poles", val_share=0.1, test_share=0.2)
    train, validation, test = greys(data.train(CPU, 0)), greys(data.validation(CPU)), greys(data.test(CPU))
    assert (sorted(train), validation, test) == ([*range(28)], [*range(28, 32)], [*range(32, 40)])
    assert not {one // 4 for one in train} & {one // 4 for one in [*validation, *test]}
    assert greys(data.unchanged(CPU)) == [*range(32)]


def test_targets_are_the_numbers_behind() -> None:
    write_episodes(Path("poles"), arrays(), {"states": ["grey", "dark"]})
    data = prepared(path="poles")
    assert data.spec.target is not None
    assert data.spec.target.names == ("grey", "dark")  # type: ignore[union-attr]
    for x, y in data.train(CPU, 0):
        assert torch.equal((x[:, 0, 0, 0] * 255).round(), y[:, 0])
        assert 0 <= x.min() <= x.max() <= 1


def test_vectors_stay_as_they_are() -> None:
    seen = np.linspace(-3, 3, 24, dtype=np.float32).reshape(12, 2)
    without = {name: array for name, array in arrays().items() if name != "states"}
    write_episodes(Path("poles"), without | {"observations": seen}, {})
    data = prepared(path="poles")
    assert data.spec.target is None
    assert np.array_equal(torch.cat([x for x, _ in data.unchanged(CPU)]).numpy(), seen[:8])


@pytest.mark.parametrize("shares", [(0.0, 0.2), (0.1, 0.0), (0.45, 0.5)])
def test_each_split_has_an_episode(shares: tuple[float, float]) -> None:
    write_episodes(Path("poles"), arrays(steps=12, each=4), {"states": ["grey", "dark"]})
    data = prepared(path="poles", val_share=shares[0], test_share=shares[1])
    assert min(len(greys(data.train(CPU, 0))), len(greys(data.test(CPU)))) >= 4
    assert (data.validation(CPU) is None) == (shares[0] == 0)


def test_too_few_episodes_are_refused() -> None:
    write_episodes(Path("poles"), arrays(steps=8, each=4), {"states": ["grey", "dark"]})
    with pytest.raises(DataError, match="has 2 episodes, and one is needed for each"):
        prepared(path="poles")
    with pytest.raises(ConfigError, match="must leave episodes to train on"):
        Recorded(val_share=0.5, test_share=0.5)


def test_the_stand_in_is_no_recording(capsys: pytest.CaptureFixture[str]) -> None:
    data = prepared()
    assert (data.info.name, data.info.path) == (STAND_IN, None)
    assert data.info.fallback
    assert "no recorded episodes" in data.notes[0]
    assert data.info.sha256 == prepared().info.sha256
    frames, (_, angle) = data.steps.observations[:, 0].float(), data.steps.states.T  # type: ignore[union-attr]
    dark = 255 - frames[:, 4:8]
    lean = (dark.sum(1) * torch.arange(30)).sum(1) / dark.sum((1, 2)) - 15 - data.steps.states[:, 0]  # type: ignore[index]
    assert torch.corrcoef(torch.stack([lean, angle]))[0, 1] > 0.95


def experiment(**collected: Any) -> str:
    data = {
        "class_path": "lab.data.Recorded",
        "init_args": {"batch_size": 32, "collected": {"name": "poles", "options": OPTIONS, **collected}},
    }
    config = {
        "experiment": "lab.training.Training",
        "model": MODEL,
        "data": data,
        "trainer": {"max_steps": 2},
        "device": "cpu",
    }
    Path("poles.yaml").write_text(yaml.safe_dump(config))
    return "poles.yaml"


def run(**settings: Any) -> Summary:
    return lab.run("poles.yaml", settings.pop("overrides", {}), **settings)


def test_missing_episodes_name_the_command() -> None:
    experiment()
    command = r"`lab collect CartPole-v1 --policy random -n 150 --pixels 16x24 --seed 0 -o \S*/poles` collects it"
    with pytest.raises(DataError, match=rf"poles is not in .*; {command}, or add --make-needed"):
        run()
    assert not Path("runs").exists()
    assert not data_dir().exists()


def test_make_needed_collects_them() -> None:
    experiment()
    first = run(make_needed=True)
    assert first.dataset["name"] == "poles"
    assert first.dataset["path"] is None
    told = json.loads((data_dir() / "poles" / DESCRIPTION).read_text())
    assert first.dataset["sha256"] == told["sha256"]
    assert told["options"] == {"policy": "random", "seed": 0, **OPTIONS}
    before = (data_dir() / "poles" / DESCRIPTION).stat().st_mtime_ns
    assert run(make_needed=True).metrics == first.metrics
    assert (data_dir() / "poles" / DESCRIPTION).stat().st_mtime_ns == before
    several = lab.run_seeds("poles.yaml", seeds=[first.seed], make_needed=True)
    assert [trial.how for trial in several.trials] == ["there"]

    with pytest.raises(ConfigError, match=r"was collected with n=150, and the config has n=99;"):
        run(overrides={"data.collected.options": {**OPTIONS, "n": 99}})
    shutil.rmtree(data_dir() / "poles")
    assert lab.load(first.dir).sample(2), "samples need no data"
    with pytest.raises(DataError, match=r"poles is not in .*` collects it$"):
        lab.evaluate(first.dir)
    run_again = lab.run("poles.yaml", {"data.collected.options": {**OPTIONS, "seed": 9}}, make_needed=True)
    assert run_again.dataset["sha256"] != first.dataset["sha256"]


def test_a_run_knows_its_episodes_again() -> None:
    """Those that were collected with other versions, and so have other bytes, do not continue it."""
    experiment()
    first = run(make_needed=True)
    folder = data_dir() / "poles"
    told = json.loads((folder / DESCRIPTION).read_text())
    shutil.rmtree(folder)
    write_episodes(
        folder,
        arrays(steps=150) | {"observations": np.zeros((150, 1, 16, 24), np.uint8)},
        {"states": ["grey", "dark"], "options": told["options"]},
    )
    with pytest.raises(ConfigError, match=r"does not hold the data that .* was trained on"):
        lab.evaluate(first.dir)


@pytest.mark.parametrize(
    ("collected", "sentence"),
    [
        ({"options": {**OPTIONS, "steps": 3}}, "data.collected.options: unknown option 'steps'"),
        ({"options": {"n": 3}}, "data.collected.options: env is missing"),
        ({"options": {**OPTIONS, "n": 0}}, "n must be a number from 1"),
        ({"command": "colect"}, "no command 'colect' makes data sets; did you mean 'collect'"),
        ({"name": "../poles"}, "needs a name of its own, received '../poles'"),
    ],
)
def test_wrong_recipes_are_refused(collected: dict[str, Any], sentence: str) -> None:
    experiment(**collected)
    with pytest.raises(ConfigError, match=sentence):
        run(make_needed=True)
    assert not data_dir().exists()


def test_a_strangers_config_collects_nothing() -> None:
    """It may name episodes that are there, and the message has the command for those that are not."""
    experiment()
    with pytest.raises(DataError, match="`lab collect CartPole-v1"):
        run(make_needed=True, trust=False)
    assert not data_dir().exists()
    experiment(options={**OPTIONS, "env": "../mine:Env-v0"})
    with pytest.raises(ConfigError, match=r"not signed as yours.*may be a path"):
        run(make_needed=True, trust=False)
