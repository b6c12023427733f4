"""What all agents share: the loops that collect and learn, and their state."""
