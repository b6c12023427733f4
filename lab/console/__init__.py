"""Text for the terminal: progress, tables, and how numbers, sizes and durations are written."""
