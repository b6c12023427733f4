"""How many CPU cores this process may use."""

from __future__ import annotations


def usable_cores() -> int:
    """Return the number of cores that this process may use: taskset, Slurm and the quota of a container can allow fewer
    than there are (joblib knows them all)."""
    from joblib import cpu_count  # 0.1 s

    return int(cpu_count())
