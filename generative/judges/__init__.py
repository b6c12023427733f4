"""Measures of generative models: classifiers and distances between distributions."""
