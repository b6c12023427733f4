"""The user's key, and the signatures that only it gives: under files, and under a run as a whole."""
