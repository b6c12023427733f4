"""Recommendation: which rating a user gives an item. Models of pairs of ids live here, and the baselines for them."""
