"""Commands about models that draw images; `lab/cli/find.py` finds them by path."""
