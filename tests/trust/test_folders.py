"""The working directory may be an unpacked archive: what lies in it is not imported for somebody else's run."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

import pytest

import lab
from lab.finders.matplotlib_rc import MatplotlibAlone
from lab.saving.verify import _Lab
from lab.tracking.commit import git_state
from lab.tracking.wandb_client import start_run, tear_down
from tests.trust.test_forks import SIZES

CANARY = "from pathlib import Path; Path('canary').touch()\n"


def plant(*names: str) -> None:
    """Write modules that leave a trace when they are imported."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(CANARY)


def test_started_processes_import_nothing_from_here() -> None:
    plant("lab/__init__.py", "lab/cli/__main__.py", "json.py", "errno.py", "argparse.py")
    process = _Lab(Path("said"), None)(["--version"])
    assert process.wait() == 0
    assert not Path("canary").exists()


def test_module_of_the_command_imports_nothing_from_here() -> None:
    """`python -m` puts the working directory before everything else."""
    plant("argparse.py", "shlex.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONSAFEPATH": ""}
    done = subprocess.run([sys.executable, "-m", "lab.cli", "list"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not Path("canary").exists()


STARTS = {
    "a command": """
from lab.cli.main import entry
def start(worker):
    sys.argv = ["lab", "--version"]
    with contextlib.suppress(SystemExit):
        entry()
    worker.start()
""",
    "a call": """
from lab.system.process import process_as_found
def start(worker):
    with process_as_found():
        worker.start()
""",
}


@pytest.mark.parametrize(
    ("method", "within"),
    [
        ("spawn", "a command"),
        pytest.param("forkserver", "a command", marks=pytest.mark.slow),
        ("forkserver", "a call"),
    ],
)
def test_workers_import_nothing_from_here(method: str, within: str) -> None:
    """Python begins such a process with `-c`, which takes the working directory first."""
    plant("multiprocessing/__init__.py", "multiprocessing/spawn.py", "multiprocessing/forkserver.py", "signal.py")
    Path("elsewhere").mkdir()
    Path("elsewhere/script.py").write_text(f"""
import contextlib, multiprocessing, sys
{STARTS[within]}
if __name__ == "__main__":
    worker = multiprocessing.get_context({method!r}).Process(target=print, args=("worked",))
    start(worker)
    worker.join()
""")
    command = [sys.executable, "elsewhere/script.py"]  # with -P, its children would have it too
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "worked" in done.stdout
    assert not Path("canary").exists()


@pytest.mark.parametrize("finder", [MatplotlibAlone(), PathFinder()])
def test_matplotlib_reads_no_settings_from_here(finder: MatplotlibAlone | PathFinder) -> None:
    Path("matplotlibrc").write_text("savefig.dpi: 37\n")
    spec = finder.find_spec("matplotlib", None)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    is_read = module.rcParams["savefig.dpi"] == 37
    assert is_read == isinstance(finder, PathFinder), "matplotlib itself reads them"
    assert Path("matplotlibrc").exists()
    assert os.path.exists("matplotlibrc"), "for all others the file is there"


def test_matplotlib_is_prepared_before_it_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's libraries import it, and they are imported after the lab's package."""
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if not isinstance(one, MatplotlibAlone)])
    importlib.reload(lab)
    assert isinstance(sys.meta_path[0], MatplotlibAlone)


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)


@pytest.fixture
def repository() -> Path:
    """A received one, with a hook that git runs when it has read the files anew."""
    git("init", "-q")
    Path("file").write_text("text")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    hook = Path(".git/hooks/post-index-change")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch canary\n")
    hook.chmod(0o755)
    os.utime("file", (1, 1))
    return hook


def test_git_runs_no_hook(repository: Path) -> None:
    state = git_state()
    assert state is not None
    assert state["dirty"] is False
    assert not Path("canary").exists()
    git("status")
    assert Path("canary").exists(), "git itself runs it"


def test_git_fetches_nothing() -> None:
    """A clone that lacks objects names a command that brings them."""
    git("init", "-q")
    Path("file").write_text("text")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    Path(".git/objects", tree[:2], tree[2:]).unlink()
    for name, value in (("promisor", "true"), ("url", "."), ("uploadpack", "touch canary; false")):
        git("config", f"remote.origin.{name}", value)
    git("config", "extensions.partialClone", "origin")
    git("config", "core.repositoryFormatVersion", "1")
    git_state()
    assert not Path("canary").exists()
    subprocess.run(["git", "status"], capture_output=True, check=False)
    assert Path("canary").exists(), "git itself runs it"


@pytest.fixture
def filtering(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own filter, which obeys what a repository's settings say, as git-lfs does."""
    repository.unlink()
    settings = tmp_path / "gitconfig"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    git("config", "--global", "filter.large.clean", 'sh -c "$(git config their.program)"')
    git("config", "their.program", "touch canary; cat")


def test_git_reads_files_through_no_filter(filtering: None) -> None:
    Path(".gitattributes").write_text("[attr]big filter=large\nfile big\n")
    state = git_state()
    assert state is not None
    assert (len(state["commit"]), state["dirty"]) == (40, None)
    assert not Path("canary").exists()
    git("status")
    assert Path("canary").exists(), "git itself runs it"


def test_changes_are_asked_where_no_file_is_filtered(filtering: None) -> None:
    state = git_state()
    assert state is not None
    assert state["dirty"] is False
    Path("file").write_text("other text")
    state = git_state()
    assert state is not None
    assert state["dirty"] is True


def test_program_here_is_not_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows looks for programs in the working directory first, others where a part of PATH is empty or relative."""
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", os.environ["PATH"]]))
    Path("git").write_text("#!/bin/sh\ntouch canary\n")
    Path("git").chmod(0o755)
    state = git_state()
    assert state is not None
    assert len(state["commit"]) == 40
    assert not Path("canary").exists()
    subprocess.run(["git"], check=True)
    assert Path("canary").exists(), "Python itself runs it"


def test_git_is_not_asked_for_a_strangers_config(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("theirs"))
    record = lab.run("ppo-cartpole", SIZES)
    assert record.git is not None
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("mine"))
    assert lab.run(str(record.dir / "config.yaml"), {"seed": 1}).git is None


def test_wandb_reads_no_settings_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would name the server that gets the reader's key, and add to what is sent."""
    names = ("WANDB_BASE_URL", "WANDB_MODE", "WANDB_DISABLE_GIT", "WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(own))
    (own / "settings").write_text("[default]\nentity = me\n")
    Path("wandb").mkdir()
    Path("wandb/settings").write_text("[default]\nbase_url = http://127.0.0.1:9\nentity = them\n")
    Path("config-defaults.yaml").write_text("theirs: {value: 1}\n")
    (own / "git").write_text(f"#!/bin/sh\ntouch {Path('canary').absolute()}\n")
    (own / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{os.environ['PATH']}")
    tear_down()  # the client of this process has read its settings
    try:
        found = start_run(tmp_path, "toy", "id", {"mine": 1}, "offline", {}, (10.0, 10.0))
        assert dict(found.config) == {"mine": 1}
        assert not Path("canary").exists(), "git is asked by the lab alone"
        assert "127.0.0.1" not in found.settings.base_url
        assert found.settings.entity == "me"
        found.finish()
    finally:
        tear_down()
