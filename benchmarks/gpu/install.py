"""Makes the environment for `make gpu`, with the torch that is there if it fits: `python install.py VENV`.

Needs nothing but Python. A torch with CUDA has gigabytes, and a machine with a GPU mostly has one that fits its driver:
the one of VENV's neighbour `.venv`, or of the Python that runs this. It is taken if it sees the GPU and is new enough
for the lab. Without one, pip installs torch, which has CUDA on Linux. All other packages are installed in their tested
versions.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BESIDES = ("pytest", "pytest-timeout>=2.3")
"""What the tests need besides the lab's own packages."""
ASKED = """import pathlib, torch
print(torch.__version__, torch.cuda.is_available(), pathlib.Path(torch.__file__).parents[1], sep="\\n")"""
LINK = "torch-that-is-there.pth"


class Torch(NamedTuple):
    """The torch that a Python has."""

    version: tuple[int, int]
    sees: bool
    """Whether it sees a GPU."""
    folder: str


def main() -> None:
    venv, rehearsal = Path(sys.argv[1]).resolve(), "cpu" in sys.argv[2:] or "--device=cpu" in sys.argv[2:]
    python = str(venv / "bin" / "python")
    if said([python, "-m", "pip", "--version"]) is None:
        make(venv)
    link_torch(venv, rehearsal)
    constraints = venv / "constraints.txt"
    pinned = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
    if (there := torch_of(python)) and there.version >= least():
        pinned = [line for line in pinned if not line.startswith("torch==")]
    constraints.write_text("".join(pinned))
    wanted = ["--constraint", str(constraints), "--editable", str(ROOT), *BESIDES]
    command = [python, "-m", "pip", "install", "--quiet", *wanted]
    if subprocess.run(command, check=False).returncode:
        print("pip could not install everything; the steps that need what is missing will fail", file=sys.stderr)


def make(venv: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)


def link_torch(venv: Path, rehearsal: bool) -> None:
    """Give an environment the torch that is there, unless it has one that fits."""
    there = torch_of(str(venv / "bin" / "python"))
    if there and there.version >= least() and (rehearsal or there.sees):
        return
    (sites,) = (venv / "lib").glob("python*/site-packages")
    (sites / LINK).unlink(missing_ok=True)
    if folder := torch_folder(rehearsal):
        if (sites / "torch").exists():  # it would come before the linked one
            make(venv)
        print(f"torch is taken from {folder}")
        (sites / LINK).write_text(f"{folder}\n")


def torch_folder(rehearsal: bool) -> str | None:
    """Return the folder of a torch that is new enough and sees a GPU, which a rehearsal's need not; None where there is
    none."""
    for python in (str(ROOT / ".venv" / "bin" / "python"), sys.executable):
        found = torch_of(python)
        if found is None or not (rehearsal or found.sees) or not same_version(python):
            continue
        if found.version >= least():
            return found.folder
        wanted, old = (".".join(map(str, version)) for version in (least(), found.version))
        print(f"the torch {old} of {found.folder} is not taken, since the lab needs {wanted}: pip installs another one")
    return None


def torch_of(python: str) -> Torch | None:
    """Return the torch of a Python; None where it has none."""
    if (told := said([python, "-c", ASKED])) is None:
        return None
    version, sees, folder = told.splitlines()[-3:]
    return Torch(version_in(version), sees == "True", folder)


def least() -> tuple[int, int]:
    """Return the oldest version of torch that the lab runs with."""
    return version_in((ROOT / "pyproject.toml").read_text().partition('"torch>=')[2])


def version_in(text: str) -> tuple[int, int]:
    """Return the first two numbers of the version with which a text begins."""
    found = re.match(r"(\d+)\.(\d+)", text)
    assert found, f"no version: {text[:20]}"
    return int(found[1]), int(found[2])


def said(command: list[str]) -> str | None:
    """Return what a command prints; None where it fails or is not there."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def same_version(python: str) -> bool:
    """Whether another Python can lend its packages to this one."""
    code = "import sys; print(*sys.version_info[:2])"
    return (said([python, "-c", code]) or "").split() == [str(part) for part in sys.version_info[:2]]


if __name__ == "__main__":
    main()
