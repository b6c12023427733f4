"""Commands that take an experiment by name: one file per command."""
