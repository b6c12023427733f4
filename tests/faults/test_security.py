"""A run from somebody else may hold any file. Listing, evaluating, resuming and sending it never runs code of it."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cli.main import main
from lab.cli.output import named_after
from lab.configuration import load
from lab.encoders.files import load_encoder
from lab.errors import ConfigError, LabError
from lab.job import prepare
from lab.tracking.commit import git_state
from lab.tracking.sync import sync
from tests.faults.harness import SLOW, copy_of_killed, copy_of_undisturbed, lab_command
from tests.support.recorded import recorded

CANARY = "canary"


class Payload:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {CANARY}",)


def poke(folder: Path) -> None:
    """All ways to open a run."""
    for words in (["runs"], ["eval", str(folder)], ["resume", str(folder)], ["resume", str(folder), "--force"]):
        with suppress(LabError, OSError, ValueError):
            main([*words, "--runs-dir", str(folder.parent.parent)])
    for call in (load_encoder, lambda path: sync(path.parent, mode="offline")):
        with suppress(LabError, OSError, ValueError, KeyError):
            call(folder / "artifacts" / "encoder")
    assert not Path(CANARY).exists()


FILES = [
    *("config.yaml", "summary.json", "metrics.jsonl", "media.jsonl"),
    *(f"checkpoints/{at}/state.safetensors" for at in ("final", "best", "step")),
    *(f"checkpoints/{at}/{name}.json" for at in ("final", "best", "step") for name in ("meta", "manifest")),
    *(
        "checkpoints/segments/rows",
        "artifacts/encoder/encoder.safetensors",
        "artifacts/encoder/encoder.json",
        "media/x.png",
        ".lock",
    ),
]

SAMPLE = {"summary.json", "checkpoints/step/meta.json", "checkpoints/segments/rows", "artifacts/encoder/encoder.json"}


def find(folder: Path, name: str) -> list[Path]:
    first, _, rest = name.partition("checkpoints/step/")
    if rest:
        return sorted(folder.glob(f"checkpoints/step-*/{rest}"))
    if name.endswith("rows"):
        return sorted(folder.glob(f"{name}-*"))
    return [folder / first]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run of DQN, whose folder has every kind of file, and a killed one."""
    place = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("WANDB_MODE", "disabled")
        return copy_of_undisturbed("dqn").dir.absolute(), copy_of_killed("dqn", 6).absolute()


@pytest.mark.parametrize("name", [name if name in SAMPLE else pytest.param(name, marks=SLOW) for name in FILES])
def test_payload_is_never_run(name: str, runs: tuple[Path, Path]) -> None:
    for number, original in enumerate(runs):
        folder = Path("theirs") / str(number) / "dqn-cartpole" / original.name
        shutil.copytree(original, folder)
        paths = find(folder, name)
        assert paths
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(Payload()))
        poke(folder.absolute())


def plant(config: dict[str, Any], where: str, what: Any) -> dict[str, Any]:
    *parts, last = where.split(".")
    inner = config
    for part in parts:
        inner = inner[part]
    inner[last] = what
    return config


SHELL = {"class_path": "subprocess.Popen", "init_args": {"args": f"touch {CANARY}", "shell": True}}


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("experiment", "subprocess.Popen"),
        ("experiment", "evil.Experiment"),
        ("model", SHELL),
        ("data", SHELL),
        ("model.init_args.encoder", SHELL),
        ("model.init_args.encoder", f"os.system('touch {CANARY}')"),
        ("model.init_args.encoder", "evil.encoder"),
        ("model.init_args.encoder", {"class_path": "evil.Encoder"}),
        ("description", SHELL),
        ("trainer.optimizer", SHELL),
        ("trainer.optimizer", {"class_path": "evil.Adam"}),
        ("seed", f"!!python/object/apply:os.system ['touch {CANARY}']"),
        ("model.init_args.latent_dim", {"$tensor": "x"}),
    ],
)
def test_config_calls_no_foreign_code(where: str, what: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the run's folder are not imported either, even if it is the working directory."""
    folder = copy_of_killed("vae", 5).absolute()
    config = plant(yaml.safe_load((folder / "config.yaml").read_text()), where, what)
    text = yaml.safe_dump(config).replace("'!!python", "!!python").replace("''", "'").replace("]'", "]")
    (folder / "config.yaml").write_text(text)
    (folder / "evil.py").write_text(f"import os\nos.system('touch {CANARY}')\nclass Encoder: pass\nAdam = Encoder\n")
    monkeypatch.chdir(folder)
    poke(folder)
    assert not list(folder.rglob(CANARY))


def test_run_folder_is_not_importable() -> None:
    """Python itself would import from any folder below the working directory."""
    received = Path("theirs").absolute()
    shutil.copytree(copy_of_killed("vae", 5), received)
    (received / "evil.py").write_text(f"import os\nos.system('touch {CANARY}')\nclass X: pass\n")
    config = yaml.safe_load((received / "config.yaml").read_text())
    for where, what in (("model", {"class_path": "theirs.evil.X"}), ("model.init_args.encoder", "theirs.evil.X")):
        changed = plant(yaml.safe_load(yaml.safe_dump(config)), where, what)
        (received / "config.yaml").write_text(yaml.safe_dump(changed))
        poke(received)
        with pytest.raises(ConfigError, match="is not signed as yours"):
            load(str(received / "config.yaml"))


def test_environment_id_imports_no_run() -> None:
    folder = copy_of_killed("ppo", 3).absolute()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(plant(config, "env.id", "evil:CartPole-v1")))
    (folder / "evil.py").write_text(f"import os\nos.system('touch {CANARY}')\n")
    here = Path.cwd()
    with chdir(folder):
        for words in (["resume", ".", "--force"], ["eval", "."]):
            code, said = lab_command(words)
            assert code in (2, 5), said
    assert not list(here.rglob(CANARY))


