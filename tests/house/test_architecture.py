"""The rooms of the packages, and which may import which. Read off the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = ("agents", "generative", "supervised")
MOST_MODULES, LONGEST_CHAIN, MOST_LINES = 14, 12, 250

FILES = sorted(path for package in ("lab", *FAMILIES) for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imported(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield what statements import when a module is loaded: not inside functions, not for type checkers only."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Try):
            yield from imported(node.body)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from imported([*node.body, *node.orelse])


def room_of(module: str) -> str:
    path = MODULES[module]
    return module if path.name == "__init__.py" or path.parent.parent == ROOT else module.rpartition(".")[0]


IMPORTS = {
    name: {other for other in imported(ast.parse(path.read_text()).body) if other in MODULES} - {name}
    for name, path in MODULES.items()
}


def everything_imported(path: Path) -> set[str]:
    """Return what all statements import, those inside functions too."""
    tree = ast.parse(path.read_text())
    inner = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return set(imported(inner))


def test_every_file_is_found() -> None:
    assert len(FILES) > 40


def test_no_family_knows_another() -> None:
    for name, path in MODULES.items():
        own = name.partition(".")[0]
        forbidden = {*FAMILIES, "lightning", "tests", "benchmarks"} - {own}
        known = {other.partition(".")[0] for other in everything_imported(path)}
        assert not known & forbidden, f"{name} imports {known & forbidden}"


def rooms_in_order() -> list[str]:
    """The rooms of `lab`, and the files beside them, as the table of docs/house.md orders them."""
    page = (ROOT / "docs" / "house.md").read_text()
    table = page.partition("## The rooms of `lab`")[2].partition("## ")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(.+?)`", cell)]
    return ["lab." + name.removesuffix("/").removesuffix(".py").replace("/", ".") for name in names]


def test_rooms_of_lab_are_ordered() -> None:
    rooms = rooms_in_order()

    def place(module: str) -> int:
        parents = [module.rsplit(".", cut)[0] for cut in range(module.count("."))]
        return next(rooms.index(parent) for parent in parents if parent in rooms)

    for name in MODULES:
        if name.startswith("lab."):
            for other in IMPORTS[name] - {"lab"}:
                assert place(other) <= place(name), f"{name} imports {other}, which docs/house.md has in a later room"


def test_rooms_have_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for name, others in IMPORTS.items():
        graph.setdefault(room_of(name), set()).update(room_of(other) for other in others)
    for room in graph:
        graph[room].discard(room)
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_chains_of_imports_are_short() -> None:
    @cache
    def chain(name: str) -> tuple[str, ...]:
        return (name, *max(map(chain, IMPORTS[name]), key=len, default=()))

    longest = max(map(chain, MODULES), key=len)
    assert len(longest) <= LONGEST_CHAIN, " -> ".join(longest)


def test_rooms_are_small() -> None:
    counts = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert not {str(folder): count for folder, count in counts.items() if count > MOST_MODULES}


def test_rooms_are_described() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} does not say what it is"


@pytest.mark.slow
def test_every_module_imports_alone() -> None:
    """Each module is imported with nothing else of ours loaded than what it imports itself.

    A module is imported in a fork of the process that has imported the largest of the modules that it needs.
    """

    @cache
    def needed(name: str) -> frozenset[str]:
        return frozenset({name}.union(*map(needed, IMPORTS[name])))

    largest = {name: max(IMPORTS[name], key=lambda one: len(needed(one)), default="") for name in MODULES}
    script = f"""
import gc, os, sys, traceback
import torch, pytorch_lightning, stable_baselines3, gymnasium, sklearn, rich, jsonargparse, torchmetrics, jinja2
largest = {largest!r}
def visit(name):
    try:
        if name:
            __import__(name)
    except BaseException:
        traceback.print_exc()
        print("cannot import", name, file=sys.stderr)
        os._exit(1)
    for other in largest:
        if largest[other] == name:
            child = os.fork()
            if child == 0:
                visit(other)
                os._exit(0)
            if os.waitpid(child, 0)[1] != 0:
                os._exit(1)
gc.disable()  # a collection would copy all memory into the fork
visit("")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_lab_names_no_family() -> None:
    """Neither as a module nor in a text. Sentences for users may speak of agents."""
    for name, path in MODULES.items():
        if name.partition(".")[0] == "lab":
            texts = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            named = {text for text in texts if isinstance(text, str) and text.partition(".")[0] in FAMILIES}
            assert not named, f"{name} names a family: {named}"


OTHERS = {"devices", "faults", "gpu", "house", "support"}


def test_tests_have_same_rooms() -> None:
    """The tests of a room lie in the folder of its name; those of several rooms lie in the others."""
    rooms = {path.parent.name for path in (ROOT / "lab").glob("*/__init__.py")} | {*FAMILIES}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")} - OTHERS
    assert folders <= rooms
    assert rooms - folders <= {*FAMILIES}


def test_rooms_of_tests_are_small() -> None:
    counts = Counter(path.parent for path in (ROOT / "tests").rglob("test_*.py"))
    assert not {str(folder): count for folder, count in counts.items() if count > MOST_MODULES}


def test_one_file_prints() -> None:
    """Or a text of somebody else's reaches the terminal with what that obeys."""
    for path in FILES:
        used = set(re.findall(r"(?<![\w.])(?<!def )(?:print\(|=print\b|Console\()", path.read_text()))
        assert not used & {"print(", "=print"} or path == ROOT / "lab/cli/output.py", f"{path}: use print_line"
        assert "Console(" not in used, f"{path}: use lab.console.notices.Terminal"


def test_files_are_short() -> None:
    for path in FILES:
        assert len(path.read_text().splitlines()) <= MOST_LINES, f"{path.name} has too many lines"
