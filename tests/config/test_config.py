from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.config.files import merge, read
from lab.configuration import load
from lab.encoders import MLP
from lab.errors import ConfigError


class Untyped(MLP):
    def __init__(self, spec) -> None:  # type: ignore[no-untyped-def]
        super().__init__(spec)


BAD = [
    ("vae-mnits", [], "unknown experiment 'vae-mnits'; did you mean 'vae-mnist'?"),
    ("nothing.yaml", [], "there is no config file nothing.yaml"),
    ("vae-mnist", ["--model.latnet_dim=3"], "unknown key 'model.latnet_dim'; did you mean 'model.latent_dim'?"),
    ("vae-mnist", ["--modle.latent_dim=3"], "unknown key 'modle.latent_dim'; did you mean 'model.latent_dim'?"),
    ("vae-mnist", ["--trainer.max_epoch=3"], "unknown key 'trainer.max_epoch'; did you mean 'trainer.max_epochs'?"),
    ("vae-mnist", ["--model.latent_dim=abc"], "model.latent_dim must be a number (PositiveInt), received 'abc'"),
    ("vae-mnist", ["--model.latent_dim=-2"], "model.latent_dim must be > 0, received -2"),
    ("vae-mnist", ["--model.beta=nan"], "model.beta must be > 0 and < inf, received nan"),
    ("vae-mnist", ["--model.encoder.hidden=[-3]"], "model.encoder.hidden must be > 0, received -3"),
    ("vae-mnist", ["--model.encoder=Cnov"], "model.encoder: unknown class 'Cnov'; did you mean 'Conv'?"),
    (
        "vae-mnist",
        ["--model.encoder=lab.nn.decoders.MLPDecoder"],
        "model.encoder must be a subclass of Encoder, received lab.nn.decoders.MLPDecoder",
    ),
    (
        "vae-mnist",
        ["--model.encoder=lab.encoders.Cnov"],
        "model.encoder: lab.encoders has no class 'Cnov'; did you mean 'Conv'?",
    ),
    (
        "vae-mnist",
        ["--model.encoder=lab.encoder.Conv"],
        "model.encoder: there is no module 'lab.encoder'; did you mean 'lab.encoders'?",
    ),
    (
        "vae-mnist",
        ["--model.encoder=tests.config.test_config.Untyped"],
        "model: the constructor of tests.config.test_config.Untyped must give its parameter 'spec' a type",
    ),
    (
        "ppo-cartpole",
        ["--env.wrappers+=gymnasium.wrappers.TimeLimitt"],
        "env.wrappers: gymnasium.wrappers has no class 'TimeLimitt'; did you mean 'TimeLimit'?",
    ),
    (
        "vae-mnist",
        ['--model.encoder={"class_path": "torch.relu"}'],
        "model.encoder must name a class, received the function torch.relu",
    ),
    (
        "vae-mnist",
        ["--model.encoder.class_path", "torch.nn.functional.softmax"],
        "model.encoder must name a class, received the function torch.nn.functional.softmax",
    ),
    (
        "vae-mnist",
        ['--model={"class_path": "generative.vae.VAE", "init_args": {"encoder": {"class_path": "lab.encoders.Cnov"}}}'],
        "model.encoder: lab.encoders has no class 'Cnov'; did you mean 'Conv'?",
    ),
    (
        "vae-mnist",
        ["--model.encoder=lab.encoders.networks.conv"],
        "model.encoder must name a class, received the module lab.encoders.networks.conv; did you mean 'Conv'?",
    ),
    (
        "vae-mnist",
        ["--model.encoder=lab.encoders.Conv.small"],
        "model.encoder: there is no module 'lab.encoders.Conv'; did you mean 'lab.encoders'?",
    ),
    ("vae-mnist", ["--trainer.optimizer=Adm"], "trainer.optimizer: unknown class 'Adm'; did you mean 'Adam'?"),
    ("vae-mnist", ["--trainer.optimizer.lr=nan"], "trainer.optimizer.lr must be a number or Tensor, received nan"),
    ("vae-mnist", ["--trainer=3"], "trainer must be a group of settings (trainer.name=value), received 3"),
    ("vae-mnist", ["--threads=0"], "threads must be a whole number above 0 or null, received 0"),
    (
        "ppo-cartpole",
        ["--evaluation.episodes=1e15"],
        "evaluation.episodes must be > 0 and <= 1000000, received 1000000000000000",
    ),
    (
        "ppo-cartpole",
        ["--total_timesteps=1180591620717411303424"],
        "total_timesteps must be a whole number of at most 64 bits, received '1180591620717411303424'",
    ),
    (
        "forecast-airline",
        ["--data.columns=sales"],
        "data.columns must be a list of texts or null, received sales; write [sales] for a list of one",
    ),
    (
        "cnn-mnist",
        ["--data.image_size=8x8"],
        "data.image_size must be a whole number above 0 or a list of such numbers or null, received 8x8",
    ),
    (
        "cnn-mnist",
        ["--data.path=https://example.com/a"],
        "data.path must be the path of a file or folder or null, received https://example.com/a",
    ),
    ("vae-mnist", ["--seed=1.5"], "seed must be a number (Seed), received '1.5'"),
    ("ppo-cartpole", ["--agent.gamma=1.5"], "agent.gamma must be >= 0 and <= 1, received 1.5"),
    ("ppo-cartpole", ["--total_timesteps=-1"], "total_timesteps must be > 0, received -1"),
]


