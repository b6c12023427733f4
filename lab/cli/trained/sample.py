"""`lab sample`: draw new examples from what a run trained."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli import options as shared
from lab.cli.output import named_after, outside_runs, print_line, print_lines, writing
from lab.cli.using import trained, using
from lab.errors import ConfigError
from lab.system.files import free_name, is_for_file

if TYPE_CHECKING:
    from lab.runs.summary import Summary

SUMMARY = "draw samples from a trained model"
BETWEEN = "\n" + "-" * 60 + "\n"  # texts may have many lines


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument("-n", "--count", metavar="N", type=shared.count, default=64, help="samples (default: 64)")
    parser.add_argument(
        *("--prompt", "--class"),
        dest="prompt",
        metavar="TEXT",
        help="what a model of texts begins with, or the class that a conditional model draws",
    )
    drawing = parser.add_argument_group("how a model draws token by token (default: as its settings say)")
    drawing.add_argument(
        "--temperature", metavar="T", type=float, help="divides the logits; 0 takes the most probable token"
    )
    drawing.add_argument("--top-k", metavar="K", type=shared.count, help="draw from the K most probable tokens")
    drawing.add_argument("--top-p", metavar="P", type=float, help="draw from the fewest that have probability P")
    drawing.add_argument("--max-tokens", metavar="N", type=shared.count, help="tokens of a sample, after the prompt")
    parser.add_argument("--seed", metavar="S", type=shared.seed, default=0, help="seed of the samples (default: 0)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="folder for the files, or one file for all samples: .png (pictures in a grid), .wav (sounds, one after "
        "the other) or .npz (the numbers of either); default: a new folder, samples-RUN, in the working directory; "
        "texts are only printed",
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    wanted = outside_runs(options.output) if options.output else None
    one_file = wanted is not None and wanted.suffix.lower() in (".png", ".wav", ".npz")
    if wanted and not one_file and is_for_file(wanted):
        raise ConfigError(
            f"samples fill a folder, or one file that ends in .png, .wav or .npz, received {options.output}"
        )
    record, model = trained(options, "sample")
    from lab.cli.views.samples import write, write_file
    from lab.console.wording import count, near

    how = asked_of(model, options, record)
    with using(record, options):
        samples = model.sample(options.count, prompt=options.prompt, seed=options.seed, **how)
    texts = [one for one in samples if isinstance(one, str)]
    if texts:
        print_lines(BETWEEN.join(texts))
    if wanted and one_file:
        with writing(wanted):
            write_file(samples, wanted)
        print_line(f"{near(wanted)}: {count(len(samples), 'sample')}")
    elif wanted or len(texts) < len(samples):
        folder = wanted or free_name(Path(named_after(f"samples-{record.run_id}"))).absolute()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=bool(wanted))
            first = write(samples, folder)
        print_line(f"{near(folder)}: {count(len(samples), 'sample')}, see {near(first)}")
    return 0


def asked_of(model: Any, options: argparse.Namespace, record: Summary) -> dict[str, Any]:
    """Return how tokens are to be drawn, by name, as far as an option says so. Raises ConfigError where the model takes
    no such option."""
    from lab.capabilities import DRAWING

    asked = {name: getattr(options, name) for name in DRAWING if getattr(options, name) is not None}
    if not_taken := [name for name in asked if name not in inspect.signature(model.sample).parameters]:
        flag = "--" + not_taken[0].replace("_", "-")
        raise ConfigError(f"{record.run_id} is a {record.name}, which does not draw token by token; it takes no {flag}")
    return asked
