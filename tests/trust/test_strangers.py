"""Somebody else's config names the lab's own classes and no path; anything else is refused before it is imported."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
import yaml

from lab.config.classes import named_classes, types_of
from lab.config.files import read
from lab.config.imports import import_class
from lab.config.shipped import shipped
from lab.config.types import DataPath, FromRun
from lab.configuration import load
from lab.encoders import MLP, InputSpec
from lab.encoders.files import save_encoder
from lab.errors import ConfigError, LabError
from lab.finders import modules
from lab.job import prepare
from lab.runs.artifacts import seal, sealed
from lab.trust.classes import WRAPPERS, is_ours, refused
from tests.support.recorded import recorded

RUN = Path("runs/theirs/20260101-000000-s0-abcd")


def theirs(config: dict[str, Any], *changes: tuple[str, Any]) -> str:
    """Write a config into a run of somebody else's, with changes by dotted name, and return its path."""
    for key, value in changes:
        *parts, last = key.split(".")
        inner: Any = config
        for part in parts:
            inner = inner[part]
        inner[last] = value
    RUN.mkdir(parents=True, exist_ok=True)
    (RUN / "summary.json").write_text("{}")
    (RUN / "config.yaml").write_text(yaml.safe_dump(config))
    return str(RUN / "config.yaml")


@cache
def resolved(name: str) -> str:
    """The resolved config of a shipped experiment, as YAML."""
    return yaml.safe_dump(load(name).as_dict())


@pytest.mark.parametrize("every", [24, pytest.param(1, marks=pytest.mark.slow)])
def test_shipped_experiments_open_as_strangers(every: int) -> None:
    """Whoever only uses the lab's parts is asked nothing, whichever key signed the run. The lab's own experiments take
    nothing from the working directory."""
    before = set(modules._found)
    for name in list(shipped())[::every]:
        config = yaml.safe_load(resolved(name))
        again = load(theirs(config))
        assert again.stranger is not None
        assert again.as_dict() == config, name
    assert set(modules._found) == before


@pytest.fixture
def ppo() -> dict[str, Any]:
    copy: dict[str, Any] = yaml.safe_load(resolved("ppo-cartpole"))
    return copy


@pytest.fixture
def cnn() -> dict[str, Any]:
    copy: dict[str, Any] = yaml.safe_load(resolved("cnn-mnist"))
    return copy


def named(path: str, /, **settings: Any) -> dict[str, Any]:
    return {"class_path": path, "init_args": settings}


