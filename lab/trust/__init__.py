"""Whose a run or a config file is, and what somebody else's may name. It opens nothing and builds nothing."""
