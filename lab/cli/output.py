"""Where commands print: results go to stdout, everything else to stderr."""

from __future__ import annotations

import gc
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lab.console.plain import plain, plain_lines
from lab.errors import ConfigError, not_written
from lab.system.files import at_home, is_name
from lab.system.lazy import uncollected


def stdout() -> Any:
    """Return the console for results."""
    from lab.console.notices import Terminal, width_of

    return Terminal(width=width_of(sys.stdout))


def unbroken() -> Any:
    """Return the console for rows that stay one line each: a narrow terminal breaks them, not this program."""
    console = stdout()
    console.width, console.soft_wrap = 1000, True
    return console


def stderr() -> Any:
    """Return the console for what is said while working."""
    from lab.console.notices import console

    return console


def named_after(run: str) -> str:
    """Return the beginning of a file's name that is a run's, as its summary has it.

    Raises ConfigError where that would be a path: the summary may be somebody else's.
    """
    if not is_name(run):
        raise ConfigError(f"no file can be named after the run {run!r}; name one with -o")
    return run


def outside_runs(output: str) -> Path:
    """Return the absolute path that -o names. Raises ConfigError where it lies in a run's folder."""
    from lab.finders.modules import within_run

    path = at_home(output).absolute()
    if within_run(path):
        raise ConfigError(f"{output} lies in a run's folder, where nothing is added; choose another folder")
    return path


def require_others(paths: Iterable[Path], inputs: Iterable[str], what: str) -> None:
    """Raise ConfigError where `what` would be written over one of the inputs."""
    given = {Path(one).resolve() for one in inputs}
    if same := [path for path in paths if path.resolve() in given]:
        raise ConfigError(f"{same[0]} is an input, and {what} would replace it; name another place with -o")


def results(options: Any) -> Any:
    """Return the console for a command's result: with --json it is stderr, since stdout then carries JSON alone."""
    return stderr() if options.json else stdout()


def print_json(value: Any) -> None:
    """Print strict JSON on one line of stdout; numbers that are not finite become null."""
    print(json.dumps(_finite(value), allow_nan=False))


def say(line: str) -> None:
    """Print one line to stderr at once. It may quote somebody else's file: control characters are written out.

    Where stderr is closed or full nothing is printed, which must not end a run.
    """
    with suppress(OSError):
        print(f"lab: {plain(line)}", file=sys.stderr, flush=True)


def print_line(line: str = "", *, flush: bool = False) -> None:
    """Print one line to stdout. It may quote somebody else's file: control characters are written out."""
    print(plain(line), flush=flush)


def print_lines(text: str) -> None:
    """Print a text of several lines to stdout, with control characters written out: a model may have learned them."""
    print(plain_lines(text))


def print_yaml(values: Any) -> None:
    """Print plain values as YAML, in ASCII where a text holds characters that a terminal obeys."""
    import yaml

    from lab.config.values import Dumper, dump

    text = dump(values)
    if not text.replace("\n", "").isprintable():
        text = yaml.dump(values, Dumper=Dumper, sort_keys=False)
    print(text, end="")


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Raise SavingError where the disk takes no more inside the block, ConfigError where `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise not_written(path, error) from error


def loading(what: str) -> None:
    """Import PyTorch, which takes a second or more, and say so; nothing where it is there already.

    Raises ConfigError where that fails, by a variable that PyTorch reads or for a library that is missing, and OSError
    where there is no working directory.
    """
    if sys.modules.get("torch") is None:
        say(f"{what}: loading PyTorch")
        os.getcwd()  # without one, a library of Intel's ends the process
        try:
            with uncollected():
                import torch  # noqa: F401
        except Exception as error:  # of any kind, by whatever is in the environment
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise ConfigError(f"PyTorch cannot be imported: {said}") from error
        gc.freeze()  # all of it stays: no later search for garbage looks through it


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
