"""The user's own modules are found in the working directory when they are asked for by name, and by nobody else."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from torch.utils.data import DataLoader

from lab.configuration import load
from lab.errors import ConfigError
from lab.finders import modules
from lab.finders.modules import (
    OwnModules,
    find_own_modules,
    import_named,
    own_folders,
    own_modules_as_found,
    refuse_foreign_code,
)
from lab.job import prepare
from lab.system.process import process_as_found


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Find own modules here, and forget them afterwards: all tests give theirs the same names."""
    before = set(sys.modules)
    monkeypatch.setattr(modules, "_found", {})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    refuse_foreign_code()
    with own_modules_as_found():
        find_own_modules()
        yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in modules._found:
            del sys.modules[name]


def write(*inner: tuple[str, str], **modules: str) -> None:
    """Write modules, those inside packages as (path, content)."""
    for name, text in (*inner, *modules.items()):
        path = Path(name).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    importlib.invalidate_caches()


def is_found(name: str) -> bool:
    """Whether a library, as this module is one, finds a module."""
    return importlib.util.find_spec(name) is not None


def test_library_finds_nothing() -> None:
    write(("package/planted", "raise AssertionError"), planted="raise AssertionError")
    for name in ("planted", "package"):
        assert not is_found(name)
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{name}'"):
            importlib.import_module(name)
    with pytest.raises(ModuleNotFoundError):
        import planted  # type: ignore[import-not-found]  # noqa: F401
    assert os.getcwd() not in sys.path


def test_named_module_is_found() -> None:
    write(mine="X = 1", planted="raise AssertionError")
    assert import_named("mine").X == 1
    assert not is_found("planted")


LATER = """
import importlib, importlib.util
def get():
    import helpers
    return helpers.X
def by_name(name):
    return importlib.import_module(name).X
def there(name):
    return importlib.util.find_spec(name) is not None
"""


def test_own_module_finds_its_helpers() -> None:
    """When it is imported, and later."""
    write(mine="import first\n" + LATER, first="from second import X", second="X = 2", helpers="X = 3", third="X = 4")
    mine = import_named("mine")
    assert not is_found("helpers")
    assert (mine.first.X, mine.get(), mine.there("third"), mine.by_name("third")) == (2, 3, True, 4)


def test_own_module_finds_its_helpers_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(mine=LATER, helpers="X = 3")
    mine = import_named("mine")
    monkeypatch.chdir(tmp_path)
    assert mine.get() == 3


