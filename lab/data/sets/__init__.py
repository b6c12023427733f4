"""Data sets, one file per modality: a data module, loaders, and entries of the catalog (`DATASETS`). What they share is
in the folder above."""
