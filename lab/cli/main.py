"""The `lab` command. It imports the chosen command's file alone, and that imports nothing heavy until it is needed."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from io import BufferedWriter, FileIO, TextIOWrapper

from lab.cli.asked import answered
from lab.cli.find import commands, find, load
from lab.cli.output import print_lines, say
from lab.cli.parser import Parser
from lab.console.plain import plain_lines
from lab.errors import FULL, ConfigError, EnvironmentFailedError, Interrupted, LabError, lack_of_memory
from lab.finders.here import take_off
from lab.finders.home import find_home
from lab.system import signals

CLOSING = (
    "`lab COMMAND --help` shows the options of a command, and `lab run NAME --help` the settings of an experiment.",
    "`lab completion bash` (zsh, fish) prints what makes the shell complete names.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 a check failed, 2 bad input, 3 diverged, 4 an
    environment failed, 5 no valid checkpoint, 128+n ended by signal n."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        find_home()
        code = _run(words)
        sys.stdout.flush()
    except LabError as error:
        if isinstance(error, EnvironmentFailedError) and error.__cause__ is not None:
            where = "".join(traceback.format_exception(error.__cause__))  # for the environment's author
            sys.stderr.write(plain_lines(where))
        say(f"error: {error}")
        return error.exit_code
    except (Interrupted, KeyboardInterrupt) as error:
        say("interrupted; everything recorded so far is kept, and `lab resume` goes on from the last checkpoint")
        return getattr(error, "exit_code", 130)
    except BrokenPipeError:  # as in `lab list | head -1`: the reader has closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (MemoryError, RuntimeError) as error:
        if not (lack := lack_of_memory(error)):
            raise
        say(f"error: {' '.join(words[:1])} needs {lack}")
        return 1
    except OSError as error:
        if not _is_somewhere():
            say("error: the working directory has been removed")
            return 2
        if error.errno not in FULL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter fails again at its end
        say(f"error: what was to be printed could not be written: {error.strerror}")
        return 1
    return code


def entry() -> None:
    """Run the command as a program. All files are written by then, so a W&B client that hangs must not delay the
    exit."""
    if "_ARGCOMPLETE" in os.environ:
        from lab.cli.completion import complete

        complete()
    signals.own_process = True
    take_off()
    _open_streams()
    code = main()
    try:
        sys.stderr.flush()
    except OSError:  # what could not be said costs no exit code, not at the interpreter's end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    follower = sys.modules.get("lab.tracking.wandb")
    if follower is not None and follower.hung.is_set():
        os._exit(code)
    sys.exit(code)


def _is_somewhere() -> bool:
    """Whether the working directory exists."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _open_streams() -> None:
    """Let everything be printed: a launcher may have closed the streams, and a terminal or a file may lack some
    characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the process ends
        elif name == "stdout" and isinstance(stream, TextIOWrapper):  # stderr escapes by itself
            try:
                stream.reconfigure(errors="backslashreplace")
            except OSError:  # a forked process, whose stream is another one than when it was opened
                raw = FileIO(stream.fileno(), "w", closefd=False)
                # Without a buffer, nothing is left over for the interpreter's end where the reader has gone.
                file = raw if name == "stderr" else BufferedWriter(raw)
                again = TextIOWrapper(file, stream.encoding, "backslashreplace", line_buffering=stream.line_buffering)
                setattr(sys, name, again)


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print_lines(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print_lines(f"deep-learning-lab {version('deep-learning-lab')}")
        return 0
    if words[0] == "completion":
        from lab.cli.completion import script

        print_lines(script(words[1:]))
        return 0
    if words[0].startswith("-"):
        raise ConfigError(f"expected a command, received {words[0]!r}; `lab --help` lists the commands")
    command = find(words[0])
    parser = Parser(words[0], command.summary, takes_overrides=command.takes_overrides, epilog=command.epilog)
    command.add_options(parser)
    if answered(parser, words[1:]):
        return 0
    options, rest = parser.read(words[1:])
    return command.run(options, rest)


def _overview() -> str:
    lines = ["usage: lab COMMAND ...", "", "Train, evaluate and compare experiments."]
    found = commands()
    width = max(len(name) for names in found.values() for name in names)
    for heading, names in found.items():
        lines += ["", f"{heading}:", *(f"  {name:{width}}  {load(module).summary}" for name, module in names.items())]
    return "\n".join([*lines, "", *CLOSING])
