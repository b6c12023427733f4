"""Commands about environments and agents; `lab/cli/find.py` finds them by path."""
