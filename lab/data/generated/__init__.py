"""Data sets that are made by a rule, so that nothing is downloaded: a data module each. A YAML of the same name holds
their entries in the catalog. Those of publishers are in `lab/data/sets`."""
