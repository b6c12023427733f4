"""Reads the data that a user has: files and folders in common formats. The data sets of the catalog are in `sets`;
they use what is here too."""
