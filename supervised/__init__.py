"""Supervised learning, one task per file."""
