"""The encoders themselves, one architecture per file."""
