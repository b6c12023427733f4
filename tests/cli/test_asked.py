"""Questions that people ask a command: what a setting means, which version, what may come next."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from lab.cli.main import main
from tests.support.recorded import CONFIG, recorded


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == f"deep-learning-lab {version('deep-learning-lab')}\n"


@pytest.mark.parametrize("asked", ["agent.gamma", "gamma"])
def test_one_setting_is_explained(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "show", "ppo-cartpole", "--explain", asked).splitlines()
    assert lines == ["agent.gamma = 0.98", "    discount.", "    (number from 0 to 1; default 0.99)"]


def test_every_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    shown = yaml.safe_load(said(capsys, "show", "cnn-mnist"))
    text = said(capsys, "show", "cnn-mnist", "--explain")
    for key in ("model.encoder.dropout", "trainer.max_epochs", "trainer.optimizer.lr", "data.batch_size", "seed"):
        assert f"\n{key} = " in f"\n{text}"
    assert "(whole number > 0 or null; default null; how long to train)" in text
    assert f"trainer.max_epochs = {shown['trainer']['max_epochs']}\n" in text
    explained = [line for line in text.splitlines() if line and not line.startswith(" ")]
    silent = [line for line in explained if f"{line}\n    (" in text and "torch.optim" not in line]
    assert not [line for line in silent if not line.startswith("trainer.optimizer")], "settings without a sentence"


def test_a_group_that_is_null_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "run", "cnn-mnist", "--trainer.early_stopping.help")
    assert "trainer.early_stopping.patience = 5\n    epochs without improvement.\n" in text


def test_another_class_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "run", "vae-mnist", "--model.encoder.help=Conv")
    assert "model.encoder = lab.encoders.Conv\n" in text
    assert "model.encoder.pool = flatten\n" in text
    assert "model.latent_dim" not in text


def test_help_of_an_experiment_has_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "run", "ppo-cartpole", "--help")
    assert "--make-needed" in text
    assert "agent.gamma = 0.98\n" in text


def test_print_config_is_show(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("ppo-cartpole", "--agent.gamma=0.5")
    assert said(capsys, "run", *words, "--print_config") == said(capsys, "show", *words)
    assert not Path("runs").exists()


def test_unknown_setting_is_not_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "ppo-cartpole", "--explain", "agent.gama"]) == 2
    assert "has no setting 'agent.gama'; did you mean 'agent.gamma'?" in capsys.readouterr().err


def test_a_run_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    record = recorded(Path("runs"), seed=3)
    for name in (record.run_id, "ppo-a", record.run_dir):
        assert main(["show", name]) == 0
        out, err = capsys.readouterr()
        assert yaml.safe_load(out) == {**CONFIG, "name": "ppo-a", "seed": 3}
        assert "495" in err, "the panel"
    assert main(["show", "ppo-a", "--explain"]) == 2
    assert "is a run" in capsys.readouterr().err
    assert main(["show", "ppo-cartpol"]) == 2
    assert "did you mean 'ppo-cartpole'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lab rep", {"report", "reproduce"}),
        ("lab run ppo-cartpole-f", {"ppo-cartpole-fast"}),
        ("lab run ppo-cartpole --agent.ga", {"--agent.gae_lambda", "--agent.gamma"}),
        ("lab eval ppo-", {"ppo-a", "ppo-b"}),
        ("lab show ppo-cartpole-f", {"ppo-cartpole-fast"}),
        ("lab show ppo-a", {"ppo-a", "ppo-acrobot"}),
        ("lab run mi", {"mine.yaml"}),
        ("lab run mine.yaml --model.lat", {"--model.latent_dim"}),
        ("lab data fetch mn", {"mnist"}),
        ("lab data show mi", {"mine.yaml"}),
    ],
)
def test_words_are_completed(line: str, expected: set[str]) -> None:
    pytest.importorskip("argcomplete")
    for name in ("ppo-a", "ppo-b"):
        (Path("runs") / name / "1").mkdir(parents=True)
        (Path("runs") / name / "1" / "summary.json").touch()
    Path("mine.yaml").write_text("extends: vae-mnist\n")
    answer = Path("answer")
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9", "IFS": "\v"}
    script = "import sys; sys.argv = ['lab']; from lab.cli.main import entry; entry()"
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_IFS": "\v"}
    subprocess.run([sys.executable, "-c", script], env=os.environ | asked, check=True, capture_output=True)
    assert set(map(str.strip, answer.read_text().split("\v"))) == expected


@pytest.mark.parametrize(
    ("shell", "asking"),
    [
        (["bash", "--norc"], "complete -p lab"),
        (["zsh", "-f"], "print -- lab $_comps[lab]"),  # with nothing in its .zshrc
        (["fish", "--no-config"], "complete -c lab"),
    ],
    ids=lambda one: one[0] if isinstance(one, list) else "",
)
def test_shells_take_the_script(shell: list[str], asking: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("argcomplete")
    if shutil.which(shell[0]) is None:
        pytest.skip(f"needs {shell[0]}")
    Path("script").write_text(said(capsys, "completion", shell[0]))
    command, env = [*shell, "-c", f"source ./script; {asking}"], os.environ | {"ZDOTDIR": "."}  # where zsh keeps a file
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "lab" in done.stdout.split()
    assert "_complete" in done.stdout or "argcomplete" in done.stdout
    assert not done.stderr


def test_completion_is_for_known_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err
