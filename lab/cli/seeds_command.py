"""What `lab run NAME --seeds 0-4` does. Heavy imports happen inside, when needed."""

from __future__ import annotations

import argparse
import json

from lab.cli.commands import stderr, stdout
from lab.errors import ConfigError, Interrupted
from lab.tracking.destination import sweeping


def run_all(options: argparse.Namespace, words: list[str]) -> int:
    """Run the seeds that are missing, and print what all of them came to; return the worst of their exit codes."""
    from lab.cli.views.live import Display
    from lab.cli.views.seeds import report
    from lab.seeds.run_seeds import run_seeds

    if options.seed is not None:
        raise ConfigError("--seed is for one run and --seeds for several: choose one of them")
    if sweeping():
        raise ConfigError("a sweep's trial is one run: leave out --seeds, and let the sweep vary the parameter seed")
    with Display() as display:
        try:
            found = run_seeds(
                options.name,
                words,
                seeds=options.seeds,
                runs_dir=options.runs_dir,
                fast_dev_run=options.fast_dev_run,
                jobs=options.jobs,
                fresh=options.fresh,
                watch=display,
            )
        except Interrupted:
            stderr().print("the same command goes on with the seeds that are not complete")
            raise
    (stderr() if options.json else stdout()).print(report(found))
    if options.json:
        print(json.dumps(found.as_dict(), allow_nan=False))
    return found.exit_code
