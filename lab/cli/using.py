"""What a finished run trained, for the commands that use it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lab.cli import options as shared
from lab.cli.output import loading
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.runs.summary import Summary


def trained(options: argparse.Namespace, capability: str) -> tuple[Summary, Any]:
    """Return the run that RUN names, and what it trained, with the weights of --checkpoint on --device.

    Raises ConfigError where that lacks the capability (`sample`, `predict`: see `lab.capabilities`).
    """
    from lab.runs.summary import find_run, read_summary, runs_folder

    folder = find_run(options.run, runs_folder(options.runs_dir))
    record = read_summary(folder)
    title = shared.checkpoint(options.checkpoint, folder)
    if record.can and capability not in record.can:
        raise _cannot(record, capability, record.can)
    loading(options.run)
    from lab.capabilities import CAPABILITIES, capabilities_of
    from lab.evaluation import load

    found = load(folder, checkpoint=title, device=options.device)
    if not isinstance(found, CAPABILITIES[capability]):  # runs of version 0.1 do not say what they can do
        raise _cannot(record, capability, capabilities_of(found))
    return record, found


def _cannot(record: Summary, capability: str, can: list[str]) -> ConfigError:
    return ConfigError(
        f"{record.run_id} is a {record.name}, which cannot {capability}; it can {', '.join(can) or 'only be evaluated'}"
    )