HUB = "torch.hub.load_state_dict_from_url"
ENCODERS: list[Any] = [
    named(HUB, url="http://127.0.0.1:9/x.pth"),
    HUB,
    named("torch.nn.Linear"),
    named("evil.Encoder"),
    "evil.Encoder",
    named("runs.theirs.helpers.MLP"),
    named("lab.runs.summary.subprocess.Popen"),
    named("lab.system.forking.ForkServer"),
    named("lab.saving.verify.verify"),
    named("lab.encoders"),
    named("lab.encoders.MLP.__init__"),
    named("lab.cli.__main__.MLP"),
    named("tests.support.toys.Toy"),
    named("MLP"),
    named("unittest.mock.Mock"),
    named("tqdm.__main__.X"),
    {**named("lab.encoders.MLP"), "dict_kwargs": {"x": named("evil.X")}},
    {**named("lab.encoders.MLP"), "__path__": "x"},
    {"class_path": "lab.encoders.MLP", "init_args": named("evil.Encoder")},
    {"class_path": "lab.encoders.MLP", "init_args": {"hidden": [named("evil.Encoder")]}},
    {"class_path": "lab.encoders.MLP", "init_args": {"init_args": named("evil.Encoder")}},
    {"class_path": ["lab.encoders.MLP"]},
    {"class_path": "lab.encoders.MLP", "init_args": "/etc/passwd"},
    "/etc/hostname",
    "{class_path: evil.Encoder}",
    named("lab.encoders.Combined", default=named("evil.Encoder")),
    named("lab.encoders.Combined", encoders={"x": named("evil.Encoder")}),
    named("lab.encoders.Combined", encoders={"x": "evil.Encoder"}),
    named("lab.encoders.Combined", encoders="{x: evil.Encoder}"),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_no_foreign_class_is_imported(encoder: Any, ppo: dict[str, Any]) -> None:
    for name in (".", "runs/theirs"):
        Path(name).mkdir(parents=True, exist_ok=True)
        for module in ("evil.py", "helpers.py"):
            Path(name, module).write_text(
                "from pathlib import Path; Path('canary').touch()\nclass Encoder: pass\nMLP = X = Encoder"
            )
    before = set(sys.modules)
    with pytest.raises(
        ConfigError, match=r"is not signed as yours, and its agent\.encoder.* --trust .*`lab trust runs/theirs/"
    ):
        load(theirs(ppo, ("agent.init_args.encoder", encoder)))
    assert not Path("canary").exists()
    assert not {
        name
        for name in set(sys.modules) - before
        if name.startswith(("evil", "unittest", "tqdm", "tests.support.toys"))
    }


PLACES: list[tuple[str, Any]] = [
    ("experiment", "tests.support.toys.Toy"),
    ("experiment", "lab.job.Job"),
    ("experiment", "venv.__main__.X"),
    ("agent", named("venv.__main__.X")),
    ("agent", named("stable_baselines3.PPO", policy="MlpPolicy")),
    ("agent", HUB),
    ("agent", "~/agent.yaml"),
    ("env", "~/env.yaml"),
    ("env", "env.yaml"),
    ("evaluation", "{episodes: 3}"),
    ("reference", "reference.yaml"),
    ("checkpoint", "x.yaml"),
    ("unknown", named("evil.X")),
    ("unknown", "/etc/passwd"),
    ("env.kwargs", "{xml_file: /etc/passwd}"),
    ("env.kwargs", {"xml_file": "/etc/passwd"}),
    ("env.kwargs", {"xml_file": "~/x.xml"}),
    ("env.kwargs", {"xml_file": "../x.xml"}),
    ("env.kwargs", {"deep": [{"er": "a/b"}]}),
    ("env.kwargs", {"x": "${HOME}"}),
    ("env.kwargs", {"x": named("evil.X")}),
    ("env.id", "evil:CartPole-v1"),
    ("env.id", "tests.support.tasks:Recite-v0"),
    ("env.id", "Recite-v0"),
    ("env.id", "Recite"),
    ("env.id", "gymnasium.envs:Recite-v0"),
    ("env.id", "venv.__main__:X-v0"),
    ("env.id", "gymnasium.envs/../evil:X-v0"),
    ("env.wrappers", [named("stable_baselines3.common.monitor.Monitor", filename="theirs")]),
    ("env.wrappers", [named("gymnasium.wrappers.RecordVideo", video_folder="theirs")]),
    ("env.wrappers", [named("gymnasium.wrappers.TransformObservation", func="os.system")]),
    ("env.wrappers", [named("gymnasium.wrappers.TransformReward", func="os.system")]),
    ("env.wrappers", [named("gymnasium.wrappers.rendering.RecordVideo", video_folder="theirs")]),
    ("env.wrappers", [named("gymnasium.wrappers.rendering.ClipReward")]),
    ("env.wrappers", ["evil.Wrapper"]),
    ("env.wrappers", "[evil.Wrapper]"),
    ("env.wrappers", "wrappers.txt"),
    ("env.training_wrappers", [named("evil.Wrapper")]),
    ("config", "x.yaml"),
    ("config", {"note": "x"}),
]


@pytest.mark.parametrize(("key", "value"), PLACES, ids=str)
def test_every_place_is_looked_at(key: str, value: Any, ppo: dict[str, Any]) -> None:
    import tests.support.tasks  # noqa: F401  # registers Recite-v0 in this process

    Path("wrappers.txt").write_text("evil.Wrapper\n")
    for name in ("env.yaml", "reference.yaml", "x.yaml"):
        Path(name).write_text("note: private\n")
    with pytest.raises(ConfigError, match="is not signed as yours") as caught:
        load(theirs(ppo, (key, value)))
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("given", [[], ["--evaluation.episodes=1"], ["--agent.learning_rate=0.1", "--env.id=evil.X"]])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("", "agent.class_path"),
        ("", "agent.init_args.encoder.class_path"),
        ("agent", "init_args.encoder.class_path"),
        ("agent.init_args", "encoder.class_path"),
        ("agent.init_args.encoder", "init_args.class_path"),
        ("env.kwargs", "x.class_path"),
        ("", "env.wrappers+"),
        ("env", "wrappers+"),
        ("reference.requires", "class_path"),
    ],
)
def test_no_dotted_key_names_a_class(place: str, name: str, given: list[str], ppo: dict[str, Any]) -> None:
    """The parser would take it apart; what a reader gives himself opens nothing else."""
    Path("evil.py").write_text("from pathlib import Path; Path('canary').touch()\nclass X: pass")
    inner: Any = ppo
    for part in place.split(".") if place else ():
        inner = inner[part]
    inner[name] = [named("evil.X")] if name.endswith("+") else "evil.X"
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load(theirs(ppo), given)
    assert not Path("canary").exists()


