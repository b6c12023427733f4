"""Agents as files for plain Stable-Baselines3."""
