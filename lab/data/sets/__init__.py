"""Data sets, one file per modality: a data module and its loaders. A YAML of the same name holds their entries in the
catalog. What they share is in the folder above."""
