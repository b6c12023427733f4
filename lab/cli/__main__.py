"""`python -m lab.cli` is the `lab` command."""

from lab.cli.main import entry

if __name__ == "__main__":
    entry()
