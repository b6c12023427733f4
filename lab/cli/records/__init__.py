"""Commands on recorded runs and data sets: one file per command."""
