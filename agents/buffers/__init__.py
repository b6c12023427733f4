"""What agents have seen: rollouts and replay."""
