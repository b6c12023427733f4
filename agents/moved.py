"""Names of `agents` that moved, old to new."""

MOVED = {
    "agents.cartpole": "agents.environments.cartpole",
    "agents.wrappers": "agents.environments.wrappers",
}

ROLES_BEFORE_0_2 = {
    "budget": {"total_timesteps": "steps"},
    "stops": ["evaluation.stop_at"],
    "watching": ["evaluation.every", "evaluation.best_episodes"],
    "protocol": ["evaluation.max_steps"],
    "episodes": ["evaluation.episodes"],
    "task": ["env.kwargs", "env.wrappers"],
    "indifferent": ["evaluation.video", "evaluation.video_every", "env.timeout"],
}
"""Roles of settings (`lab.config.roles`) for runs of version 0.1.0, which did not record them."""
