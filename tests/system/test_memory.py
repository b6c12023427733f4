"""How much memory there is: of the machine, the container, the job, and what `ulimit` allows."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.job import memory_errors
from lab.system import memory
from lab.system.memory import all_memory, free_memory


def test_limits_of_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUPS", ((str(tmp_path / "memory.max"), str(tmp_path / "memory.current")),))
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "cgroup")
    whole = all_memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert all_memory() == whole
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert all_memory() == 2**30
    job = tmp_path / "slurm" / "job_7"
    job.mkdir(parents=True)
    (job.parent / "memory.max").write_text("536870912\n")
    (tmp_path / "cgroup").write_text("0::/slurm/job_7\n")
    assert all_memory() == 2**29, "the group around the job's"


@pytest.mark.parametrize(
    ("stat", "free"),
    [
        ("anon 7\ninactive_file 60000000\n", 70_000_000),
        ("inactive_file 1\ntotal_inactive_file 60000000\n", 70_000_000),
        ("inactive_file 99000000\n", 100_000_000),
        ("no numbers\n", 10_000_000),
        (None, 10_000_000),
    ],
)
def test_cache_of_files_is_free(stat: str | None, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUPS", ((str(tmp_path / "memory.max"), str(tmp_path / "memory.current")),))
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "cgroup")
    (tmp_path / "memory.max").write_text("100000000\n")
    (tmp_path / "memory.current").write_text("90000000\n")
    if stat is not None:
        (tmp_path / "memory.stat").write_text(stat)
    assert free_memory() == free


def test_limit_of_the_shell() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**38, hard))
    try:
        found = all_memory()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert found is not None
    assert found <= 2**38


@pytest.mark.parametrize("error", [MemoryError("1 TB"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 4")])
def test_lack_of_memory_is_one_sentence(error: Exception) -> None:
    with pytest.raises(ConfigError, match="the settings need more memory than there is"), memory_errors():
        raise error
    with pytest.raises(RuntimeError, match="another"), memory_errors():
        raise RuntimeError("another")
