"""The documents: short, without broken links, and in step with the configs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from lab.cli.find import commands
from lab.config.files import read
from lab.config.shipped import families, shipped
from lab.configuration import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST = 150
MADE = ("experiments.md", "settings.md", "techniques.md")


def test_tables_are_up_to_date() -> None:
    pages = runpy.run_path(str(ROOT / "docs/make_experiments.py"))["pages"]
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run `make docs`"


def test_settings_are_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs/make_settings.py"))["page"]
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert text == page(), "settings.md is out of date: run `make docs`"
    assert "| `gamma` | number from 0 to 1 | `0.99` |  | discount. |" in text


def test_techniques_are_measured_and_their_commands_work() -> None:
    made = runpy.run_path(str(ROOT / "docs/make_techniques.py"))
    plan = made["read"]()
    text = (ROOT / "docs/techniques.md").read_text(encoding="utf-8")
    assert text == made["page"](plan), "techniques.md is out of date: run `make docs`"
    assert "not measured" not in text
    assert plan["figures"].keys() == {key for key, _, _ in made["runs"](plan)}
    for section in {one["base"]: one for one in plan["sections"]}.values():  # one command of each base
        name, *settings = made["words_of"](plan, section, section["rows"][-1])
        load(name, settings)


def test_every_experiment_is_measured() -> None:
    """As README says, all but two have a published figure or a target of ours."""
    configs = {name: read(path) for name, path in shipped().items()}
    without = {name for name, config in configs.items() if not (config.get("reference") or config.get("target"))}
    assert without == {"ppo", "dqn"}


def test_house_names_every_room() -> None:
    """Each folder, and each file beside the folders, of `lab` and the families has a row of its own."""
    rows = set(re.findall(r"`([\w./]+)`", (ROOT / "docs/house.md").read_text(encoding="utf-8")))
    for package in (ROOT / "lab", *(ROOT / family for family in families())):
        folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
        files = {path.name for path in package.glob("*.py")} - {"__init__.py"}
        assert not (folders | files) - rows, "add a row to docs/house.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_modules_exist(page: Path) -> None:
    named = re.findall(r"`([\w/]+\.(?:py|yaml|md))`", page.read_text(encoding="utf-8"))
    assert not [path for path in named if "/" in path and not (ROOT / path).exists()]


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert not [name for room in commands().values() for name in room if f"`lab {name}" not in page]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in MADE], ids=lambda page: page.name)
def test_pages_are_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) < LONGEST