TRAINING: list[tuple[str, Any]] = [
    ("data.init_args.path", "/home/reader/photos"),
    ("data", named("torch.utils.data.DataLoader")),
    ("data", "data.yaml"),
    ("model", named("pytorch_lightning.LightningModule")),
    ("model", named("lab.nn.layers.Dense")),
    ("trainer.optimizer", named("torch.optim.lr_scheduler.LambdaLR")),
    ("trainer.optimizer", named("torch.optim.adam.warnings")),
    ("trainer.optimizer", named("torch.optim.adam.Tensor")),
    ("trainer.optimizer", "evil.Adam"),
    ("trainer.optimizer", "torch.hub.load"),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path="/home/reader/run")),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path="../../elsewhere")),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path="~/run")),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path={"run": "/home/reader/run"})),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path={"run": "x", "name": "../../x"})),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path={"run": "experiment.yaml"})),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path={"run": "runs/theirs/x.yml"})),
    ("model.init_args.encoder", named("lab.encoders.Pretrained", path={"run": "runs/theirs/lent"})),
]


@pytest.mark.parametrize(("key", "value"), TRAINING, ids=str)
def test_no_path_of_the_reader_is_named(key: str, value: Any, cnn: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load(theirs(cnn, (key, value)))


def test_reader_names_paths_himself(cnn: dict[str, Any]) -> None:
    path = theirs(cnn, ("data.init_args.path", "/home/theirs/photos"))
    with pytest.raises(ConfigError, match=r"its data.path is the path .*--data\.path=PATH names yours"):
        load(path)
    config = load(path, ["--data.path=photos"])
    assert config.as_dict()["data"]["init_args"]["path"] == str(Path("photos").absolute())


def test_reader_names_classes_himself(ppo: dict[str, Any]) -> None:
    config = load(theirs(ppo), {"agent.encoder": "tests.trust.test_strangers.Mine"})
    assert config.as_dict()["agent"]["init_args"]["encoder"]["class_path"] == "tests.trust.test_strangers.Mine"


class Mine(MLP):
    """The reader's own."""


def test_reader_names_modules_here(ppo: dict[str, Any]) -> None:
    """The working directory may be an unpacked archive: what the overrides do not name is not imported from it."""
    leave = "from pathlib import Path; Path('canary').touch()\n"
    for name in ("evil", "A", "B", "my"):
        Path(f"{name}.py").write_text(leave)
    path = theirs(ppo)
    for given in ({}, {"env.id": "CartPole-v1"}, {"description": "A sentence.And B.More of it"}, {"name": "my.Run"}):
        load(path, given)
        assert importlib.util.find_spec("evil") is None
    assert not Path("canary").exists()
    Path("readers.py").write_text("from readers_parts import Encoder\n")
    Path("readers_parts.py").write_text("from lab.encoders import MLP\nclass Encoder(MLP):\n    pass\n")
    for value in ("readers.Encoder", named("readers.Encoder")):
        config = load(path, {"agent.encoder": value})
        assert "readers" in config.as_dict()["agent"]["init_args"]["encoder"]["class_path"]
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load(theirs(ppo, ("agent.init_args.encoder", named("evil.Encoder"))), {"env.id": "CartPole-v1"})
    assert not Path("canary").exists()


def test_proposed_command_quotes_the_folder(ppo: dict[str, Any]) -> None:
    theirs(ppo, ("agent", {"class_path": "evil.X"}))
    folder = RUN.rename(RUN.with_name("r;touch canary;"))
    with pytest.raises(ConfigError) as refusal:
        load(str(folder / "config.yaml"))
    proposed = re.findall("`(lab trust [^`]*)`", str(refusal.value))
    assert [shlex.split(one)[2:] for one in proposed] == [[str(folder)]]


def test_trust_opens_everything(ppo: dict[str, Any]) -> None:
    path = theirs(ppo, ("agent.init_args.encoder", named("tests.trust.test_strangers.Mine")))
    assert load(path, trust=True).stranger is None
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load(path)


@pytest.mark.parametrize("path", [HUB, "numpy.vectorize", "lab.configuration.load", "torch.ops"])
def test_functions_are_no_classes_for_anybody(path: str) -> None:
    """Nor are other objects that can be called."""
    for value in (path, named(path)):
        with pytest.raises(ConfigError):
            prepare(load("ppo-cartpole", {"agent.encoder": value}), fast_dev_run=True)


def test_encoder_outside_through_a_link_is_refused(cnn: dict[str, Any]) -> None:
    from lab.needs import needs_of

    Path("private").mkdir()
    Path("private/encoder.json").write_text("{}")
    (Path("runs") / "theirs").mkdir(parents=True)
    Path("runs/theirs/lent").symlink_to(Path("private").absolute())
    config = load(theirs(cnn, ("model.init_args.encoder", named("lab.encoders.Pretrained", path="runs/theirs/lent"))))
    with pytest.raises(ConfigError, match="lies outside its folder of runs"):
        needs_of(config, Path("runs"))
    beside = Path("runs/other").absolute()  # for a run that lies directly in the reader's home, his other folders
    shutil.copytree("private", beside)
    config = load(theirs(cnn, ("model.init_args.encoder", named("lab.encoders.Pretrained", path=str(beside)))))
    with pytest.raises(ConfigError, match="lies outside its folder of runs"):
        needs_of(config, Path("runs"))


def test_artifact_of_a_run_by_its_name(cnn: dict[str, Any]) -> None:
    """It is taken from the runs beside the config, or from the reader's, not through a link, and leaves no trace."""
    from lab.needs import keep_copies, needs_of

    runs = Path("runs").absolute()
    made = recorded(runs, name="lent")
    save_encoder(MLP(InputSpec((3,)), hidden=[2]), made.dir / "artifacts" / "encoder")
    wanted = named("lab.encoders.Pretrained", path={"run": "lent"})
    config = load(theirs(cnn, ("model.init_args.encoder", wanted)))
    needs = needs_of(config, runs)
    keep_copies(needs, made, Path("copy"), tell=config.stranger is None)
    assert Path("copy/needs/model.encoder.path/encoder.json").exists()
    assert not (made.dir / "used_by.jsonl").exists()
    shutil.move(made.dir, "private")
    made.dir.symlink_to(Path("private").absolute())
    with pytest.raises(ConfigError, match="lies outside its folder of runs"):
        needs_of(config, runs)


def test_paths_have_the_type_of_paths() -> None:
    """Or somebody else's config could name one. `DataPath` and `Artifact` are refused by their types."""
    paths = re.compile(r"(?:^|_)(?:path|file|folder|dir|directory)s?(?:$|_)")
    configs = map(read, shipped().values())
    classes = {import_class(named["class_path"], key) for config in configs for key, named in named_classes(config)}
    settings = {name: found for cls in classes for name, found in types_of(cls).items() if paths.search(name)}
    assert settings
    for name, found in settings.items():
        assert DataPath in found or FromRun in found, name


def test_list_of_wrappers_fits() -> None:
    """They exist, and none of them holds a function or names a folder."""
    import inspect

    for name in WRAPPERS:
        cls = getattr(gym.wrappers, name)
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[2:]:
            assert "Callable" not in str(parameter.annotation), name
            assert not any(word in parameter.name for word in ("path", "folder", "file")), name


def test_optimizers_are_named_shortly_and_fully() -> None:
    for name in ("Adam", "AdamW", "SGD", "Adafactor"):
        cls = getattr(torch.optim, name)
        assert refused(f"torch.optim.{name}") is None
        assert refused(f"{cls.__module__}.{name}") is None


def test_shadowed_package_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.config.shipped import OwnFirst
    from lab.trust.classes import _is_installed

    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if not isinstance(one, OwnFirst)])
    Path("agents").mkdir()
    Path("agents/__init__.py").write_text("import pathlib; pathlib.Path('canary').touch()")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "agents"}
    _is_installed.cache_clear()
    try:
        assert not is_ours("agents.ppo")
        assert refused("agents.ppo.PPO")
    finally:
        sys.modules.update(hidden)
        _is_installed.cache_clear()
    assert not Path("canary").exists()


