"""Entries of the catalog (`DATASETS`), one file per modality, as in `sets`. Nothing here needs PyTorch."""
