"""The rooms of the house, and who may know whom: read off the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FAMILIES = ("agents", "generative", "supervised")
FILES = sorted(path for package in ("lab", *FAMILIES) for path in (ROOT / package).rglob("*.py"))
NAMES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES]

PAIRS = list(zip(FILES, NAMES, strict=True))

LAYERS = [  # each may import those before it, and its own
    {"errors", "files", "progress", "nested", "randomness", "signals", "divergence", "imports", "judging", "stopwatch"},
    {"cores", "disk", "tables"},
    {"settings", "spec", "layers", "decoders", "encoders", "data", "tracking", "checkpoint", "devices", "statistics"},
    {"saving", "reference", "optimization", "pictures", "config_files", "config_errors", "summary"},
    {"experiment", "acting", "run_folder", "compatibility"},
    {"model", "config", "panel"},
    {"lightning", "laps", "training"},
    {"runner"},
    {"resuming", "evaluation", "selection", "sync"},
    {"fields", "query", "direction", "ordering"},
    {"run_diff", "spreadsheet", "removal"},
    {"groups", "groups_report", "report", "runs_table"},
    {"children", "recorded", "seed_runs", "seeds", "seeds_report", "seeds_display"},
    {"comparison", "doctor", "doctor_report", "verify"},
    {"runs_options"},
    {"commands", "report_commands", "run_commands", "runs_commands", "seeds_command"},
    {"cli", "child", ""},  # "": lab/__init__.py, which hands out the runner
]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_file_is_looked_at() -> None:
    assert len(FILES) > 40


@pytest.mark.parametrize(("path", "name"), PAIRS, ids=NAMES)
def test_no_room_knows_one_above_or_beside_it(path: Path, name: str) -> None:
    own = name.split(".")[0]
    forbidden = [family for family in FAMILIES if family != own] + ["lightning", "tests", "benchmarks"]
    for imported in imports(path):
        assert imported.split(".")[0] not in forbidden, f"{name} imports {imported}"


@pytest.mark.parametrize(("path", "name"), [pair for pair in PAIRS if pair[1].startswith("lab")])
def test_lab_is_layered(path: Path, name: str) -> None:
    def layer(module: str) -> int:
        part = [*module.split("."), ""][1]
        return next(i for i, names in enumerate(LAYERS) if part in names)

    for imported in imports(path):
        if imported.startswith("lab.") and (ROOT / imported.replace(".", "/")).with_suffix(".py").exists():
            assert layer(imported) <= layer(name), f"{name} imports {imported}"


def test_every_module_imports_alone() -> None:
    """Each in a fork of an interpreter that has loaded the libraries, but nothing of ours."""
    script = f"""
import os, sys, traceback
import torch, pytorch_lightning, stable_baselines3, sklearn, rich, jsonargparse, torchmetrics
for name in {NAMES!r}:
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
        assert len(path.read_text().splitlines()) <= 280, f"{path.name} is more than one sitting"