def test_checkpoints_config_is_a_strangers_too(ppo: dict[str, Any]) -> None:
    """A resume loads the config in the checkpoint of another version of the lab."""
    from lab.resuming import _trained_with
    from lab.saving.checkpoint import Checkpoint

    config = {**ppo, "agent": named("evil.Agent")}
    restored = Checkpoint(RUN, {}, {"config": config, "surroundings": {"deep-learning-lab": "0.0.1"}})
    Path("evil.py").write_text("from pathlib import Path; Path('canary').touch()")
    assert _trained_with(restored, load(theirs(ppo))) == config
    assert not Path("canary").exists()
    with pytest.raises(LabError):
        load(theirs(config))


OVERRIDES: list[Any] = [
    ("agent.init_args.encoder", named("evil.Encoder"), ["--agent.encoder=MLP"]),
    ("agent.init_args.encoder", named("evil.Encoder"), ["--agent.encoder=lab.encoders.MLP"]),
    ("agent.init_args.encoder", named("evil.Encoder"), {"agent.encoder": {"class_path": "lab.encoders.MLP"}}),
    ("agent.init_args.encoder", named("evil.Encoder"), ["--agent=agents.ppo.PPO"]),
    ("agent.init_args.encoder", "evil.Encoder", ["--agent.encoder=MLP"]),
    ("env.wrappers", [named("evil.Encoder")], ["--env.wrappers+=gymnasium.wrappers.RecordEpisodeStatistics"]),
    ("env.wrappers", ["evil.Encoder"], ["--env.wrappers+=gymnasium.wrappers.RecordEpisodeStatistics"]),
    ("agent.init_args.encoder", named("lab.encoders.Pretrained", path="/private/run"), ["--agent=agents.ppo.PPO"]),
]


