"""Trained agents in their environment: evaluated over episodes, filmed and shown."""
