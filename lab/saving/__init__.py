"""Checkpoints, when they are saved, and the check that a resumed run is identical."""
