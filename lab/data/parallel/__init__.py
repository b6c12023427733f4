"""Pairs of texts, one of which is made from the other, such as a sentence and its translation."""
