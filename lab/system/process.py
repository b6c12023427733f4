"""A library call leaves the process as it found it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lab.finders.here import keep_children_off
from lab.finders.modules import own_modules_as_found
from lab.system.randomness import kept_randomness


@contextmanager
def process_as_found() -> Iterator[None]:
    """Restore after the block what a run changes in its process: the random generators of Python, NumPy and torch,
    torch's threads and its treatment of denormals, environment variables, the working directory, the path of imports,
    where own modules are found, and the hooks of the interpreter that W&B's client sets. Signal handlers are restored
    where they are set. What is started in the block imports nothing from the working directory first.

    What cannot be taken back stays: imported modules, and the helper process of W&B's client.
    """
    environment, folder, path = dict(os.environ), _folder(), list(sys.path)
    method = multiprocessing.get_start_method(allow_none=True)
    threads, flushes, hooks = torch.get_num_threads(), _flushes_denormals(), (sys.excepthook, sys.exit)
    try:
        keep_children_off()
        with kept_randomness(), own_modules_as_found():
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        for name, value in environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        if folder is not None and _folder() != folder:
            os.chdir(folder)
        sys.path[:] = path
        sys.excepthook, sys.exit = hooks
        if method is None:  # the first process that starts chooses one, and the user's own choice would be refused
            multiprocessing.set_start_method(None, force=True)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it has been removed
        return None


def _flushes_denormals() -> bool:
    """Torch does not tell."""
    return bool((torch.tensor([1e-39]) * 0.5 == 0).item())
