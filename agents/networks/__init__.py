"""The networks of agents around an encoder: policies, values, distributions over actions."""
