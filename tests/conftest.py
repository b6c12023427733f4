from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

# NumPy's and SciPy's threads, which are counted when they are loaded, would fight the other test process for its core.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = (
    "passive"  # where a test takes two threads, the one that waits leaves its core to others
)

import torch

from lab.data.catalog import lookup
from tests.support.wandb_server import WandbServer

# Temporary files stay in memory where it has room for them: on a disk, removing them takes longer than writing them.
MEMORY = Path("/dev/shm")  # noqa: S108


def has_room(folder: Path) -> bool:
    """Whether files of two gigabytes can be kept there, and programs run; containers often have neither."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    runs = not found.f_flag & getattr(os, "ST_NOEXEC", 0)
    return runs and os.access(folder, os.W_OK) and found.f_bavail * found.f_frsize >= 2 << 30


if has_room(MEMORY) and "TMPDIR" not in os.environ:
    # What torch keeps of compiled programs outlives the tests, and stays on the disk.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", f"{tempfile.gettempdir()}/lab-tests-torchinductor")
    os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None

# Runs are signed with a key of these tests, not with the user's.
KEYS = tempfile.TemporaryDirectory(prefix="lab-tests-")
KEY = os.environ["LAB_KEY_FILE"] = f"{KEYS.name}/key"
# What they remember is not in the user's cache, nor what he remembers in theirs.
os.environ["XDG_CACHE_HOME"] = f"{KEYS.name}/cache"
os.environ["SB3_LOGDIR"] = f"{KEYS.name}/sb3"

MNIST = lookup("mnist")
REAL_DATA = MNIST.folder.parent if MNIST.present() else None


def pytest_collection_finish() -> None:
    """All modules that were imported so far stay: no later search for garbage looks through them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in an empty folder, on one thread, without the user's keys, runs and data."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "LAB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)  # xdist sets it to 80
    monkeypatch.setenv("LAB_KEY_FILE", KEY)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path / "data"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    torch.set_num_threads(1)


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with the MNIST files. Skips the test where they are absent."""
    if REAL_DATA is None:
        pytest.skip("needs MNIST: run `lab data fetch mnist`, or set LAB_DATA_DIR")
    monkeypatch.setenv("LAB_DATA_DIR", str(REAL_DATA))
    return REAL_DATA


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A local W&B server that this process sends to."""
    import wandb

    with suppress(OSError):  # an earlier test may have killed it
        wandb.teardown()  # its helper process knows one server
    with WandbServer() as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started
        wandb.teardown()
