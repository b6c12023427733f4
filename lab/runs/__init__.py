"""Recorded runs, read again: chosen, compared, grouped and removed. Nothing here trains."""
