"""torchmetrics is imported without scipy.signal, which is there for whoever wants it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import scipy

from lab.finders.torchmetrics_light import SIGNAL, TorchmetricsLight, make_torchmetrics_light


def imported(folder: Path) -> ModuleType:
    """A package of torchmetrics' name that begins as torchmetrics does."""
    (folder / "torchmetrics").mkdir()
    (folder / "torchmetrics" / "__init__.py").write_text("import scipy.signal\nfound = scipy.signal.hamming\n")
    spec = TorchmetricsLight().find_spec("torchmetrics", [str(folder)])
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_sees_something_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, SIGNAL, raising=False)
    monkeypatch.delitem(vars(scipy), "signal", raising=False)
    assert imported(tmp_path).found is None
    assert SIGNAL not in sys.modules


def test_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = ModuleType(SIGNAL)
    there.hamming = "window"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, SIGNAL, there)
    monkeypatch.setitem(vars(scipy), "signal", there)
    assert imported(tmp_path).found == "window"
    assert sys.modules[SIGNAL] is there


def test_torchmetrics_still_imports_it() -> None:
    spec = importlib.util.find_spec("torchmetrics")
    assert spec is not None and spec.origin is not None  # noqa: PT018
    assert "import scipy.signal" in Path(spec.origin).read_text(), "lab.finders.torchmetrics_light is not needed then"


def test_the_finder_is_added_once() -> None:
    make_torchmetrics_light()
    assert sum(isinstance(one, TorchmetricsLight) for one in sys.meta_path) == 1
