"""Trained agents at work: judged over episodes, filmed and watched."""
