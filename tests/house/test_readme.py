"""README and docs do what they say: their examples run, their commands parse, and the names in them exist.

`tests/fixtures/own-VERSION` keeps the examples of that version's README, which must go on working unchanged.
"""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Any

import pytest

import lab
from lab.cli.find import find
from lab.cli.main import main
from lab.cli.parser import Parser
from lab.config.files import read
from lab.config.shipped import families, shipped
from lab.configuration import load
from lab.errors import ConfigError
from lab.runs.summary import Summary
from tests.data.small import small as small_data
from tests.house.small import small

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FIXTURES = Path(__file__).parents[1] / "fixtures"
PROMISED = {"wide-vae.yaml", "patches.yaml", "small-car.yaml", "my_encoders.py"}
"""Examples of a user's own that README or docs must have."""


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield (the text before it, content) for each fenced block of a language."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            yield text[: found.start()], found.group(1)


def documented() -> Iterator[tuple[str, str]]:
    """Yield (file name, content) for the examples: a YAML names itself in its first line, a module is named in the
    sentence before it. A script has no name."""
    for _, content in blocks("yaml"):
        yield content.partition("\n")[0].removeprefix("# "), content
    for before, content in blocks("python"):
        named = re.findall(r"into `(\w+\.py)`:\n\n$", before)
        yield named[0] if named else "", content


def recorded() -> Iterator[tuple[str, str]]:
    for path in sorted(FIXTURES.glob("own-*/*")):
        yield "" if path.name == "example.py" else path.name, path.read_text(encoding="utf-8")


EXAMPLES = {"docs": list(documented()), "0.1.0": list(recorded())}
MODULES = {source: [one for one in found if one[0].endswith(".py")] for source, found in EXAMPLES.items()}
CONFIGS = [
    pytest.param(source, name, id=f"{source}-{name}")
    for source, found in EXAMPLES.items()
    for name, content in dict(found).items()
    if name.endswith(".yaml")
    # What has not changed since is tested once.
    and (source == "docs" or (name, content) not in EXAMPLES["docs"] or MODULES[source] != MODULES["docs"])
]
SCRIPTS = list(dict.fromkeys(content for found in EXAMPLES.values() for name, content in found if not name))


def test_examples_are_there() -> None:
    for found in EXAMPLES.values():
        assert {name for name, _ in found} >= PROMISED | {""}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the examples into the empty working directory, and forgets their modules afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in PROMISED:
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)

    def write(source: str) -> None:
        for file, content in EXAMPLES[source]:
            if file:
                Path(file).write_text(content, encoding="utf-8")

    return write


@pytest.mark.parametrize(("source", "name"), CONFIGS)
def test_own_config_runs(source: str, name: str, own: Callable[[str], None]) -> None:
    """In a folder that holds nothing but the examples."""
    own(source)
    words = [f"--{key}={value}" for key, value in small_data(read(Path(name).resolve())).items()]
    assert load(name, words).common.name == Path(name).stem
    try:
        run = lab.run(name, words, runs_dir="runs", fast_dev_run=True)
    except ConfigError as error:
        if "package that is not installed" in str(error):
            pytest.skip(str(error))
        raise
    assert run.status == "completed"
    assert main(["eval", str(run.dir)]) == 0


def test_own_encoder_takes_overrides(own: Callable[[str], None]) -> None:
    own("docs")
    width = ["--model.encoder.width=256"]
    resolved = load("patches.yaml", width).as_dict()
    assert resolved["model"]["init_args"]["encoder"]["init_args"] == {"patch": 7, "width": 256}
    with pytest.raises(ConfigError, match="width"):
        load("patches.yaml", ["--model.encoder.width=wide"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_runs(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = lab.run

    def briefly(name: str, overrides: Any = ()) -> Summary:
        return real(name, dict(overrides) | small(name), runs_dir="runs", fast_dev_run=True)

    monkeypatch.setattr(lab, "run", briefly)
    Path("script.py").write_text(script, encoding="utf-8")
    runpy.run_path("script.py")
    assert "runs/" in capsys.readouterr().out


def commands() -> Iterator[str]:
    """The commands of all pages, with the settings that a block keeps in a variable of the shell."""
    for _, content in blocks("sh"):
        kept: dict[str, str] = {}
        for line in content.replace("\\\n", " ").splitlines():
            if variable := re.fullmatch(r"(\w+)='(.*)'", line):
                kept[variable[1]] = variable[2]
            if line.startswith("lab "):
                yield Template(line).safe_substitute(kept)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = find(words[0])
    parser = Parser(words[0], command.summary, takes_overrides=command.takes_overrides)
    command.add_options(parser)
    options, rest = parser.read(words[1:])
    name = getattr(options, "name", None)
    if name in shipped():
        load(name, rest)


def dotted_names() -> set[str]:
    """What the pages call by a dotted Python name, such as `lab.run` or `agents.ppo.PPO`."""
    roots = "|".join(("lab", *families()))
    texts = (page.read_text(encoding="utf-8") for page in PAGES)
    return {name for text in texts for name in re.findall(rf"`((?:{roots})(?:\.\w+)+)[`(]", text)}


@pytest.mark.parametrize("name", sorted(dotted_names()))
def test_name_exists(name: str) -> None:
    """It is a module, or what a module has."""
    module, _, attribute = name.rpartition(".")
    with suppress(ModuleNotFoundError):
        importlib.import_module(name)
        return
    assert hasattr(importlib.import_module(module), attribute)
