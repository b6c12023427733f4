"""What a user installs: the built wheel, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = "import lab, sys; from lab.cli.main import main; print(lab.__file__); sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-w", str(folder), "-q"],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def lab(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-P", "-c", SCRIPT, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout.splitlines()[0], "this is the wheel's lab, not the checkout's"
    return done


def test_configs_are_found(installed: Path) -> None:
    assert not list(Path.cwd().iterdir())
    assert "ppo-cartpole" in lab(installed, "list").stdout
    assert (installed / "configs" / "sweeps" / "ppo-cartpole.yaml").is_file()


@pytest.mark.slow
def test_own_folders_hide_nothing(installed: Path) -> None:
    for name in ("configs", "agents"):
        Path(name).mkdir()
        (Path(name) / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    assert "verdict" in lab(installed, "run", "ppo-cartpole", "--fast-dev-run", "--json").stdout
    assert "report.html: " in lab(installed, "report").stdout
    page = Path("report.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 6
    assert "plotly.js" in page


def test_only_packages_are_installed(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"lab", "agents", "generative", "supervised", "configs"}
