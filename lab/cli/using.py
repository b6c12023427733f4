"""The finished run that a command is about, its checkpoint, and what it trained."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.cli.output import loading
from lab.errors import ConfigError, nearest

if TYPE_CHECKING:
    from lab.runs.summary import Summary


class Chosen(NamedTuple):
    """A finished run, and which of its checkpoints is meant."""

    record: Summary
    checkpoint: Any


def chosen(options: argparse.Namespace) -> Chosen:
    """Return the run that RUN names, and the checkpoint that --checkpoint names, `final` by default.

    Raises ConfigError if there is no such run, or if it has no such checkpoint.
    """
    from lab.runs.select import find_run
    from lab.runs.summary import read_summary, runs_folder

    record = read_summary(find_run(options.run, runs_folder(options.runs_dir)))
    name = options.checkpoint
    if name is None:
        return Chosen(record, "final")
    saved = sorted(path.parent.name for path in record.dir.glob("checkpoints/*/manifest.json"))
    known = [one for one in saved if not one.startswith("step-")]
    if known and name not in known:
        raise ConfigError(
            f"{record.dir.name} has no checkpoint {name!r}, it has {', '.join(known)}{nearest(name, known)}"
        )
    return Chosen(record, name)


def trained(options: argparse.Namespace, capability: str, overrides: Sequence[str] = ()) -> tuple[Summary, Any]:
    """Return the run that RUN names, and what it trained, as `trained_by` does."""
    run = chosen(options)
    return run.record, trained_by(run, options, capability, overrides)


def trained_by(run: Chosen, options: argparse.Namespace, capability: str, overrides: Sequence[str] = ()) -> Any:
    """Return what a run trained, with the weights of its checkpoint on --device.

    Raises ConfigError where that lacks the capability (`act`, `sample`: see `lab.capabilities`).
    """
    record = run.record
    loading(options.run)
    from lab.capabilities import CAPABILITIES, capabilities_of
    from lab.evaluation import load_run

    found = load_run(record, overrides, checkpoint=run.checkpoint, device=options.device, trust=options.trust)
    if not isinstance(found, CAPABILITIES[capability]):  # not by `record.can`: an earlier version knew fewer
        can = ", ".join(capabilities_of(found)) or "only be evaluated"
        raise ConfigError(f"{record.run_id} is a {record.name}, which cannot {capability}; it can {can}")
    return found


@contextmanager
def using(record: Summary, options: argparse.Namespace) -> Iterator[None]:
    """Raise CheckpointError where somebody else's run cannot be used as the block does: his weights may be anything."""
    from lab.saving.checkpoint import blamed
    from lab.system.opening import read_plain
    from lab.trust.origin import is_strangers

    path = record.dir / "config.yaml"
    stranger = not options.trust and is_strangers(path, read_plain(path, record.dir))
    with blamed(record.dir, when=stranger):
        yield
