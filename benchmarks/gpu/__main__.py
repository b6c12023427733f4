"""`make gpu` tries on a GPU what only a GPU can show, and writes all figures to one JSON file.

Each step runs in a process of its own and has a time limit, so that one that fails, hangs or breaks the device leaves
the others as they are. `make gpu ARGS="--device cpu"` rehearses all of it on the CPU. Exit code 0: every step is done;
1: some are not; 2: the device is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Step, steps

SHORTEST = 5.0
"""Seconds below which a step is not begun."""
SAID = 60
"""Lines that are kept of what a failed step says last."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="STEP", help="only steps whose name contains one of these words")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal (default: cuda)")
    parser.add_argument("--budget", type=float, default=480, help="seconds for all steps together (default: 480)")
    parser.add_argument("--since", type=float, default=time.time(), help="second of the clock at which they began")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="file for the figures (default: gpu.json)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the step that runs is ended too
    if options.device == "cuda" and not _gpu_is_there():
        print("no CUDA device is here; `make gpu ARGS='--device cpu'` rehearses without one", file=sys.stderr)
        return 2
    asked = [
        one for one in steps(options.device) if not options.names or any(word in one.name for word in options.names)
    ]
    if not asked:
        parser.error(f"no step has {' or '.join(options.names)} in its name: {', '.join(s.name for s in steps('cpu'))}")
    report: dict[str, Any] = {"device": options.device, "budget": options.budget, "began": options.since, "steps": {}}
    for step in asked:
        left = options.since + options.budget - time.time()
        found = (
            run(step, min(step.limit, left)) if left > SHORTEST else {"verdict": "left out", "error": "no time left"}
        )
        report["steps"][step.name] = found
        report["seconds"] = round(time.time() - options.since, 1)
        part = options.out.with_name(f"{options.out.name}.part")  # the file is whole at any time
        part.write_text(json.dumps(report, indent=1) + "\n")
        part.replace(options.out)
        print(f"{step.name:28} {found['verdict']:9} {found.get('seconds', 0):6.1f} s  {summary(found)}", flush=True)
    print(f"all figures are in {options.out}")
    return int(any(one["verdict"] != "done" for one in report["steps"].values()))


def run(step: Step, limit: float) -> dict[str, Any]:
    """Run a step for at most `limit` seconds. Return its figures, `verdict`, `seconds` and, if it failed, `error`."""
    with tempfile.TemporaryDirectory(prefix="lab-gpu-") as folder:
        figures, log = Path(folder, "figures.json"), Path(folder, "log.txt")
        words = [sys.executable, *step.words, *(["--figures", str(figures)] if step.measured else [])]
        environment = {"WANDB_MODE": "disabled", **os.environ, **step.environment, "LAB_RUNS_DIR": f"{folder}/runs"}
        began = time.perf_counter()
        with log.open("wb") as said:
            process = subprocess.Popen(words, stdout=said, stderr=said, env=environment, start_new_session=True)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
        found: dict[str, Any] = {"verdict": "done", "seconds": round(time.perf_counter() - began, 2), "limit": limit}
        if figures.is_file():
            found |= json.loads(figures.read_text())
        last = "\n".join(log.read_text(errors="replace").splitlines()[-SAID:])
        if code is None:
            found |= {"verdict": "too long", "error": last}
        elif code:
            found |= {"verdict": "failed", "code": code, "error": last}
        elif not step.measured:
            found["said"] = last
        return found


def summary(found: dict[str, Any]) -> str:
    """Return the figures of a step, or its error, in a line."""
    if found["verdict"] != "done":
        return next((line for line in reversed(found["error"].splitlines()) if line.strip()), "")[:140]
    if "said" in found:
        return found["said"].splitlines()[-1] if found["said"] else ""
    return str(found.get("line", ""))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all processes of a step that are left."""
    with suppress(ProcessLookupError, PermissionError):  # none is left
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # a broken device can hold a process for ever
        process.wait(10)


def _gpu_is_there() -> bool:
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
