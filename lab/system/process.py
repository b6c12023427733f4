"""A library call leaves the process as it found it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from lab.errors import EnvironmentFailedError
from lab.finders.here import keep_children_off
from lab.finders.home import find_home
from lab.finders.modules import own_modules_as_found
from lab.system.randomness import kept_randomness


@contextmanager
def process_as_found() -> Iterator[None]:
    """Restore after the block what a run changes in its process: the random generators of Python, NumPy and torch,
    torch's treatment of denormals, environment variables, the path of imports, where own modules are found, the hooks
    of the interpreter that W&B's client sets, and what `settings_as_found` restores. Signal handlers are restored where
    they are set. What is started in the block imports nothing from the working directory first.

    What cannot be taken back stays: imported modules, and the helper process of W&B's client.

    Raises EnvironmentFailedError where code in the block, such as an environment's, calls `sys.exit`: a script would
    end as if all was well.
    """
    environment, path = dict(os.environ), list(sys.path)
    method = multiprocessing.get_start_method(allow_none=True)
    flushes, hooks = _flushes_denormals(), (sys.excepthook, sys.exit)
    try:
        find_home()
        keep_children_off()
        with settings_as_found(), kept_randomness(), own_modules_as_found():
            yield
    except SystemExit as error:
        raise EnvironmentFailedError(f"code of the run called sys.exit({error.code or ''}), which ended it") from error
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        for name, value in environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        sys.path[:] = path
        sys.excepthook, sys.exit = hooks
        if method is None:  # the first process that starts chooses one, and the user's own choice would be refused
            multiprocessing.set_start_method(None, force=True)
        torch.set_flush_denormal(flushes)


@contextmanager
def settings_as_found() -> Iterator[None]:
    """Restore after the block what other code in it may set for all: torch's threads, gradients and default type, what
    NumPy does about errors, and the working directory."""
    threads, gradients, dtype = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()
    errors, folder = np.geterr(), _folder()
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
        np.seterr(**errors)
        if folder is not None and _folder() != folder:
            os.chdir(folder)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it has been removed
        return None


def _flushes_denormals() -> bool:
    """Torch does not tell."""
    return bool((torch.tensor([1e-39]) * 0.5 == 0).item())