@pytest.mark.parametrize(("name", "words", "message"), BAD)
def test_bad_input_is_one_sentence(name: str, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(name, words)
    assert str(error.value) == message


FILES = [
    ("a: [1", "is not valid YAML at line"),
    ("- 1", "must hold keys and values, received list"),
    ("", "must hold keys and values, received NoneType"),
    ("extends: 3", "must be a file or an experiment's name, received 3"),
    ("extends: none.yaml", "but there is no such file"),
    ("extends: mnist-vae", "unknown experiment 'mnist-vae'"),
    ("extends: bad.yaml", "circular extends: bad.yaml -> bad.yaml"),
    ("description: x", "must be the dotted path of an Experiment class, received None"),
    ("experiment: lab.training.training.Traning", "has no class 'Traning'; did you mean 'Training'?"),
    ("experiment: lab.trainin.Training", "there is no module 'lab.trainin'; did you mean 'lab.training'?"),
    ("experiment: lab.encoders.MLP", "must be the dotted path of an Experiment class, received 'lab.encoders.MLP'"),
    ("extends: vae-mnist\nmodel: {class_path: generative.vae.vae.VEA}", "has no class 'VEA'; did you mean 'VAE'?"),
    ("extends: vae-mnist\nmodel: {init_args: {encoder: torch.relu}}", "model.encoder must name a class, received the"),
    ("extends: vae-mnist\nmodel: {init_args: {encoder: lab.encoders}}", "received the module lab.encoders"),
    (
        "extends: vae-mnist\nmodel: {init_args: {encoder: {class_path: torch.nn.functional.softmax}}}",
        "model.encoder must name a class, received the function torch.nn.functional.softmax",
    ),
    ("extends: vae-mnist\nmodell: 3", "unknown key 'modell'; did you mean 'model'?"),
    ("extends: vae-mnist\nreference: {metric: x}", None),
    ("extends: vae-mnist\ntrainer: {early_stopping: {metric: val/loss, monitor: val/kl}}", "monitor"),
    ("extends: vae-mnist\ntrainer: {optimizer: {init_args: {lr: {a: 1}}}}", "unknown key 'trainer.optimizer.lr.a'"),
    ("extends: vae-mnist\ntrainer: {schedule: {kind: cosin}}", "must be one of 'constant', 'linear', 'cosine', 'step'"),
]


def test_settings_of_earlier_versions_are_read() -> None:
    Path("old.yaml").write_text("extends: cnn-mnist\ntrainer: {early_stopping: {monitor: val/f1, patience: 3}}")
    Path("new.yaml").write_text("extends: old.yaml\ntrainer: {early_stopping: {metric: val/accuracy}}")
    for name, metric in (("old", "val/f1"), ("new", "val/accuracy")):
        stopping = load(f"{name}.yaml").as_dict()["trainer"]["early_stopping"]
        assert stopping == {"metric": metric, "patience": 3, "mode": "min"}


@pytest.mark.parametrize(
    "overrides",
    [
        ["--trainer.early_stopping.monitor=val/f1"],
        ["--trainer.early_stopping.monitor", "val/f1"],
        {"trainer.early_stopping.monitor": "val/f1"},
    ],
    ids=["joined", "two words", "Python"],
)
def test_overrides_may_have_the_names_of_earlier_versions(overrides: Any) -> None:
    assert load("cnn-mnist", overrides).as_dict()["trainer"]["early_stopping"]["metric"] == "val/f1"


@pytest.mark.parametrize(("text", "message"), FILES)
def test_bad_files(text: str, message: str | None) -> None:
    Path("bad.yaml").write_text(text)
    if message is None:
        assert load("bad.yaml").common.reference is not None
        return
    with pytest.raises(ConfigError) as error:
        load("bad.yaml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_extends_merges_and_another_class_replaces_all_settings() -> None:
    parent = {"a": {"x": 1, "y": 2}, "c": {"class_path": "A", "init_args": {"p": 1, "q": 2}}}
    assert merge(parent, {"a": {"y": 3}, "b": 4}) == {**parent, "a": {"x": 1, "y": 3}, "b": 4}
    same = merge(parent, {"c": {"init_args": {"q": 3}}})
    assert same["c"] == {"class_path": "A", "init_args": {"p": 1, "q": 3}}
    other = merge(parent, {"c": {"class_path": "B", "init_args": {"r": 3}}})
    assert other["c"] == {"class_path": "B", "init_args": {"r": 3}}
    assert merge({"a": 1}, {"a": None}) == {"a": None}


def test_extends_chain_and_order() -> None:
    Path("one.yaml").write_text("extends: vae-mnist\nseed: 1\nmodel: {init_args: {latent_dim: 3}}")
    Path("two.yaml").write_text("extends: one.yaml\nseed: 2")
    config = load("two.yaml", {"model.beta": 2.0}).as_dict()
    assert (config["name"], config["seed"]) == ("two", 2)
    assert config["model"]["init_args"]["latent_dim"] == 3
    assert config["model"]["init_args"]["beta"] == 2.0
    assert config["model"]["init_args"]["encoder"]["init_args"]["hidden"] == [512, 512]
    assert read(Path("two.yaml").resolve())["experiment"] == "lab.training.Training"


def test_overrides_change_classes_and_say_what_is_lost() -> None:
    loaded = load("vae-mnist", ["--model.encoder=Conv", "--model.encoder.pool=mean"])
    config = loaded.as_dict()
    assert config["model"]["init_args"]["encoder"]["class_path"] == "lab.encoders.Conv"
    assert config["model"]["init_args"]["encoder"]["init_args"]["pool"] == "mean"
    assert loaded.notes == ["model.encoder is now Conv: the config's hidden, activation for MLP no longer apply"]


def test_another_class_starts_from_its_own_defaults() -> None:
    """Adam's weight decay of 0 must not make an AdamW of 0."""
    for name in ("vae-mnist", "cnn-mnist"):
        optimizer = load(name, ["--trainer.optimizer=NAdam"]).as_dict()["trainer"]["optimizer"]
        assert optimizer["init_args"]["lr"] == 2e-3
    optimizer = load("vae-mnist", ["--trainer.optimizer=AdamW", "--trainer.optimizer.lr=0.5"]).as_dict()["trainer"]
    assert optimizer["optimizer"]["init_args"]["weight_decay"] == 0.01
    assert optimizer["optimizer"]["init_args"]["lr"] == 0.5


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
def test_optimizers_by_name(name: str) -> None:
    words = [f"--trainer.optimizer={name}", "--trainer.optimizer.lr=0.25"]
    optimizer = load("cnn-mnist", words).as_dict()["trainer"]["optimizer"]
    assert optimizer["class_path"] == f"torch.optim.{name}"
    assert optimizer["init_args"]["lr"] == 0.25


def test_a_users_own_class_in_the_working_directory() -> None:
    Path("my_models.py").write_text(
        "from generative.vae.vae import VAE\n"
        "class MyVAE(VAE):\n"
        "    def __init__(self, spec, *, twist: int = 3, **settings):\n"
        "        super().__init__(spec, **settings)\n"
        "        self.twist = twist\n"
    )
    Path("mine.yaml").write_text(
        "extends: vae-mnist\nmodel:\n  class_path: my_models.MyVAE\n  init_args:\n    twist: 5\n    latent_dim: 2\n"
        "    encoder: {class_path: lab.encoders.MLP, init_args: {hidden: [8]}}\n"
    )
    settings = load("mine.yaml").as_dict()["model"]
    assert settings["class_path"] == "my_models.MyVAE"
    assert (settings["init_args"]["twist"], settings["init_args"]["latent_dim"]) == (5, 2)


def test_null_comes_back_from_a_runs_config_where_the_default_is_something_else() -> None:
    Path("leaky_models.py").write_text(
        "from lab.encoders import MLP\nfrom lab.data.spec import InputSpec\n"
        "class Leaky(MLP):\n"
        "    def __init__(self, spec: InputSpec, *, leak: float | None = 0.5, **settings):\n"
        "        super().__init__(spec, **settings)\n"
    )
    Path("mine.yaml").write_text(
        "extends: vae-mnist\nmodel: {init_args: {encoder: {class_path: leaky_models.Leaky, init_args: {leak: null}}}}\n"
    )
    config = load("mine.yaml").as_dict()
    Path("again.yaml").write_text(yaml.safe_dump(config))
    assert load("again.yaml").as_dict() == config
    assert config["model"]["init_args"]["encoder"]["init_args"]["leak"] is None


def test_a_class_that_fails_to_import_says_why() -> None:
    Path("broken_models.py").write_text("import no_such_package_anywhere")
    Path("mine.yaml").write_text("extends: vae-mnist\nmodel: {class_path: broken_models.X}")
    with pytest.raises(ConfigError, match="needs the package no_such_package_anywhere, which is not installed"):
        load("mine.yaml")


def test_settings_may_stand_without_init_args() -> None:
    Path("mine.yaml").write_text("extends: ppo-cartpole\nagent: {gamma: 0.9, encoder: {hidden: [32]}}\n")
    settings = load("mine.yaml").as_dict()["agent"]["init_args"]
    assert (settings["gamma"], settings["gae_lambda"], settings["encoder"]["init_args"]["hidden"]) == (0.9, 0.8, [32])
    assert settings["encoder"]["init_args"]["activation"] == "tanh", "what it extends stays"
    Path("dqn.yaml").write_text(
        "extends: dqn-cartpole\nagent: {class_path: agents.dqn.DQN, gamma: 0.9, encoder: MLP}\n"
    )
    settings = load("dqn.yaml").as_dict()["agent"]["init_args"]
    assert (settings["gamma"], settings["encoder"]["class_path"]) == (0.9, "lab.encoders.MLP")


def test_a_setting_is_given_once() -> None:
    Path("mine.yaml").write_text("extends: ppo-cartpole\nagent: {gamma: 0.9, init_args: {gamma: 0.8}}\n")
    with pytest.raises(ConfigError, match="'gamma' is given twice: in init_args and beside it"):
        load("mine.yaml")


@pytest.mark.parametrize("words", [["--gamma=0.9"], ["--gamma", "0.9"], {"gamma": 0.9}])
def test_the_last_part_of_a_name_is_enough(words: list[str]) -> None:
    loaded = load("ppo-cartpole", words)
    assert loaded.as_dict()["agent"]["init_args"]["gamma"] == 0.9
    assert loaded.notes == ["--gamma is agent.gamma"]


def test_a_last_part_of_two_settings_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--kind may be --agent.learning_rate_schedule.kind or --agent.clip_range_sc"
    ):
        load("ppo-cartpole", ["--kind=linear"])
    with pytest.raises(ConfigError, match="unknown key 'gama'"):
        load("ppo-cartpole", ["--gama=0.9"])


def test_an_own_class_may_reuse_a_name_with_another_type() -> None:
    """The old class's value, of another type, is not carried over."""
    Path("reusing.py").write_text(
        "from typing import Any\nfrom lab.encoders import Encoder, InputSpec\n"
        "class Reusing(Encoder):\n"
        "    def __init__(self, spec: InputSpec, *, hidden: list = [], activation: Any = None) -> None:\n"
        "        super().__init__(spec)\n"
    )
    for words in (["--model.encoder=reusing.Reusing"], ["--model.encoder", "reusing.Reusing"]):
        encoder = load("vae-mnist", words).as_dict()["model"]["init_args"]["encoder"]
        assert encoder["init_args"] == {"hidden": [], "activation": None}


def test_unknown_classes_list_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"data: unknown class 'Zzz'; there is .*Images, .*Text"):
        load("vae-mnist", ["--data=Zzz"])
    with pytest.raises(ConfigError, match=r"env.wrappers: unknown class 'Zzz'; there is .*ClipReward"):
        load("ppo-cartpole", ["--env.wrappers=[Zzz]"])
