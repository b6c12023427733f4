"""Reads a user's files as inputs of a trained model, for `lab predict`."""
