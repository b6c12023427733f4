"""What is printed: progress, tables, and the one place for how a number, a size or a duration is written."""
