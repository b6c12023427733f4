"""Everything that needs a GPU, in one command and one file of figures: `make gpu`."""
