"""`lab traverse`: walks through the latents of a model, as a film and as a sheet."""

from __future__ import annotations

import argparse

from lab.cli import options as shared

SUMMARY = "walk through what the latents of a model change in an image"
TAKES_OVERRIDES = True
EPILOG = "The walks begin at test images of the run's data: if these lie elsewhere now, --data.path=PATH says where."

IMAGES = 1_000  # by which the range of a latent is known


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument(
        "-n",
        "--count",
        metavar="N",
        type=shared.count,
        default=10,
        help="latents, those that differ most between images (default: 10)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.gif",
        help="the film; the sheet beside it ends in -sheet.png (default: a new one, traversal-RUN.gif)",
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from generative.shown import named_for, target, test_images, write
    from lab.cli.using import trained, using

    wanted = target(options.output, ".gif")
    record, model = trained(options, "traverse", rest)
    from generative.autoencoders.traversal import walk
    from lab.cli.output import print_line
    from lab.console.wording import count, near

    path = wanted or named_for("traversal", record, ".gif")
    images = test_images(record, rest, options, IMAGES).to(model.device)
    with using(record, options):
        walks = walk(model, images, latents=options.count)
    sheet = path.with_name(f"{path.stem}-sheet.png")
    write(sheet, walks.sheet())
    write(path, *walks.film())
    print_line(f"{near(path)}: {count(len(walks.names), 'walk')}, all of them on the sheet {near(sheet)}")
    return 0
