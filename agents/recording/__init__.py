"""Episodes recorded as a data set: under which policy, what is kept of each step, and how it is written."""
