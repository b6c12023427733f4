"""Reinforcement learning: agents, environments and how they are judged."""
