"""Supervised learning, one task per file, or per folder where it needs several."""
