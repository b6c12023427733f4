"""Other packages are called `agents` as well: the lab's are imported inside the lab, and who is hidden is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OTHER = Path("other/agents")
LOAD = "from lab.configuration import load; print(load('ppo-cartpole').as_dict()['agent']['class_path'])"


@pytest.fixture(autouse=True)
def another_package() -> None:
    (OTHER / "navigation").mkdir(parents=True)
    (OTHER / "__init__.py").write_text("class Agent:\n    pass\n")
    (OTHER / "navigation" / "__init__.py").write_text("")


def said(script: str) -> str:
    begin = f"import sys; sys.path[:0] = ['other', {str(ROOT)!r}]\n"
    done = subprocess.run([sys.executable, "-c", begin + script], capture_output=True, text=True)
    return done.stdout + done.stderr.splitlines()[-1] if done.returncode else done.stdout


def test_the_labs_package_is_imported_in_the_lab() -> None:
    assert said(LOAD) == "agents.ppo.PPO\n"


def test_a_package_that_was_imported_before_is_named() -> None:
    text = said(f"import agents\n{LOAD}")
    assert "the lab's package 'agents' is hidden by" in text
    assert str((OTHER / "__init__.py").resolve()) in text or str(OTHER / "__init__.py") in text


@pytest.mark.parametrize(
    "line", ["import agents.navigation", pytest.param("from agents import Agent", marks=pytest.mark.slow)]
)
def test_a_module_of_the_users_that_needs_the_other_is_told(line: str) -> None:
    Path("mine.py").write_text(f"{line}\nfrom agents.ppo import PPO\nclass Mine(PPO):\n    pass\n")
    text = said("from lab.configuration import load; load('ppo-cartpole', ['--agent=mine.Mine'])")
    assert "the lab's own package" in text
    assert "hides other/agents/__init__.py" in text or f"hides {OTHER.resolve()}/__init__.py" in text
