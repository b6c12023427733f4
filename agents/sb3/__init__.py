"""Plain Stable-Baselines3: agents as its files, and the same settings for comparison."""
