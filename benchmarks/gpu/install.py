"""Makes the environment for `make gpu`, with the torch that is there if it sees a GPU: `python install.py VENV`.

Needs nothing but Python. A torch with CUDA has gigabytes, and a machine with a GPU mostly has one that fits its driver:
the one of VENV's neighbour `.venv`, or of the Python that runs this. Without one, pip installs torch, which has CUDA on
Linux. All other packages are installed in their tested versions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BESIDES = ("pytest", "pytest-timeout")
"""What the tests need besides the lab's own packages."""
FOLDER = "import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])"
SEES = "import sys, torch; sys.exit(not torch.cuda.is_available())"


def main() -> None:
    venv, rehearsal = Path(sys.argv[1]).resolve(), "cpu" in sys.argv[2:] or "--device=cpu" in sys.argv[2:]
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        if folder := torch_folder(rehearsal):
            print(f"torch is taken from {folder}")
            (sites,) = (venv / "lib").glob("python*/site-packages")
            (sites / "torch-that-is-there.pth").write_text(f"{folder}\n")
    constraints = venv / "constraints.txt"
    pinned = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
    if subprocess.run([python, "-c", "import torch"], check=False, capture_output=True).returncode == 0:
        pinned = [line for line in pinned if not line.startswith("torch==")]
    constraints.write_text("".join(pinned))
    wanted = ["--constraint", str(constraints), "--editable", str(ROOT), *BESIDES]
    command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    if subprocess.run(command, check=False).returncode:
        print("pip could not install everything; the steps that need what is missing will fail", file=sys.stderr)


def torch_folder(rehearsal: bool) -> str | None:
    """Return the folder of a torch that sees a GPU, or of any for a rehearsal; None where none is installed."""
    for python in (str(ROOT / ".venv" / "bin" / "python"), sys.executable):
        try:
            seen = rehearsal or subprocess.run([python, "-c", SEES], check=False, capture_output=True).returncode == 0
            found = subprocess.run([python, "-c", FOLDER], check=False, capture_output=True, text=True)
        except OSError:  # no such Python
            continue
        if seen and found.returncode == 0 and same_version(python):
            return found.stdout.strip()
    return None


def same_version(python: str) -> bool:
    """Whether another Python can lend its packages to this one."""
    code = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True).stdout.split()
    return said == [str(part) for part in sys.version_info[:2]]


if __name__ == "__main__":
    main()
