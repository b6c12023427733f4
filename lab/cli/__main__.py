"""`python -m lab.cli` is the `lab` command, and so is this file, which other processes start."""

import sys
from pathlib import Path

if __name__ == "__main__":
    if not sys.flags.safe_path and Path(sys.path[0]).resolve() in (Path.cwd(), Path(__file__).resolve().parent):
        del sys.path[0]  # Python has put it there, and would import from it first
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path.insert(0, root)  # a checkout that is not installed
    from lab.cli.main import entry

    entry()
