"""`lab sample`: draw new examples from what a run trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.cli import options as shared
from lab.cli.output import named_after, outside_runs, print_line, print_lines, writing
from lab.cli.using import trained, using
from lab.system.files import free_name

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
    record, model = trained(options, "sample")
    from lab.cli.views.samples import FILES, write, write_file
    from lab.console.wording import count, near

    with using(record, options):
        samples = model.sample(options.count, prompt=options.prompt, seed=options.seed)
    texts = [one for one in samples if isinstance(one, str)]
    if texts:
        print_lines(BETWEEN.join(texts))
    if wanted and wanted.suffix in FILES:
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
