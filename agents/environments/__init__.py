"""Gymnasium environments: settings, vectorization, and how a resumed run gets them back."""
