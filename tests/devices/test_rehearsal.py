"""`make gpu` in small: one step really runs, and one that fails or hangs does not end the others."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import install
from benchmarks.gpu.plan import GRAPHED, RESUMED, TRAINED, Step, steps
from benchmarks.gpu.work import settings
from lab.configuration import load

ROOT = Path(gpu.__file__).parents[2]


@pytest.fixture(autouse=True)
def handler_as_found() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_rehearsal_writes_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "about", "--device", "cpu"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert gpu.main() == 0
    report = json.loads(Path("gpu.json").read_text())
    assert report["device"] == "cpu"
    assert report["steps"]["about"]["verdict"] == "done"
    assert report["steps"]["about"]["versions"]["torch"]
    assert not Path("gpu.json.part").exists()


@pytest.mark.parametrize(
    ("code", "verdict", "said"),
    [
        ("raise RuntimeError('CUDA error')", "failed", "RuntimeError: CUDA error"),
        ("import time; print('begun', flush=True); time.sleep(60)", "too long", "begun"),
        ("print('3 passed')", "done", "3 passed"),
    ],
)
def test_step_says_how_it_ended(code: str, verdict: str, said: str) -> None:
    found = gpu.run(Step("a step", ["-c", code], 60, measured=False), 2 if verdict == "too long" else 60)
    assert found["verdict"] == verdict
    assert said in gpu.summary(found)


STOPPED = """
import sys
from benchmarks.gpu import __main__ as gpu
code = "import os, time; print(os.getpid(), file=open('pid', 'w'), flush=True); time.sleep(60)"
gpu.steps = lambda device: [gpu.Step("a step", ["-c", code], 60, measured=False)]
sys.argv = ["gpu", "--device", "cpu"]
sys.exit(gpu.main())
"""


def test_its_end_ends_the_step() -> None:
    driver = subprocess.Popen([sys.executable, "-c", STOPPED], env={**os.environ, "PYTHONPATH": str(ROOT)})
    place, until = Path("pid"), time.monotonic() + 60
    while not (place.exists() and place.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    driver.terminate()
    assert driver.wait(60) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_tests_that_hang_end_before_their_step(device: str) -> None:
    tests = next(step for step in steps(device) if step.name == "tests")
    one, all_ = (int(found) for found in re.findall(r"timeout=(\d+)", " ".join(tests.words)))
    assert one < all_ < tests.limit


def test_torch_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a rehearsal has linked gives way to a torch that sees the GPU and is new enough."""
    for name in ("lender", "venv"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / name)], check=True)
    (sites,) = (tmp_path / "lender" / "lib").glob("python*/site-packages")
    (sites / "torch").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "lender" / "bin" / "python"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def linked(version: str, *, sees: bool, rehearsal: bool = False) -> bool:
        text = f"__version__ = {version!r}\nclass cuda:\n    is_available = staticmethod(lambda: {sees})\n"
        (sites / "torch" / "__init__.py").write_text(text)
        install.link_torch(tmp_path / "venv", rehearsal)
        return install.torch_of(str(tmp_path / "venv" / "bin" / "python")) is not None

    assert linked("2.13.0+cpu", sees=False, rehearsal=True)
    assert not linked("2.13.0+cpu", sees=False)
    assert linked("2.9.1+cu128", sees=True)
    assert not linked("2.8.0", sees=True)
    assert "the lab needs 2.9" in capsys.readouterr().out


def test_what_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--budget", "1"])
    assert gpu.main() == 1
    report = json.loads(Path("gpu.json").read_text())
    assert {one["verdict"] for one in report["steps"].values()} == {"left out"}
    assert len(report["steps"]) == len(steps("cpu"))


def test_plan_fits_configs() -> None:
    """Names of steps are unique, and all settings exist."""
    names = [step.name for step in steps("cuda")]
    assert len(names) == len(set(names))
    for name in TRAINED:
        load(name, settings(name, "cpu"))
    assert {*RESUMED, *GRAPHED} <= TRAINED.keys()
