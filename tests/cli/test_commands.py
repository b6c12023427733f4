"""Commands are files found by path, each with its own options, help and body."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.find import commands, load
from lab.cli.main import main
from tests.cli.test_list import copied_house

NAMES = {name: module for room in commands().values() for name, module in room.items()}
HELLO = '''"""A command of a family."""

SUMMARY = "greet a run"
TAKES_OVERRIDES = True


def add_options(parser):
    parser.add_argument("name")


def run(options, rest):
    print("hello", options.name, *rest)
    return 0
'''


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = load(NAMES[name])
    assert command.summary[0].islower()
    assert not command.summary.endswith(".")
    assert inspect.get_annotations(command.run) == {
        "options": "argparse.Namespace",
        "rest": "list[str]",
        "return": "int",
    }
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: lab {name} ")
    assert command.summary in said


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    for name, module in NAMES.items():
        assert f"  {name} " in out
        assert load(module).summary in out


def test_families_have_commands_of_their_own(tmp_path: Path) -> None:
    house, (family, *_) = copied_house(tmp_path)
    folder = house / family / "commands"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "say_hello.py").write_text(HELLO)
    (folder / "broken.py").write_text("raise RuntimeError('only the chosen command is imported')")
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from lab.cli.main import main; sys.exit(main())"
    words = ["say-hello", "--a.b=1", "you", "--seed.c", "2"]
    done = subprocess.run([sys.executable, "-c", script, str(house), *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "hello you --a.b=1 --seed.c 2\n"), done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--verbose"], "expected a command, received '--verbose'"),
        (["rnu", "ppo-cartpole"], "unknown command 'rnu'; did you mean 'run'?"),
        (["list", "--jsno"], "`lab list` does not take '--jsno'; did you mean '--json'?"),
        (["show"], "the following arguments are required: NAME|FILE.yaml|RUN"),
        (["sample"], "the following arguments are required: RUN"),
    ],
)
def test_slips_are_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("lab: error: ")
    assert sentence in line


def test_values_of_settings_may_stand_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--agent.n_steps", "64", "ppo-cartpole", "--seed", "3", "--env.kwargs={a: [1, 2]}"]) == 0
    shown = capsys.readouterr().out
    assert "n_steps: 64\n" in shown
    assert "\nseed: 3\n" in shown
