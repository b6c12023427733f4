"""Environments as pure functions of tensors, which step many copies at once on any device."""
