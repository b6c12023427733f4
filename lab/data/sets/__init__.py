"""Data sets, one file per modality: a data module and loaders. What they share is in the folder above, and their
entries in the catalog are in `entries`."""