def test_library_that_an_own_module_imports_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor later, when its function is called by an own one."""
    Path("installed").mkdir()
    monkeypatch.syspath_prepend("installed")
    Path("installed/library.py").write_text(
        "import importlib.util\n"
        "def probe():\n"
        "    try:\n"
        "        import planted\n"
        "    except ImportError:\n"
        "        return importlib.util.find_spec('planted')\n"
        "FOUND = probe()\n"
    )
    write(planted="raise AssertionError", mine="import library\ndef probe():\n    return library.probe()\n")
    mine = import_named("mine")
    try:
        assert mine.library.FOUND is None
        assert mine.probe() is None
    finally:
        del sys.modules["library"]


def test_packages_are_found_with_all_in_them() -> None:
    """With relative imports, packages in packages, and packages without an `__init__.py`."""
    write(
        ("package/__init__", ""),
        ("package/model", "from .parts.deep import X\nfrom . import other\nfrom helpers import Y"),
        ("package/other", ""),
        ("package/parts/__init__", ""),
        ("package/parts/deep", "from ..other import __name__ as X"),
        ("bare/inner/model", "from ..other import X\nfrom helpers import Y"),
        ("bare/other", "X = 1"),
        helpers="Y = 2",
    )
    assert import_named("package.model").X == "package.other"
    found = import_named("bare.inner.model")
    assert (found.X, found.Y) == (1, 2)


def test_what_is_installed_is_found_first() -> None:
    write(yaml="raise AssertionError", mine="import yaml")
    assert not Path(str(import_named("mine").yaml.__file__)).is_relative_to(Path.cwd())


def test_newest_folder_is_searched_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(mine="X = 1", other="X = 1")
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "second")
    write(mine="X = 2")
    find_own_modules()
    assert (import_named("mine").X, import_named("other").X) == (2, 1)


def test_module_is_read_again_after_it_was_edited() -> None:
    write(mine="X = 1")
    mine = import_named("mine")
    write(mine="X = 'longer'")
    assert importlib.reload(mine).X == "longer"


def test_finder_goes_with_the_call() -> None:
    before = own_folders()
    with process_as_found():
        Path("inner").mkdir()
        os.chdir("inner")
        find_own_modules()
        assert own_folders() != before
        assert isinstance(sys.meta_path[-1], OwnModules)
    assert own_folders() == before


def test_own_module_finds_its_helpers_after_the_call() -> None:
    """What `lab.load` returns may import more when it is used."""
    modules._install()
    write(mine=LATER, helpers="X = 3", third="X = 4", planted="raise AssertionError")
    with process_as_found():
        find_own_modules()
        mine = import_named("mine")
    assert (mine.get(), mine.by_name("third")) == (3, 4)
    assert not is_found("planted")
    with pytest.raises(ModuleNotFoundError):
        import_named("planted")


@pytest.mark.parametrize("place", ["runs", "runs/theirs"])
def test_nothing_among_runs_is_found(place: str) -> None:
    run = Path("runs/theirs/20260101-000000-s0-abcd")
    run.mkdir(parents=True)
    (run / "summary.json").write_text("{}")
    Path(place, "helpers.py").write_text("raise AssertionError")
    write(mine=f"import {place.replace('/', '.')}.helpers")
    with pytest.raises(ImportError, match="lies in a folder of runs"):
        import_named("mine")


def test_nothing_among_runs_is_found_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of sys.path that is not the working directory, as a checkout's is after `make run`."""
    run = tmp_path / "checkout" / "kept" / "theirs" / "20260101-000000-s0-abcd"
    run.mkdir(parents=True)
    (run / "summary.json").write_text("{}")
    (tmp_path / "checkout" / "kept" / "helpers.py").write_text("raise AssertionError")
    (tmp_path / "checkout" / "helpers_of_mine.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "checkout")
    with pytest.raises(ImportError, match="lies in a folder of runs"):
        import_named("kept.helpers")
    import_named("helpers_of_mine")


SCRIPT = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from lab.finders.modules import find_own_modules, import_named
if __name__ == "__main__":
    find_own_modules()
    mine = import_named("mine")
    for method in ("spawn", "forkserver"):
        with ProcessPoolExecutor(1, get_context(method)) as pool:
            print(pool.submit(mine.work, mine.Thing(1)).result())
"""
WORK = """
from parts import Part
class Thing(Part):
    pass
def work(thing):
    from helpers import X
    return thing.value + X, type(thing).__name__
"""


def test_child_processes_find_the_same(tmp_path: Path) -> None:
    """What they get is pickled by the names of own classes."""
    write(mine=WORK, parts="class Part:\n    def __init__(self, value):\n        self.value = value\n", helpers="X = 2")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["(3, 'Thing')"] * 2, done.stderr


DATA = """
import torch
from helpers import SIZE
class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return SIZE
    def __getitem__(self, index):
        return torch.tensor(index)
"""


def test_workers_of_a_data_loader_find_the_data_set() -> None:
    write(mine=DATA, helpers="SIZE = 3")
    loader = DataLoader(import_named("mine").Numbers(), num_workers=1, multiprocessing_context="spawn")
    assert torch.cat(list(loader)).tolist() == [0, 1, 2]


def test_children_of_others_are_handed_nothing() -> None:
    write(mine="")
    import_named("mine")
    with own_modules_as_found():
        modules._install()
        handed = vars(multiprocessing.current_process())["_config"]["lab's own modules"]
        assert handed.__reduce__() == (dict, ())


TASK = "from gymnasium.envs.classic_control import CartPoleEnv as Task"

CONFIGS = {
    "agent": "mine.Agent",
    "agent.encoder": "mine.Encoder",
    "env.wrappers": [{"class_path": "mine.Wrapper"}],
    "env.id": "registering:Task-v0",
}


@pytest.mark.parametrize("key", CONFIGS)
def test_configs_name_own_classes(key: str) -> None:
    """Also the environment that a module named in a config has registered from another."""
    write(
        mine="from gymnasium import Wrapper\n"
        "from agents.ppo import PPO as Agent\n"
        "from lab.encoders import MLP\n"
        "class Encoder(MLP):\n    pass\n",
        registering="import gymnasium as gym\ngym.register('Task-v0', 'tasks:Task')\n",
        tasks=TASK,
    )
    prepare(load("ppo-cartpole", {key: CONFIGS[key]}), fast_dev_run=True)
    assert set(modules._found) == ({"registering", "tasks"} if key == "env.id" else {"mine"})
    gym.registry.pop("Task-v0", None)


def test_nearest_name_in_an_own_module_is_said() -> None:
    write(mine="class Encoder:\n    pass\n")
    with pytest.raises(ConfigError, match=r"mine has no class 'Encodr'; did you mean 'Encoder'"):
        load("ppo-cartpole", {"agent.encoder": {"class_path": "mine.Encodr"}})
    with pytest.raises(ConfigError, match=r"did you mean 'mine'"):
        load("ppo-cartpole", {"agent.encoder": {"class_path": "mina.Encoder"}})


NESTED = """
import gymnasium as gym
class Task(gym.Wrapper):
    def __init__(self):
        super().__init__(gym.make("registering:Inner-v0"))
gym.register("Outer-v0", Task)
"""


def test_own_environment_makes_another_one() -> None:
    """By an id that names its module, which Gymnasium imports for it, and for no library."""
    write(mine=NESTED, registering="import gymnasium as gym\ngym.register('Inner-v0', 'tasks:Task')\n", tasks=TASK)
    try:
        with pytest.raises(ModuleNotFoundError):
            gym.make("registering:Inner-v0")
        prepare(load("ppo-cartpole", {"env.id": "mine:Outer-v0"}), fast_dev_run=True)
    finally:
        for name in ("Inner-v0", "Outer-v0"):
            gym.registry.pop(name, None)


def test_own_package_hidden_by_the_labs_is_said() -> None:
    write(("agents/__init__", ""), ("agents/mine", ""), mine="import agents.mine")
    with pytest.raises(ConfigError, match=r"the lab's own package .* hides .*/agents/__init__.py: rename that one"):
        load("ppo-cartpole", {"agent": "mine.Agent"})


def test_known_environments_are_installed_ones() -> None:
    """The lab's experiments name `ale_py` where it is not installed."""
    if is_found("ale_py"):
        pytest.skip("ale_py is installed")
    write(ale_py="raise AssertionError")
    with pytest.raises(ConfigError, match="needs a package that is not installed"):
        prepare(load("ppo-cartpole", {"env.id": "ale_py:ALE/Pong-v5"}), fast_dev_run=True)
