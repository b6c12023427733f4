"""Several runs of one experiment at once, each in a process of its own: seeds, folds and any other setting."""
