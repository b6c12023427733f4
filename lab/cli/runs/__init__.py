"""The parts of `lab runs`, one per file; the command itself is `records/runs.py`."""
