"""The parts of `lab data show`: which data set a word names, and the experiments that take it."""
