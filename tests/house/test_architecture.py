"""The rooms of the house, and who may know whom: read off the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAMILIES = ("agents", "generative", "supervised")
MOST_MODULES, LONGEST_CHAIN, MOST_LINES = 14, 12, 280

ROOMS = (  # of `lab`: each may import the rooms before it. A file beside the rooms counts as a room.
    *("errors", "moved", "statistics", "config", "console", "system", "data", "nn", "runs", "tracking", "saving"),
    *("encoders", "experiment", "capabilities", "training", "model", "configuration", "needs", "job", "runner"),
    *("resuming", "evaluation", "doctor", "seeds", "report", "cli"),
)

FILES = sorted(path for package in ("lab", *FAMILIES) for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imported(body: Sequence[ast.stmt]) -> Iterator[str]:
    """What statements import when a module is loaded: nothing inside functions, and nothing for type checkers alone."""
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
    """Of all statements, wherever they stand."""
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


def test_rooms_of_lab_are_ordered() -> None:
    for name in MODULES:
        if name.startswith("lab."):
            own = ROOMS.index(name.split(".")[1])
            for other in IMPORTS[name] - {"lab"}:
                assert ROOMS.index(other.split(".")[1]) <= own, f"{name} imports {other}, which is in a later room"


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


def test_rooms_say_what_lives_in_them() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} does not say what it is"


def test_every_module_imports_alone() -> None:
    """Each in a fork of an interpreter that has loaded the libraries, but nothing of ours."""
    script = f"""
import os, sys, traceback
import torch, pytorch_lightning, stable_baselines3, sklearn, rich, jsonargparse, torchmetrics
for name in {list(MODULES)!r}:
    child = os.fork()
    if child == 0:
        try:
            __import__(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("cannot import " + name)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_files_stay_one_concept_long() -> None:
    for path in FILES:
        assert len(path.read_text().splitlines()) <= MOST_LINES, f"{path.name} is more than one sitting"
