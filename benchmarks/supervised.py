"""cnn-mnist beside the usual Dataset, DataLoader and Lightning module: images per second in training, and seconds from
the shell's start to 99 % on MNIST.

Both have the same network, batch size, optimizer and constant learning rate. How many epochs reach 99 % is found out
once, with the usual pipeline; then each is started for so many epochs, and the accuracy of each is printed. What comes
after the training does not count. Targets: 1.5 times as many images per second, and at most half of the seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lab
from benchmarks.classifiers import BATCH, Arrays, train
from benchmarks.pairs import alternate
from benchmarks.processes import lines, until
from lab.data import Images
from lab.runs.summary import local_runs

WANTED, MOST_EPOCHS = 0.99, 15
STEPS = 150  # of the trainings whose images per second are measured


def measure(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays = _arrays()
        path = folder / "mnist.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]  # it also takes an argument of its own
        title = f"lab run / Dataset + DataLoader + Lightning, cnn-mnist, {STEPS} steps"
        result = alternate(title, partial(_our_steps, folder / "steps"), partial(_their_steps, arrays), pairs)
        rates = [STEPS * BATCH / seconds for seconds in (result.ours, result.other)]
        print(f"  images/s: {rates[0]:,.0f} against {rates[1]:,.0f}", flush=True)
        epochs = _epochs(path)
        if epochs is None:
            print(f"{WANTED:.0%} are not reached in {MOST_EPOCHS} epochs")
            return
        title = f"lab run / Dataset + DataLoader + Lightning, {epochs} epochs to {WANTED:.0%}, from the shell"
        alternate(title, partial(_ours, folder / "runs", epochs), partial(_theirs, path, epochs), pairs)


def _arrays() -> Arrays:
    """MNIST as bytes and labels."""
    data = Images(val_size=0, fallback="none")
    data.prepare()
    cpu, found = torch.device("cpu"), {}
    for split, batches in (("train", data.unchanged(cpu)), ("test", data.test(cpu))):
        images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        found[split] = images.mul(255).round().byte()[:, 0].numpy()
        found[f"{split}_labels"] = labels.numpy()
    return found


def _settings(**more: Any) -> list[str]:
    settings = {
        "trainer.schedule.kind": "constant",
        "trainer.schedule.warmup": 0,
        "trainer.keep_best": "null",
        "data.val_size": 0,
        "data.fallback": "none",
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }
    return [f"--{name.replace('__', '.')}={value}" for name, value in {**settings, **more}.items()]


def _our_steps(runs: Path) -> float:
    return lab.run("cnn-mnist", _settings(trainer__max_steps=STEPS), runs_dir=runs).durations["train"]


def _their_steps(arrays: Arrays) -> float:
    started = time.perf_counter()
    train(arrays, -1, steps=STEPS)
    return time.perf_counter() - started


def _command(path: Path, epochs: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.classifiers", str(path), str(epochs), str(torch.get_num_threads())]


def _epochs(path: Path) -> int | None:
    """Return after how many epochs the usual pipeline reaches the accuracy; None where it does not."""
    command = [*_command(path, MOST_EPOCHS), "each"]
    with closing(lines(command)) as printed:
        for line in printed:
            if line.startswith("{") and (told := json.loads(line))["accuracy"] >= WANTED:
                return int(told["epoch"])
    return None


def _theirs(path: Path, epochs: int) -> float:
    seconds, line = until("{", _command(path, epochs))
    told = json.loads(line)
    print(f"  usual: {told['accuracy']:.2%}", flush=True)
    return seconds - float(told["evaluation"])


def _ours(runs: Path, epochs: int) -> float:
    words = ["run", "cnn-mnist", *_settings(trainer__max_epochs=epochs), "--runs-dir", str(runs)]
    seconds, _ = until("evaluating", [sys.executable, "-m", "lab.cli", *words])
    summary = max(local_runs(runs), key=lambda run: run.started)
    print(f"  lab: {summary.metrics['test/accuracy']:.2%}", flush=True)
    return seconds
