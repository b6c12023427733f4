"""Commands that use what one finished run trained: one file per command."""
