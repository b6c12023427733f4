"""Reports about recorded runs: the material that all of them share."""