def test_plain_values_stay_plain() -> None:
    folder = copy_of_killed("ppo", 3).absolute()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(plant(config, "env.kwargs", {"x": SHELL})))
    poke(folder)


def test_checkpoint_stays_in_folder() -> None:
    """A segment that a manifest names elsewhere is searched for in the run's own folder only."""
    folder = copy_of_killed("dqn", 6)
    (newest, *_) = sorted((folder / "checkpoints").glob("step-*"), reverse=True)
    manifest = newest / "manifest.json"
    secret = Path("secret.safetensors").absolute()
    segment = next((folder / "checkpoints" / "segments").iterdir())
    shutil.copy(segment, secret)
    manifest.write_text(manifest.read_text().replace(segment.name, f"../../../../{secret.name}"))
    from lab.errors import CheckpointError
    from lab.saving.checkpoint import load

    with pytest.raises(CheckpointError, match="segments"):
        load(newest)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("venv.__main__.X", "venv.__main__ is a program, which runs when it is imported"),
        ("wandb.__main__.X", "wandb.__main__ is a program, which runs when it is imported"),
        ("antigravity.X", "antigravity is part of Python's standard library, where a config may name nothing"),
    ],
)
def test_programs_are_not_imported(name: str, sentence: str) -> None:
    module = name.removesuffix(".X")
    for overrides in ({"agent.encoder": {"class_path": name}}, {"env.id": f"{module}:X-v0"}):
        with pytest.raises(ConfigError, match=re.escape(sentence)):
            prepare(load("ppo-cartpole", overrides), fast_dev_run=True)
    with pytest.raises(ConfigError, match=r"agent\.encoder"):
        load("ppo-cartpole", {"agent.encoder": name})
    assert module not in sys.modules


@pytest.mark.parametrize("beside", ["runs", "runs/theirs"])
def test_files_beside_runs_are_not_imported(beside: str, tmp_path: Path) -> None:
    run = Path("runs/theirs/20260101-000000-s0-abcd")
    run.mkdir(parents=True)
    (run / "summary.json").write_text("{}")
    mine = f"mine_{len(beside)}"  # Python imports a module only once
    for name in (beside, mine):
        Path(name).mkdir(exist_ok=True)
        Path(name, "helpers.py").write_text(
            f"import pathlib; pathlib.Path('{CANARY}').touch(); from lab.encoders import MLP"
        )
    path = ".".join([*Path(beside).parts, "helpers", "MLP"])
    with pytest.raises(ConfigError, match="lies in a folder of runs, and nothing there is imported"):
        load("ppo-cartpole", {"agent.encoder": path})
    assert not Path(CANARY).exists()
    load("ppo-cartpole", {"agent.encoder": f"{mine}.helpers.MLP"})
    assert Path(CANARY).exists(), "one's own classes are"


@pytest.mark.parametrize(
    ("wrapper", "settings"),
    [
        ("stable_baselines3.common.monitor.Monitor", {"filename": "theirs/episodes"}),
        ("gymnasium.wrappers.RecordVideo", {"video_folder": "theirs/films", "gc_trigger": None}),
    ],
)
def test_wrappers_that_write_are_refused(wrapper: str, settings: dict[str, Any]) -> None:
    wrappers = [{"class_path": wrapper, "init_args": settings}]
    with pytest.raises(ConfigError, match=r"env\.wrappers: .* writes files"):
        prepare(load("ppo-cartpole", {"env.wrappers": wrappers}), fast_dev_run=True)
    assert not Path("theirs").exists()


def repository(folder: Path, command: str) -> None:
    """Make a git repository with one commit, whose settings name a command that `git status` runs."""
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first"]
    for words in (["init", "-q"], commit, ["config", "core.fsmonitor", command]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def test_git_runs_no_command_of_a_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(Path("runs").absolute())
    text = json.loads((run.dir / "summary.json").read_text())
    del text["git"]
    (run.dir / "summary.json").write_text(json.dumps(text))
    (run.dir / "metrics.jsonl").touch()
    repository(run.dir, f"touch {run.dir / CANARY}; false")
    monkeypatch.chdir(run.dir)
    assert main(["runs", "--runs-dir", str(run.dir.parent.parent)]) == 0
    assert git_state() is None
    assert not (run.dir / CANARY).exists()
    monkeypatch.chdir(run.dir.parent.parent)
    repository(Path.cwd(), f"touch {run.dir / CANARY}; false")
    assert git_state() is not None
    assert not (run.dir / CANARY).exists()
    subprocess.run(["git", "status"], check=True, capture_output=True)
    assert (run.dir / CANARY).exists(), "git itself would have run it"


@pytest.mark.parametrize(
    "name", ["../elsewhere", "/etc/passwd", "..", "a/b", "", ".hidden", "a\x1b]0;b", "a\nb", "a\u202eb"]
)
def test_files_are_named_after_no_path(name: str) -> None:
    """`lab export` and `lab sample` name files after a run, whose summary may be somebody else's."""
    with pytest.raises(ConfigError, match="name one with -o"):
        named_after(name)


def test_config_of_a_run_extends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A stranger's run could bring a file of the reader's into reports that he passes on."""
    run = recorded(Path("runs").absolute())
    Path("private.yaml").write_text("note: my private note\n")
    with (run.dir / "config.yaml").open("a") as config:
        config.write(f"\nextends: {Path('private.yaml').absolute()}\n")
    with pytest.raises(ConfigError, match="extends nothing"):
        load(str(run.dir / "config.yaml"))
    assert main(["report", "-o", "report.html"]) == 0
    assert "my private note" not in capsys.readouterr().out + Path("report.html").read_text()
