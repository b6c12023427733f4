"""Curves and charts of a report."""
