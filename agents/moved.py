"""Names of `agents` that moved, old to new."""

MOVED = {
    "agents.cartpole": "agents.environments.cartpole",
    "agents.wrappers": "agents.environments.wrappers",
}