@pytest.mark.parametrize(("key", "value", "words"), OVERRIDES, ids=str)
def test_override_does_not_adopt_what_it_replaces(key: str, value: Any, words: Any, ppo: dict[str, Any]) -> None:
    """The file is read before the user's override lies over it."""
    Path("evil.py").write_text("from pathlib import Path; Path('canary').touch()\nclass Encoder: pass")
    with pytest.raises(ConfigError, match=r"is not signed as yours|must not name evil\.Encoder"):
        load(theirs(ppo, (key, value)), words)
    assert not Path("canary").exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize("words", [["--data.path=photos.Test"], {"data.path": "photos.Test"}, ["--name=photos.Test"]])
def test_path_of_an_override_is_no_class(words: Any, cnn: dict[str, Any]) -> None:
    Path("photos.py").write_text("from pathlib import Path; Path('canary').touch()\nclass Test: pass")
    load(theirs(cnn), words)
    assert not Path("canary").exists()


def test_classes_of_overrides_stay_the_users(ppo: dict[str, Any]) -> None:
    Path("my_parts.py").write_text("from lab.encoders import MLP\nclass Mine(MLP): pass")
    for words in (
        ["--agent.encoder=my_parts.Mine"],
        ["--agent.encoder.class_path=my_parts.Mine"],
        {"agent.encoder": {"class_path": "my_parts.Mine", "init_args": {"hidden": [4]}}},
    ):
        assert "my_parts.Mine" in str(load(theirs(ppo), words).as_dict()["agent"])


def test_yaml_in_an_experiments_folder_is_his(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where that is the working directory."""
    run = recorded(Path("received"), "ppo-cartpole").dir
    folder = Path("received/ppo-cartpole")
    run.parent.rename(folder)
    (folder / "more.yaml").write_text("extends: ppo-cartpole\nagent: {encoder: {class_path: evil.Encoder}}\n")
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match="is the config of a run, which has all settings and extends nothing"):
        load("more.yaml")


def test_copy_of_an_own_encoder_is_as_foreign_as_its_run() -> None:
    """Its class is not taken from the working directory because one signed it for another run."""
    lender, taker = recorded(Path("runs"), "lender"), recorded(Path("runs"), "taker")
    lent, copy = lender.dir / "artifacts" / "encoder", taker.dir / "needs" / "agent.encoder.path"
    save_encoder(MLP(InputSpec((3,)), hidden=[2]), lent)
    seal(lent, lender.run_id)
    shutil.copytree(lent, copy)
    assert sealed(copy).mine
    (taker.dir / "config.yaml").write_text("seed: 0\n")
    assert not sealed(copy).mine
