"""`make bench` runs all benchmarks of speed, or the named ones: `make bench ARGS="shell startup --pairs 3"`.
A benchmark whose data or peer is not at hand is left out, and named at the end.

`python -m benchmarks returns NAME...` compares the returns of agents with plain SB3's; see `benchmarks/returns.py`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys

import torch

from benchmarks.left_out import FAILED, NAMED, left_out_if_missing
from benchmarks.pairs import cores_as_found

NAMES = (
    "shell",
    "shell_images",
    "startup",
    "overhead",
    "loader",
    "agents",
    "generative",
    "supervised",
    "language",
    "floor",
    "solve",
    "checkpoints",
    "rasterizer",
    "report",
)

os.environ["WANDB_MODE"] = os.environ.get("WANDB_MODE", "offline")
if sys.argv[1:2] == ["returns"]:  # takes hours and has its own options
    importlib.import_module("benchmarks.returns").main(sys.argv[2:])
    sys.exit()

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
parser.add_argument("--pairs", type=int, default=5, help="pairs of measurements per ratio (default: 5)")
parser.add_argument("--threads", type=int, default=1, help="CPU threads for torch (default: 1, which varies least)")
options = parser.parse_args()
torch.set_num_threads(options.threads)
if unknown := set(options.names) - set(NAMES):
    parser.error(f"unknown benchmark {', '.join(unknown)}; known: {', '.join(NAMES)}")

print(
    f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
    f"Python {platform.python_version()}, torch {torch.__version__}"
)
for name in options.names or NAMES:
    with left_out_if_missing(name), cores_as_found():
        importlib.import_module(f"benchmarks.{name}").measure(options.pairs)
if NAMED:
    print(f"left out ({len(NAMED)}):", *NAMED, sep="\n  ")
if FAILED:
    print(f"failed ({len(FAILED)}):", *FAILED, sep="\n  ")
    sys.exit(1)
