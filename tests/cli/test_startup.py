"""Commands import only what they need: imports are most of the time that a short command takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

TORCH = {"torch", "stable_baselines3", "pytorch_lightning", "gymnasium", "jsonargparse", "numpy"}
UNUSED = {"wandb", "scipy", "sklearn", "torchmetrics", "matplotlib", "plotly"}


def imported(*words: str, code: int = 0) -> set[str]:
    """The modules that `lab` with these words has imported at its end, which has this exit code."""
    script = f"""
import sys
from lab.cli.main import main
try:
    code = main({list(words)!r})
except SystemExit as error:
    code = error.code
print("modules", *sys.modules)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["--help"], ["run", "--help"], ["runs"], ["data", "list"]]
)
def test_quick_commands_import_nothing_heavy(words: list[str]) -> None:
    found = imported(*words) & (TORCH | UNUSED)
    assert not found, found


def test_nothing_to_resume_is_said_at_once() -> None:
    found = imported("resume", "--runs-dir", "none", code=2) & (TORCH | UNUSED)
    assert not found, found


def test_only_the_chosen_command_is_imported() -> None:
    modules = imported("show", "--help")
    rooms = ("lab.cli.experiments.", "lab.cli.trained.", "lab.cli.records.")
    assert [name for name in modules if name.startswith(rooms)] == ["lab.cli.experiments.show"]


def test_agents_need_no_compiler_or_lightning() -> None:
    words = ("run", "ppo-cartpole", "--total_timesteps=256", "--evaluation.episodes=2", "--evaluation.video=false")
    unused = (UNUSED - {"scipy"}) | {"scipy.stats", "sympy", "torch._dynamo", "pytorch_lightning"}
    found = imported(*words) & unused
    assert not found, found


def test_the_first_word_comes_before_torch() -> None:
    script = "import sys; sys.modules['torch'] = None; from lab.cli.main import main; main(['run', 'ppo-cartpole'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.startswith("lab: ppo-cartpole: loading PyTorch\n")
