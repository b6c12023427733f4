"""The same report on Weights & Biases."""
